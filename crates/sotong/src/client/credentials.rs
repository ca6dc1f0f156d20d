//! User names, passwords and tokens: checked, and in the form in which they are sent.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use url::Url;

/// A user name and a password. Neither is ever shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct UserPassword {
    pub(super) user: Vec<u8>,
    pub(super) password: Vec<u8>,
}

impl UserPassword {
    /// # Errors
    /// What RFC 7617, section 2 forbids: control characters in either, a colon in the user name.
    pub(super) fn new(
        user: impl Into<Vec<u8>>,
        password: impl Into<Vec<u8>>,
    ) -> Result<Self, CredentialsError> {
        let (user, password) = (user.into(), password.into());
        if user.contains(&b':') {
            return Err(CredentialsError::Colon);
        }
        if user.iter().chain(&password).any(u8::is_ascii_control) {
            return Err(CredentialsError::Control);
        }
        Ok(UserPassword { user, password })
    }

    /// Those that stand in a URL, percent-encoded; `None` if there are none.
    pub(super) fn of_url(url: &Url) -> Result<Option<Self>, CredentialsError> {
        if url.username().is_empty() && url.password().is_none() {
            return Ok(None);
        }
        let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
        UserPassword::new(decoded(url.username()), decoded(url.password().unwrap_or_default())).map(Some)
    }

    /// As `Authorization` and `Proxy-Authorization` have it (RFC 7617).
    pub(super) fn basic(&self) -> String {
        let pair = [self.user.as_slice(), b":", &self.password].concat();
        format!("Basic {}", STANDARD.encode(pair))
    }
}

impl fmt::Debug for UserPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserPassword")
    }
}

/// As `Authorization` has a bearer's token (RFC 6750, section 2.1).
///
/// # Errors
/// When it is empty, or has a character that is not visible ASCII: a line end behind it, most often.
pub(super) fn bearer(token: &str) -> Result<String, CredentialsError> {
    match token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Err(CredentialsError::Token),
        false => Ok(format!("Bearer {token}")),
    }
}

/// Credentials that cannot be sent. They are not repeated here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialsError {
    /// A colon in a user name, which would end it (RFC 7617, section 2).
    Colon,
    /// A control character in a user name or a password.
    Control,
    /// A token that is empty, or has a character that is not visible ASCII.
    Token,
    /// A user name or a password that is longer than SOCKS5 can say (RFC 1929, section 2).
    TooLong {
        /// How many bytes it has.
        bytes: usize,
        /// How many it may have.
        max: usize,
    },
    /// An empty user name, which SOCKS5 cannot say.
    NoUser,
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CredentialsError::Colon => f.write_str("the user name holds a colon, which would end it"),
            CredentialsError::Control => f.write_str(
                "the user name or the password holds a control character (a line break at its end?)",
            ),
            CredentialsError::Token => f.write_str(
                "the token is empty or holds a character that is not visible ASCII (a line break at its end?)",
            ),
            CredentialsError::TooLong { bytes, max } => {
                write!(f, "a user name or password of {bytes} bytes, SOCKS5 has room for {max}")
            }
            CredentialsError::NoUser => f.write_str("the user name is empty, SOCKS5 wants one"),
        }
    }
}

impl std::error::Error for CredentialsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_as_the_rfc_has_it() {
        let pair = UserPassword::new("Aladdin", "open sesame").expect("they may be sent");
        assert_eq!(pair.basic(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        // Section 2.1 of RFC 7617, in UTF-8.
        let pair = UserPassword::new("test", "123\u{a3}").expect("they may be sent");
        assert_eq!(pair.basic(), "Basic dGVzdDoxMjPCow==");
        assert_eq!(UserPassword::new("", "a:b").expect("they may be sent").basic(), "Basic OmE6Yg==");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_and_not_repeated() {
        for (user, password, error) in [
            ("se:cret", "", CredentialsError::Colon),
            ("a", "secret\n", CredentialsError::Control),
            ("secret\0", "", CredentialsError::Control),
        ] {
            assert_eq!(UserPassword::new(user, password), Err(error));
            assert!(!format!("{error} {error:?}").contains("cret"));
        }
        for token in ["", "secret\n", "sec ret", "소통"] {
            assert_eq!(bearer(token), Err(CredentialsError::Token), "{token:?}");
        }
        assert_eq!(bearer("a.b-c_d~e+f/g="), Ok("Bearer a.b-c_d~e+f/g=".to_owned()));
    }

    #[test]
    fn those_of_a_url_are_decoded() {
        let of = |url: &str| UserPassword::of_url(&Url::parse(url).expect("a URL"));
        let pair = |user: &[u8], password: &[u8]| UserPassword::new(user, password).map(Some);
        assert_eq!(of("ws://a/"), Ok(None));
        assert_eq!(of("ws://u@a/"), pair(b"u", b""));
        assert_eq!(of("ws://:p@a/"), pair(b"", b"p"));
        assert_eq!(of("ws://u%40x:p%3a%ff@a/"), pair(b"u@x", b"p:\xff"));
        assert_eq!(of("ws://u%3Ax:p@a/"), Err(CredentialsError::Colon));
        assert_eq!(of("ws://u:p%0a@a/"), Err(CredentialsError::Control));
    }
}
