//! What can be wrong with certificates, keys and handshakes, each in one line.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError};

use super::verify::SelfSigned;

/// Why TLS is not to be had: what is wrong with our own certificates and keys, or with the peer's.
///
/// [`Display`](fmt::Display) gives one clear line. The variants are for those who act on the difference: a client
/// that offers to trust a self-signed certificate, say. Cheap to clone.
///
/// In the variants about our own files, `file` is `None` for what was given as bytes.
///
/// ```
/// use sotong::tls::{ServerTls, TlsError};
///
/// let error = ServerTls::from_pem_files("no/such/cert.pem", "no/such/key.pem").unwrap_err();
/// assert!(matches!(error, TlsError::Unreadable { .. }));
/// assert!(error.to_string().starts_with("cannot read 'no/such/cert.pem': "));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// The file cannot be read.
    Unreadable {
        /// Which.
        file: PathBuf,
        /// What the system says.
        error: Arc<io::Error>,
    },
    /// It looks like PEM and is broken.
    NotPem {
        /// Where.
        file: Option<PathBuf>,
        /// What is wrong.
        why: String,
    },
    /// No certificate is in it.
    NoCertificate {
        /// Where one was looked for.
        file: Option<PathBuf>,
    },
    /// No private key is in it.
    NoKey {
        /// Where one was looked for.
        file: Option<PathBuf>,
    },
    /// The private key is encrypted; we have nobody to ask for the passphrase.
    EncryptedKey {
        /// Where it is.
        file: Option<PathBuf>,
    },
    /// The certificate cannot be used.
    UnusableCertificate {
        /// Where it is.
        file: Option<PathBuf>,
        /// What is wrong.
        why: String,
    },
    /// The private key cannot be used.
    UnusableKey {
        /// Where it is.
        file: Option<PathBuf>,
        /// What is wrong.
        why: String,
    },
    /// The private key belongs to another certificate.
    KeyMismatch {
        /// Where the certificate is.
        certificate: Option<PathBuf>,
        /// Where the key is.
        key: Option<PathBuf>,
    },
    /// Our own certificate has expired.
    OwnExpired {
        /// Where it is.
        file: Option<PathBuf>,
        /// Its last moment.
        not_after: SystemTime,
    },
    /// Our own certificate is not valid yet, or the clock of this machine is wrong.
    OwnNotYetValid {
        /// Where it is.
        file: Option<PathBuf>,
        /// Its first moment.
        not_before: SystemTime,
    },
    /// There is no root to trust: the platform has none, and none was added.
    NoRoots {
        /// Why the platform's cannot be had.
        why: String,
    },
    /// No certificate can be for this host: it is neither a name nor an address.
    BadHostName {
        /// What was given.
        host: String,
    },
    /// The peer's certificate is for somebody else.
    WrongHost {
        /// To whom we wanted to talk.
        host: String,
        /// For whom the certificate is.
        names: Vec<String>,
    },
    /// The peer's certificate has expired.
    Expired {
        /// Whose.
        peer: String,
        /// Its last moment.
        not_after: Option<SystemTime>,
    },
    /// The peer's certificate is not valid yet, or the clock of this machine is wrong.
    NotYetValid {
        /// Whose.
        peer: String,
        /// Its first moment.
        not_before: Option<SystemTime>,
    },
    /// The peer has issued its certificate itself, and it is not among the roots.
    SelfSigned {
        /// Whose.
        peer: String,
    },
    /// The peer's certificate leads to no root that we trust.
    UnknownIssuer {
        /// Whose.
        peer: String,
    },
    /// Something else is wrong with the peer's certificate: revoked, forged, made for another purpose.
    BadCertificate {
        /// Whose.
        peer: String,
        /// What is wrong.
        why: String,
    },
    /// The peer wants a certificate of ours and got none.
    CertificateWanted {
        /// Who.
        peer: String,
    },
    /// The peer showed no certificate, and we want one.
    NoPeerCertificate,
    /// The peer broke the handshake off.
    Refused {
        /// Who.
        peer: String,
        /// The alert that it sent.
        alert: String,
    },
    /// The peer does not speak TLS.
    NotTls {
        /// Who.
        peer: String,
    },
    /// The peer broke TLS, or the two sides have nothing in common.
    Protocol {
        /// Who.
        peer: String,
        /// What is wrong.
        why: String,
    },
    /// The network failed, or the peer hung up during the handshake.
    Io {
        /// Who.
        peer: String,
        /// What the system says.
        error: Arc<io::Error>,
    },
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Unreadable { file, error } => write!(f, "cannot read '{}': {error}", file.display()),
            TlsError::NotPem { file, why } => write!(f, "{} is not PEM: {why}", Place(file)),
            TlsError::NoCertificate { file } => {
                write!(f, "no certificate in {} ('-----BEGIN CERTIFICATE-----' is wanted)", Place(file))
            }
            TlsError::NoKey { file } => {
                write!(f, "no private key in {} ('-----BEGIN PRIVATE KEY-----' is wanted)", Place(file))
            }
            TlsError::EncryptedKey { file } => {
                write!(f, "the private key in {} is encrypted; decrypt it with 'openssl pkey'", Place(file))
            }
            TlsError::UnusableCertificate { file, why } => {
                write!(f, "the certificate in {} cannot be used: {why}", Place(file))
            }
            TlsError::UnusableKey { file, why } => {
                write!(f, "the private key in {} cannot be used: {why}", Place(file))
            }
            TlsError::KeyMismatch { certificate, key } => write!(
                f,
                "the private key in {} does not belong to the certificate in {}",
                Place(key),
                Place(certificate)
            ),
            TlsError::OwnExpired { file, not_after } => {
                write!(f, "the certificate in {} expired on {}", Place(file), Date(*not_after))
            }
            TlsError::OwnNotYetValid { file, not_before } => {
                write!(f, "the certificate in {} is not valid before {}", Place(file), Date(*not_before))
            }
            TlsError::NoRoots { why } => write!(f, "there is no root certificate to trust: {why}"),
            TlsError::BadHostName { host } => {
                write!(
                    f,
                    "no certificate can be for '{}': neither a host name nor an IP address",
                    host.escape_debug()
                )
            }
            TlsError::WrongHost { host, names } => {
                write!(f, "wrong host: the certificate is for {}, not for {host}", Names(names))
            }
            TlsError::Expired { peer, not_after } => {
                write!(f, "the certificate of {peer} expired")?;
                not_after.map_or(Ok(()), |date| write!(f, " on {}", Date(date)))
            }
            TlsError::NotYetValid { peer, not_before } => {
                write!(f, "the certificate of {peer} is not valid yet")?;
                not_before.map_or(Ok(()), |date| write!(f, ", only from {} on", Date(date)))
            }
            TlsError::SelfSigned { peer } => {
                write!(f, "the certificate of {peer} is self-signed, and not among the trusted roots")
            }
            TlsError::UnknownIssuer { peer } => {
                write!(f, "the certificate of {peer} comes from an unknown issuer: none of the trusted roots")
            }
            TlsError::BadCertificate { peer, why } => {
                write!(f, "the certificate of {peer} is not acceptable: {why}")
            }
            TlsError::CertificateWanted { peer } => {
                write!(f, "{peer} wants a client certificate, and none was given")
            }
            TlsError::NoPeerCertificate => f.write_str("the client showed no certificate"),
            TlsError::Refused { peer, alert } => write!(f, "{peer} refused the TLS handshake: {alert}"),
            TlsError::NotTls { peer } => write!(f, "{peer} does not speak TLS"),
            TlsError::Protocol { peer, why } => write!(f, "the TLS handshake with {peer} failed: {why}"),
            TlsError::Io { peer, error } => write!(f, "the TLS handshake with {peer} failed: {error}"),
        }
    }
}

impl StdError for TlsError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            TlsError::Unreadable { error, .. } | TlsError::Io { error, .. } => Some(&**error),
            _ => None,
        }
    }
}

impl TlsError {
    pub(super) fn unreadable(file: &Path, error: io::Error) -> TlsError {
        TlsError::Unreadable { file: file.to_owned(), error: Arc::new(error) }
    }

    /// What a failed handshake with `peer` means.
    pub(super) fn of_handshake(error: io::Error, peer: &str) -> TlsError {
        match rustls_error(&error) {
            Some(error) => TlsError::of_rustls(error, peer),
            None => TlsError::Io { peer: peer.to_owned(), error: Arc::new(error) },
        }
    }

    /// What an error of an established stream means, if it is about TLS: with TLS 1.3 a server that refuses our
    /// certificate says so only after our side of the handshake is done, that is on the first read.
    pub(crate) fn of_stream(error: &io::Error, peer: &str) -> Option<TlsError> {
        rustls_error(error).map(|error| TlsError::of_rustls(error, peer))
    }

    pub(super) fn of_rustls(error: &rustls::Error, peer: &str) -> TlsError {
        let peer = peer.to_owned();
        match error {
            rustls::Error::InvalidCertificate(error) => TlsError::of_certificate(error, peer),
            rustls::Error::NoCertificatesPresented => TlsError::NoPeerCertificate,
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
                TlsError::CertificateWanted { peer }
            }
            rustls::Error::AlertReceived(alert) => TlsError::Refused { peer, alert: alert_words(*alert) },
            rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
                TlsError::NotTls { peer }
            }
            other => TlsError::Protocol { peer, why: one_line(other) },
        }
    }

    fn of_certificate(error: &CertificateError, peer: String) -> TlsError {
        match error {
            CertificateError::NotValidForNameContext { expected, presented } => TlsError::WrongHost {
                host: expected.to_str().into_owned(),
                names: presented.iter().map(|name| plain_name(name)).collect(),
            },
            CertificateError::NotValidForName => TlsError::WrongHost { host: peer, names: Vec::new() },
            CertificateError::ExpiredContext { not_after, .. } => {
                TlsError::Expired { peer, not_after: Some(moment(*not_after)) }
            }
            CertificateError::Expired => TlsError::Expired { peer, not_after: None },
            CertificateError::NotValidYetContext { not_before, .. } => {
                TlsError::NotYetValid { peer, not_before: Some(moment(*not_before)) }
            }
            CertificateError::NotValidYet => TlsError::NotYetValid { peer, not_before: None },
            CertificateError::UnknownIssuer => TlsError::UnknownIssuer { peer },
            CertificateError::Other(other) if other.0.is::<SelfSigned>() => TlsError::SelfSigned { peer },
            other => TlsError::BadCertificate { peer, why: one_line(other) },
        }
    }
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn alert_words(alert: AlertDescription) -> String {
    let name = alert.as_str().map_or_else(|| u8::from(alert).to_string(), str::to_owned);
    match alert {
        AlertDescription::HandshakeFailure => format!("{name} (no version, cipher or certificate in common)"),
        AlertDescription::UnrecognisedName => format!("{name} (it serves no host of this name)"),
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::UnsupportedCertificate => format!("{name} (it does not accept our certificate)"),
        AlertDescription::NoApplicationProtocol => format!("{name} (it does not offer http/1.1 here)"),
        _ => name,
    }
}

/// Some of what rustls prints comes from the peer.
fn one_line(error: &dyn fmt::Display) -> String {
    error.to_string().chars().map(|each| if each.is_control() { ' ' } else { each }).collect()
}

/// rustls prints names as `DnsName("example.com")` and `IpAddress(127.0.0.1)`.
fn plain_name(printed: &str) -> String {
    let inner = printed.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(printed);
    one_line(&inner.trim_matches('"'))
}

pub(super) fn moment(time: UnixTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs())
}

/// A file, or what was given as bytes.
struct Place<'a>(&'a Option<PathBuf>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(file) => write!(f, "'{}'", file.display()),
            None => f.write_str("the PEM that was given"),
        }
    }
}

/// Names in a sentence; the first few of them.
struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_MAX: usize = 4;
        if self.0.is_empty() {
            return f.write_str("no host at all (it has no subjectAltName)");
        }
        for (index, name) in self.0.iter().take(SHOWN_MAX).enumerate() {
            write!(f, "{}{name}", if index == 0 { "" } else { ", " })?;
        }
        match self.0.len().saturating_sub(SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// A day, in UTC.
struct Date(SystemTime);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (year, month, day) = civil(since.as_secs() / SECONDS_PER_DAY);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

pub(super) const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// Year, month and day of the given day after 1970-01-01, in the Gregorian calendar.
///
/// Years that begin in March have their leap day at the end, so that months have a regular length before it: 153
/// days for each five.
pub(super) fn civil(days: u64) -> (u64, u8, u8) {
    // 0000-03-01 is 719,468 days before 1970-01-01; 400 years have 146,097 days.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month as u8, day as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_dates() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (19_782, (2024, 2, 29)),
            (20_453, (2025, 12, 31)),
            (20_454, (2026, 1, 1)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(civil(days), date, "day {days}");
        }
    }

    #[test]
    fn what_a_certificate_says_stays_on_one_line() {
        assert_eq!(plain_name("DnsName(\"example.com\")"), "example.com");
        assert_eq!(plain_name("IpAddress(127.0.0.1)"), "127.0.0.1");
        assert_eq!(plain_name("DnsName(\"a\nb\")"), "a b");
    }

    #[test]
    fn many_names_are_counted() {
        let names: Vec<String> = ["a", "b", "c", "d", "e", "f"].map(String::from).to_vec();
        assert_eq!(Names(&names).to_string(), "a, b, c, d and 2 more");
        assert_eq!(Names(&names[..2]).to_string(), "a, b");
        assert_eq!(Names(&[]).to_string(), "no host at all (it has no subjectAltName)");
    }
}
