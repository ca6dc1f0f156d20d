//! What both ends agree on (RFC 7692, section 7.1): the server picks from the client's offers, the client checks.

use std::fmt;

use super::NAME;
use super::parameters::Parameters;
use super::settings::{Compression, CompressionMode, WindowBits};
use crate::handshake::ExtensionOffer;

/// permessage-deflate as both ends have agreed on it: one value for each direction.
///
/// It comes out of a handshake, and goes into a [`Connection`](crate::Connection) and its
/// [`Outbox`](crate::Outbox).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflate {
    pub(super) send: Direction,
    pub(super) receive: Direction,
}

/// How one direction is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Direction {
    pub(super) window_bits: WindowBits,
    /// Whether a message may refer to those before it.
    pub(super) takeover: bool,
}

/// What a client has offered, to check the answer against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offered(Compression);

/// What is wrong with a server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NegotiationError(pub(crate) &'static str);

impl Deflate {
    /// The window of what this end sends.
    pub fn send_window_bits(&self) -> WindowBits {
        self.send.window_bits
    }

    /// Whether this end keeps plain text that it has sent, for the next message to refer to.
    pub fn send_takeover(&self) -> bool {
        self.send.takeover
    }

    /// Whether this end keeps plain text that it has received, for the next message to refer to.
    pub fn receive_takeover(&self) -> bool {
        self.receive.takeover
    }

    /// The largest window of what the peer sends.
    pub fn receive_window_bits(&self) -> WindowBits {
        self.receive.window_bits
    }

    /// A server's choice: the first of the offers that it can accept, in the client's order (section 5.1), and the
    /// element that says so. `None` if there is none; then the connection goes uncompressed.
    pub(crate) fn choose<'a>(
        offers: impl Iterator<Item = ExtensionOffer<'a>>,
        compression: &Compression,
    ) -> Option<(Deflate, String)> {
        offers
            .filter(|offer| offer.name() == NAME)
            // Section 7: an offer with a parameter that is unknown, repeated or has an invalid value is declined.
            .find_map(|offer| Parameters::parse(&offer).ok())
            .map(|offered| accept(&offered, compression))
    }
}

/// There is no offer that is well-formed and that we cannot do: every window down to 256 bytes, in both directions.
fn accept(offered: &Parameters, compression: &Compression) -> (Deflate, String) {
    let is_shared = compression.mode == CompressionMode::Shared;
    let send = Direction {
        window_bits: compression.window_bits.min(offered.server_max_window_bits.unwrap_or(WindowBits::MAX)),
        takeover: !is_shared && !offered.server_no_context_takeover,
    };
    // In shared mode the codec brings a window of any size along, so the client may use all of its own.
    let wanted = if is_shared { WindowBits::MAX } else { askable(compression.window_bits) };
    let receive_bits = match offered.client_max_window_bits {
        Some(client_max) => wanted.min(client_max.unwrap_or(WindowBits::MAX)),
        // Section 7.1.2.2: without it in the offer, the answer must not limit the client's window.
        None => WindowBits::MAX,
    };
    let receive = Direction {
        window_bits: receive_bits,
        // Section 7.1.1.2: the server may ask for this whether it was offered or not. So it does where it could
        // not keep the window that the client insists on.
        takeover: !is_shared && !offered.client_no_context_takeover && receive_bits <= wanted,
    };
    let deflate = Deflate { send, receive };
    let server_bits = offered.server_max_window_bits.is_some() || send.window_bits < WindowBits::MAX;
    let client_bits = offered.client_max_window_bits.is_some() && receive_bits < WindowBits::MAX;
    let element = Element {
        server_no_context_takeover: !send.takeover,
        client_no_context_takeover: !receive.takeover,
        server_max_window_bits: server_bits.then_some(send.window_bits),
        client_max_window_bits: client_bits.then_some(Some(receive_bits)),
    };
    (deflate, element.to_string())
}

/// What a peer may be asked to do with. A compressor that is zlib has no window of 256 bytes, so who uses it could not
/// agree; one of 512 costs this end 256 bytes more.
fn askable(window_bits: WindowBits) -> WindowBits {
    window_bits.max(WindowBits::ASKABLE_MIN)
}

impl Offered {
    pub(crate) fn new(compression: Compression) -> Self {
        Offered(compression)
    }

    fn parameters(&self) -> Element {
        let Compression { mode, window_bits, .. } = self.0;
        let is_shared = mode == CompressionMode::Shared;
        let limited = (window_bits < WindowBits::MAX).then_some(window_bits);
        Element {
            server_no_context_takeover: is_shared,
            // A hint: what we send stands alone whatever the answer says (section 7.1.1.2).
            client_no_context_takeover: is_shared,
            // In shared mode the codec brings a window of any size along.
            server_max_window_bits: if is_shared { None } else { limited.map(askable) },
            client_max_window_bits: Some(limited),
        }
    }

    /// The element of the client's request.
    pub(crate) fn element(&self) -> String {
        self.parameters().to_string()
    }

    /// Checks the one element of the server's answer (section 7.1: "MUST fail the connection").
    pub(crate) fn check(&self, answer: &ExtensionOffer<'_>) -> Result<Deflate, NegotiationError> {
        if answer.name() != NAME {
            return Err(NegotiationError("an extension that was not offered"));
        }
        let offered = self.parameters();
        let answered = Parameters::parse(answer).map_err(NegotiationError)?;
        if offered.server_no_context_takeover && !answered.server_no_context_takeover {
            // Section 7.1.1.1: a server accepts this by saying so.
            return Err(NegotiationError("server_no_context_takeover was asked for and is missing"));
        }
        let receive_bits = match (offered.server_max_window_bits, answered.server_max_window_bits) {
            (Some(_), None) => {
                return Err(NegotiationError("server_max_window_bits was asked for and is missing"));
            }
            (Some(max), Some(bits)) if bits > max => {
                return Err(NegotiationError("server_max_window_bits above what was asked for"));
            }
            (_, Some(bits)) => bits,
            (None, None) => WindowBits::MAX,
        };
        let send_max = match (offered.client_max_window_bits, answered.client_max_window_bits) {
            (_, None) => WindowBits::MAX,
            (_, Some(None)) => return Err(NegotiationError("client_max_window_bits has no value")),
            (None, Some(_)) => return Err(NegotiationError("client_max_window_bits was not offered")),
            (Some(max), Some(Some(bits))) if bits > max.unwrap_or(WindowBits::MAX) => {
                return Err(NegotiationError("client_max_window_bits above what was offered"));
            }
            (Some(_), Some(Some(bits))) => bits,
        };
        let is_shared = self.0.mode == CompressionMode::Shared;
        Ok(Deflate {
            send: Direction {
                window_bits: self.0.window_bits.min(send_max),
                takeover: !is_shared && !answered.client_no_context_takeover,
            },
            receive: Direction { window_bits: receive_bits, takeover: !answered.server_no_context_takeover },
        })
    }
}

/// The element as it stands in a header: the parameters in the order of section 7.1.
type Element = Parameters;

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            f.write_str("; server_no_context_takeover")?;
        }
        if self.client_no_context_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; server_max_window_bits={bits}")?;
        }
        match self.client_max_window_bits {
            Some(Some(bits)) => write!(f, "; client_max_window_bits={bits}"),
            Some(None) => f.write_str("; client_max_window_bits"),
            None => Ok(()),
        }
    }
}
