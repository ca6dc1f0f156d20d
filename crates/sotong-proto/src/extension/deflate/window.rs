//! The last plain text of one direction: all that the next message may refer to.

use super::negotiation::Direction;

/// At most 2^bits bytes, and none at all in a direction without context takeover.
#[derive(Default)]
pub(super) struct Window {
    bytes: Vec<u8>,
    max: usize,
}

impl Window {
    pub(super) fn new(direction: Direction) -> Self {
        Window { bytes: Vec::new(), max: if direction.takeover { direction.window_bits.bytes() } else { 0 } }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds what was sent or received. Memory grows with it, by doubling, up to 2^bits bytes.
    pub(super) fn push(&mut self, plain: &[u8]) {
        let plain = &plain[plain.len().saturating_sub(self.max)..];
        let kept = self.bytes.len().min(self.max - plain.len());
        self.bytes.drain(..self.bytes.len() - kept);
        let length = kept + plain.len();
        if length > self.bytes.capacity() {
            self.bytes.reserve_exact(length.next_power_of_two().min(self.max) - kept);
        }
        self.bytes.extend_from_slice(plain);
    }

    /// Forgets it all.
    pub(super) fn forget(&mut self) {
        self.bytes = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::WindowBits;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_the_end_of_all_that_came(bits in 8u8..=15, pieces in proptest::collection::vec(0usize..3000, 0..40)) {
            let window_bits = WindowBits::new(bits).expect("8 to 15");
            let mut window = Window::new(Direction { window_bits, takeover: true });
            let mut all = Vec::new();
            for (index, length) in pieces.into_iter().enumerate() {
                let piece: Vec<u8> = (0..length).map(|at| (at * 7 + index * 31) as u8).collect();
                window.push(&piece);
                all.extend(piece);
                let expected = &all[all.len().saturating_sub(1 << bits)..];
                prop_assert_eq!(window.as_bytes(), expected);
                prop_assert!(window.bytes.capacity() <= 1 << bits, "{} bytes", window.bytes.capacity());
                prop_assert!(window.bytes.capacity() <= 2 * all.len().max(1));
            }
            window.forget();
            prop_assert_eq!(window.bytes.capacity(), 0);
        }
    }

    #[test]
    fn without_takeover_nothing_is_kept() {
        let mut window = Window::new(Direction { window_bits: WindowBits::MAX, takeover: false });
        window.push(b"something");
        assert_eq!((window.as_bytes(), window.bytes.capacity()), (&b""[..], 0));
    }
}
