//! `Sec-WebSocket-Key` and the `Sec-WebSocket-Accept` that answers it (RFC 6455, section 4.2.2).

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha1::{Digest, Sha1};

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Base64 with the padding that RFC 4648 asks for. What the last character holds beyond the 16 bytes is not
/// looked at: section 3.5 leaves that to the decoder, and some clients draw all 22 characters at random.
const KEY: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// A key that was checked: the base64 form of exactly 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key([u8; 24]);

impl Key {
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let key: [u8; 24] = value.try_into().ok()?;
        let mut nonce = [0; 18];
        match KEY.decode_slice(key, &mut nonce) {
            Ok(16) => Some(Key(key)),
            _ => None,
        }
    }

    /// The key that a client sends.
    pub(super) fn from_nonce(nonce: [u8; 16]) -> Self {
        let mut key = [0; 24];
        let written = STANDARD.encode_slice(nonce, &mut key);
        debug_assert_eq!(written, Ok(24), "16 bytes are 24 characters");
        Key(key)
    }

    pub(super) fn as_str(&self) -> &str {
        // Base64 is ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The value of `Sec-WebSocket-Accept`.
    pub(super) fn accept(&self) -> String {
        let mut hash = Sha1::new();
        hash.update(self.0);
        hash.update(GUID);
        STANDARD.encode(hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a9_accept_of_the_rfc() {
        let key = Key::parse(b"dGhlIHNhbXBsZSBub25jZQ==").expect("the key of the RFC");
        assert_eq!(key.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(Key::from_nonce(*b"the sample nonce"), key);
        assert_eq!(key.as_str(), "dGhlIHNhbXBsZSBub25jZQ==");
    }

    #[test]
    fn a5_keys() {
        for good in ["AAAAAAAAAAAAAAAAAAAAAA==", "+/+/+/+/+/+/+/+/+/+/+w==", "abcdefghijklmnopqrstuv=="] {
            assert!(Key::parse(good.as_bytes()).is_some(), "{good}");
        }
        for bad in [
            "",
            "AAAAAAAAAAAAAAAAAAAAAA",  // no padding
            "AAAAAAAAAAAAAAAAAAAAAA=", // half of it
            "AAAAAAAAAAAAAAAAAAAAAA= ",
            "AAAAAAAAAAAAAAAAAAAAAAA=", // 17 bytes
            "AAAAAAAAAAAAAAAAAAAAAAAA", // 18 bytes
            "AAAAAAAAAAAAAAAAAAAA",     // 15 bytes
            "AAAAAAAAAAAAAAAAAAAAAA====",
            "AAAAAAAAAAAA\0AAAAAAAAA==",
            "-_-_-_-_-_-_-_-_-_-_-w==", // the other alphabet (base64url)
            "AAAAAAAAAA=AAAAAAAAAAA==",
        ] {
            assert!(Key::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn a5_any_length_is_judged_without_panic() {
        for length in 0..=4096 {
            for byte in [b'A', b'=', 0xff] {
                assert!(Key::parse(&vec![byte; length]).is_none());
            }
        }
    }
}
