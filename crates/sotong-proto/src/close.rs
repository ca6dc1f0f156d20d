//! Close codes, the Close frame, and how a connection ended (RFC 6455, section 7).

use std::fmt;

use crate::error::{Error, ProtocolError};
use crate::message::Text;

/// A close code that may stand in a Close frame: 1000–1003, 1007–1014 or 3000–4999.
///
/// RFC 6455, section 7.4, and the codes that IANA has registered since. 1004–1006 and 1015 are reserved and never
/// travel; 1016–2999 are not assigned.
///
/// ```
/// use sotong_proto::CloseCode;
///
/// const KICKED: CloseCode = CloseCode::new(4000).unwrap();
/// assert_eq!(u16::from(KICKED), 4000);
/// assert_eq!(CloseCode::new(1005), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// 1001: a server goes down, or a page is left.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: CloseCode = CloseCode(1002);
    /// 1003: a kind of data that this end cannot accept.
    pub const UNSUPPORTED_DATA: CloseCode = CloseCode(1003);
    /// 1007: data that does not fit its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: CloseCode = CloseCode(1007);
    /// 1008: a rule was broken, and no other code fits.
    pub const POLICY_VIOLATION: CloseCode = CloseCode(1008);
    /// 1009: a message that is too big.
    pub const MESSAGE_TOO_BIG: CloseCode = CloseCode(1009);
    /// 1010: the client needed an extension that the server did not offer.
    pub const MANDATORY_EXTENSION: CloseCode = CloseCode(1010);
    /// 1011: the server met something unexpected, such as a handler that panicked.
    pub const INTERNAL_ERROR: CloseCode = CloseCode(1011);
    /// 1012: the server restarts; come back in a moment.
    pub const SERVICE_RESTART: CloseCode = CloseCode(1012);
    /// 1013: the server is overloaded; come back later.
    pub const TRY_AGAIN_LATER: CloseCode = CloseCode(1013);
    /// 1014: a gateway got an invalid answer from the server behind it.
    pub const BAD_GATEWAY: CloseCode = CloseCode(1014);

    /// The code, or `None` if it must not stand in a Close frame.
    ///
    /// Constant, so that an application's codes can be constants: `CloseCode::new(4001).unwrap()`.
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(CloseCode(code)),
            _ => None,
        }
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> u16 {
        code.0
    }
}

impl TryFrom<u16> for CloseCode {
    type Error = ProtocolError;

    fn try_from(code: u16) -> Result<Self, ProtocolError> {
        CloseCode::new(code).ok_or(ProtocolError::CloseCode(code))
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a Close frame says: nothing, or a code with a reason.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Close {
    body: Option<(CloseCode, Text)>,
}

impl Close {
    /// The most bytes of reason that fit a Close frame: 125 bytes less two for the code.
    pub const REASON_BYTES_MAX: usize = 123;

    /// A Close with a code and a reason for humans (which browsers show to scripts).
    ///
    /// A reason above [`REASON_BYTES_MAX`](Self::REASON_BYTES_MAX) bytes is cut, between two characters.
    ///
    /// ```
    /// use sotong_proto::{Close, CloseCode};
    ///
    /// let close = Close::new(CloseCode::GOING_AWAY, "다시 만나요");
    /// assert_eq!(close.code(), Some(CloseCode::GOING_AWAY));
    /// assert_eq!(close.reason(), "다시 만나요");
    /// assert_eq!(Close::new(CloseCode::NORMAL, &"소".repeat(50)).reason().len(), 123);
    /// ```
    pub fn new(code: CloseCode, reason: &str) -> Self {
        Close { body: Some((code, reason[..reason.floor_char_boundary(Self::REASON_BYTES_MAX)].into())) }
    }

    /// A Close frame without a body; the peer reports it as 1005.
    pub const fn empty() -> Self {
        Close { body: None }
    }

    /// The code, if there is one.
    pub fn code(&self) -> Option<CloseCode> {
        self.body.as_ref().map(|(code, _)| *code)
    }

    /// The reason; empty if there is none.
    pub fn reason(&self) -> &str {
        self.body.as_ref().map_or("", |(_, reason)| reason)
    }

    /// Reads the body of a Close frame (RFC 6455, section 5.5.1).
    pub(crate) fn decode(payload: &[u8]) -> Result<Close, ProtocolError> {
        match payload {
            [] => Ok(Close::empty()),
            [_] => Err(ProtocolError::CloseBodyOfOneByte),
            [high, low, reason @ ..] => {
                let code = CloseCode::try_from(u16::from_be_bytes([*high, *low]))?;
                let reason =
                    simdutf8::basic::from_utf8(reason).map_err(|_| ProtocolError::CloseReasonUtf8)?;
                Ok(Close { body: Some((code, reason.into())) })
            }
        }
    }

    /// The body of the Close frame that says this.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Some((code, reason)) = &self.body else { return Vec::new() };
        [&code.0.to_be_bytes(), reason.as_bytes()].concat()
    }
}

impl From<CloseCode> for Close {
    /// A Close with this code and no reason.
    fn from(code: CloseCode) -> Close {
        Close::new(code, "")
    }
}

/// Which end was the first to send a Close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    /// This end.
    Local,
    /// The other end.
    Peer,
}

/// How a connection ended: who closed first, what both said, and what went wrong if anything did.
///
/// ```
/// use sotong_proto::Closed;
///
/// let closed = Closed::vanished(); // no Close came
/// assert_eq!((closed.code(), closed.reason(), closed.clean), (1006, "", false));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// Who sent a Close first; `None` if nobody did.
    pub first: Option<Initiator>,
    /// The Close that this end sent.
    pub sent: Option<Close>,
    /// The Close that came from the peer.
    pub received: Option<Close>,
    /// Why this end gave the connection up; `None` for a regular end, and when the peer just vanished.
    pub error: Option<Error>,
    /// Whether TCP was closed by the peer, or by us, after Close frames had gone both ways (RFC 6455,
    /// section 7.1.4).
    pub clean: bool,
}

impl Closed {
    /// How a connection ended about which nothing more is known: the peer vanished.
    pub fn vanished() -> Self {
        Closed { first: None, sent: None, received: None, error: None, clean: false }
    }

    /// The code as an application sees it (section 7.1.5): the one that was received; 1005 if the peer's Close had
    /// none; 1006 if no Close came.
    ///
    /// 1005 and 1006 never travel, so this is a number and not a [`CloseCode`].
    pub fn code(&self) -> u16 {
        match &self.received {
            None => 1006,
            Some(close) => close.code().map_or(1005, u16::from),
        }
    }

    /// The reason that the peer gave; empty if it gave none.
    pub fn reason(&self) -> &str {
        self.received.as_ref().map_or("", Close::reason)
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first {
            Some(Initiator::Local) => f.write_str("closed by this end")?,
            Some(Initiator::Peer) => f.write_str("closed by the peer")?,
            None => f.write_str("the peer vanished without a close frame")?,
        }
        for (who, close) in [("sent", &self.sent), ("received", &self.received)] {
            match close {
                Some(close) => match close.code() {
                    Some(code) => write!(f, ", {who} {code} {:?}", close.reason())?,
                    None => write!(f, ", {who} no code")?,
                },
                None if self.first.is_some() => write!(f, ", {who} nothing")?,
                None => {}
            }
        }
        match &self.error {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c18_codes_that_may_travel() {
        let allowed: Vec<u16> = (0..=u16::MAX).filter(|code| CloseCode::new(*code).is_some()).collect();
        let expected: Vec<u16> = (1000..=1003).chain(1007..=1014).chain(3000..=4999).collect();
        assert_eq!(allowed, expected);
    }

    #[test]
    fn c18_body_of_one_byte_and_bad_codes() {
        assert_eq!(Close::decode(&[]), Ok(Close::empty()));
        assert_eq!(Close::decode(&[3]), Err(ProtocolError::CloseBodyOfOneByte));
        assert_eq!(Close::decode(&[3, 0xed]), Err(ProtocolError::CloseCode(1005)));
        assert_eq!(Close::decode(&[3, 0xe8]), Ok(CloseCode::NORMAL.into()));
    }

    #[test]
    fn c19_reason_must_be_utf8_and_is_cut_between_characters() {
        assert_eq!(Close::decode(&[3, 0xe8, 0xff]), Err(ProtocolError::CloseReasonUtf8));
        let close = Close::new(CloseCode::NORMAL, &"é".repeat(62));
        assert_eq!(close.reason(), "é".repeat(61));
        assert_eq!(Close::decode(&close.encode()), Ok(close));
    }

    #[test]
    fn c24_codes_that_are_only_local() {
        let mut closed = Closed::vanished();
        assert_eq!((closed.code(), closed.reason()), (1006, ""));
        closed.received = Some(Close::empty());
        assert_eq!((closed.code(), closed.reason()), (1005, ""));
        closed.received = Some(Close::new(CloseCode::GOING_AWAY, "bye"));
        assert_eq!((closed.code(), closed.reason()), (1001, "bye"));
    }
}
