//! A SOCKS5 proxy (RFC 1928), with or without user name and password (RFC 1929).
//!
//! Each answer is read to its last byte and no further, so what follows is the server's.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Host;

use super::error::TunnelError;
use crate::carrier::Carrier;
use crate::client::credentials::{CredentialsError, UserPassword};

const VERSION: u8 = 5;
/// Ways to log in (RFC 1928, section 3).
const NO_AUTHENTICATION: u8 = 0;
const USER_PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xff;
/// The version of the talk about user name and password (RFC 1929, section 2).
const LOGIN_VERSION: u8 = 1;
const CONNECT: u8 = 1;
/// Types of addresses (RFC 1928, section 5).
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
/// A length is one byte.
const LENGTH_MAX: usize = u8::MAX as usize;

/// Whether SOCKS5 can say these.
///
/// RFC 1929 wants a password of one byte at least. We are looser: an empty one is sent, for the proxy to judge.
pub(super) fn check(credentials: &UserPassword) -> Result<(), CredentialsError> {
    let UserPassword { user, password } = credentials;
    if user.is_empty() {
        return Err(CredentialsError::NoUser);
    }
    match user.len().max(password.len()) {
        bytes if bytes > LENGTH_MAX => Err(CredentialsError::TooLong { bytes, max: LENGTH_MAX }),
        _ => Ok(()),
    }
}

/// Has the proxy connect to the host, whose name it resolves itself. When that is done, the carrier leads there.
pub(super) async fn open(
    carrier: &mut Carrier,
    host: &Host<String>,
    port: u16,
    credentials: Option<&UserPassword>,
) -> Result<(), TunnelError> {
    let request = request(host, port)?;
    say(
        carrier,
        if credentials.is_some() {
            &[VERSION, 2, NO_AUTHENTICATION, USER_PASSWORD]
        } else {
            &[VERSION, 1, NO_AUTHENTICATION]
        },
    )
    .await?;
    let [version, method] = hear(carrier).await?;
    check_version(version)?;
    match (method, credentials) {
        (NO_AUTHENTICATION, _) => {}
        (USER_PASSWORD, Some(credentials)) => log_in(carrier, credentials).await?,
        (NONE_ACCEPTABLE, _) => {
            return Err(TunnelError::NoMethod { with_credentials: credentials.is_some() });
        }
        _ => return Err(TunnelError::NotSocks { problem: "it chose a way to log in that was not offered" }),
    }
    say(carrier, &request).await?;
    let [version, code] = hear(carrier).await?;
    check_version(version)?;
    // A failure is known here; some proxies hang up without the rest of it.
    if code != 0 {
        return Err(TunnelError::Reply { code });
    }
    let [_reserved, kind] = hear(carrier).await?;
    // The address from which it connected, of which nobody has any use.
    match kind {
        IPV4 => drop(hear::<{ 4 + 2 }>(carrier).await?),
        IPV6 => drop(hear::<{ 16 + 2 }>(carrier).await?),
        NAME => {
            let [length] = hear(carrier).await?;
            let mut rest = vec![0; usize::from(length) + 2];
            carrier.read_exact(&mut rest).await.map_err(broken)?;
        }
        _ => {
            return Err(TunnelError::NotSocks {
                problem: "an address of a type that RFC 1928 does not know",
            });
        }
    }
    Ok(())
}

/// `CONNECT` (RFC 1928, section 4).
fn request(host: &Host<String>, port: u16) -> Result<Vec<u8>, TunnelError> {
    let mut request = vec![VERSION, CONNECT, 0];
    match host {
        Host::Ipv4(address) => {
            request.push(IPV4);
            request.extend(address.octets());
        }
        Host::Ipv6(address) => {
            request.push(IPV6);
            request.extend(address.octets());
        }
        Host::Domain(name) => {
            let length = u8::try_from(name.len())
                .map_err(|_| TunnelError::HostBytes { bytes: name.len(), max: LENGTH_MAX })?;
            request.extend([NAME, length]);
            request.extend(name.as_bytes());
        }
    }
    request.extend(port.to_be_bytes());
    Ok(request)
}

/// RFC 1929.
async fn log_in(carrier: &mut Carrier, credentials: &UserPassword) -> Result<(), TunnelError> {
    let mut login = vec![LOGIN_VERSION];
    for part in [&credentials.user, &credentials.password] {
        // `check` has seen that it fits.
        login.push(part.len() as u8);
        login.extend(part);
    }
    say(carrier, &login).await?;
    match hear(carrier).await? {
        [LOGIN_VERSION, 0] => Ok(()),
        [LOGIN_VERSION, _] => Err(TunnelError::Credentials),
        _ => Err(TunnelError::NotSocks { problem: "an answer to the login of another version than 1" }),
    }
}

fn check_version(version: u8) -> Result<(), TunnelError> {
    match version {
        VERSION => Ok(()),
        _ => Err(TunnelError::NotSocks { problem: "an answer whose first byte is not 5" }),
    }
}

async fn say(carrier: &mut Carrier, bytes: &[u8]) -> Result<(), TunnelError> {
    carrier.write_all(bytes).await.map_err(TunnelError::Io)?;
    carrier.flush().await.map_err(TunnelError::Io)
}

/// Exactly so many bytes.
async fn hear<const N: usize>(carrier: &mut Carrier) -> Result<[u8; N], TunnelError> {
    let mut bytes = [0; N];
    carrier.read_exact(&mut bytes).await.map_err(broken)?;
    Ok(bytes)
}

fn broken(error: io::Error) -> TunnelError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => TunnelError::Ended,
        _ => TunnelError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b14_requests_are_as_rfc_1928_has_them() {
        let of = |host: &str, port| request(&Host::parse(host).expect("a host"), port);
        assert_eq!(of("127.0.0.1", 80).ok(), Some(vec![5, 1, 0, 1, 127, 0, 0, 1, 0, 80]));
        let v6 = [&[5, 1, 0, 4][..], &[0; 15], &[1, 1, 187]].concat();
        assert_eq!(of("[::1]", 443).ok(), Some(v6));
        let name = [&[5, 1, 0, 3, 11][..], b"example.com", &[0x23, 0x29]].concat();
        assert_eq!(of("example.com", 9001).ok(), Some(name));
    }

    #[test]
    fn b14_a_name_at_the_limit_and_one_byte_past_it() {
        let of = |bytes: usize| request(&Host::Domain("a".repeat(bytes)), 1);
        assert_eq!(of(255).map(|request| request.len()).ok(), Some(5 + 255 + 2));
        assert!(matches!(of(256), Err(TunnelError::HostBytes { bytes: 256, max: 255 })));
    }
}
