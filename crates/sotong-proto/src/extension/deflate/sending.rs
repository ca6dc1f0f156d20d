//! From the payload of a message to that of a compressed frame.

use std::sync::Arc;

use super::codecs::Codecs;
use super::deflater::Kind;
use super::negotiation::Deflate;
use super::settings::{Compression, WindowBits};
use super::window::Window;

/// What this end sends, compressed. An idle one owns no codec; with context takeover it keeps the last plain text.
pub(crate) struct Sending {
    window_bits: WindowBits,
    window: Window,
    codecs: Arc<Codecs>,
}

impl Sending {
    pub(crate) fn new(deflate: &Deflate, codecs: Arc<Codecs>) -> Self {
        Sending { window_bits: deflate.send.window_bits, window: Window::new(deflate.send), codecs }
    }

    /// The window that the peer has for what it is sent.
    pub(crate) fn window_bits(&self) -> WindowBits {
        self.window_bits
    }

    /// Something was sent that was compressed with an empty window, for many: the peer's window has moved on. References
    /// to what was before are never owed, so all of it is forgotten.
    pub(crate) fn sent_for_many(&mut self) {
        self.window.forget();
    }

    /// Compresses a message and hands it to `frame`; false if it is to be sent as it is: because it is small, does not
    /// get smaller, or the budget for codecs is used up. That leaves the window alone (RFC 7692, section 7.2.3.3).
    pub(crate) fn compress(
        &mut self,
        compression: &Compression,
        plain: &[u8],
        frame: impl FnOnce(&[u8]),
    ) -> bool {
        if plain.len() < compression.threshold_bytes {
            return false;
        }
        let kind = Kind { window_bits: self.window_bits, level: compression.level };
        let Some(mut deflater) = self.codecs.lend_deflater(kind) else { return false };
        let Some(compressed) = deflater.compress(self.window.as_bytes(), plain) else { return false };
        frame(compressed);
        self.window.push(plain);
        true
    }
}
