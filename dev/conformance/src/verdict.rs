//! How a case went.

use std::fmt;

/// How a case went, in the words of Autobahn.
///
/// Autobahn gives two marks, one for the answers and one for the end of the connection. Here there
/// is one, the worse of the two:
///
/// | Autobahn | here |
/// | --- | --- |
/// | OK, OK | `Ok` |
/// | NON-STRICT | `NonStrict` |
/// | INFORMATIONAL | `Informational` |
/// | FAILED, UNCLEAN, or the connection was failed by the wrong side | `Failed` |
/// | WRONG CODE in the reply to our close frame | `Failed` |
/// | WRONG CODE of a peer that was right to fail the connection | `NonStrict` |
/// | FAILED BY CLIENT: the server left the TCP connection to the client | `NonStrict` |
///
/// In three things the player sees more than Autobahn does: the bytes of large messages are compared,
/// not only their length; a peer that ignores a broken close frame fails; so does one that sends
/// frames after its close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Allowed, but not as good as it could be. The text says what.
    NonStrict(String),
    /// The protocol leaves the behaviour open. The text says what happened.
    Informational(String),
    /// Against the protocol. The text says what was expected and what was seen.
    Failed(String),
}

impl Verdict {
    /// Whether the protocol was kept.
    pub fn is_passed(&self) -> bool {
        !matches!(self, Verdict::Failed(_))
    }

    /// What there is to say beyond the mark.
    pub fn remark(&self) -> Option<&str> {
        match self {
            Verdict::Ok => None,
            Verdict::NonStrict(remark) | Verdict::Informational(remark) | Verdict::Failed(remark) => {
                Some(remark)
            }
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self {
            Verdict::Ok => "ok",
            Verdict::NonStrict(_) => "non-strict",
            Verdict::Informational(_) => "informational",
            Verdict::Failed(_) => "failed",
        };
        match self.remark() {
            Some(remark) => write!(f, "{mark}: {remark}"),
            None => f.write_str(mark),
        }
    }
}
