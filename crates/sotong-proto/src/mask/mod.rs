//! Masking (RFC 6455, section 5.3): the payload of a client's frames, exclusive-or a key of four bytes.

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};

#[expect(
    unsafe_code,
    reason = "two calls of what a machine may not have, and text that was seen to be ASCII"
)]
mod unmask;

pub(crate) use unmask::{Unmasked, unmask};

/// The key of one frame.
pub(crate) type MaskKey = [u8; 4];

/// Masks or unmasks `payload` in place; `key[0]` belongs to its first byte.
#[inline]
pub(crate) fn apply(payload: &mut [u8], key: MaskKey) {
    unmask::apply(payload, key);
}

/// The key as it applies to the bytes after the next `count` ones.
#[inline]
pub(crate) fn advance(mut key: MaskKey, count: usize) -> MaskKey {
    key.rotate_left(count % 4);
    key
}

/// 32 bytes from the operating system's generator, from which a client derives its masking keys.
///
/// A new one for each connection, never a constant: what a proxy between the two ends sees must not be
/// predictable (section 10.3; a fixed mask was CVE-2025-10148).
#[derive(Clone)]
pub struct Seed(pub [u8; 32]);

/// The masking keys of one client connection: a fresh one for each frame, from ChaCha12.
pub(crate) struct MaskKeys(ChaCha12Rng);

impl MaskKeys {
    pub(crate) fn new(seed: Seed) -> Self {
        MaskKeys(ChaCha12Rng::from_seed(seed.0))
    }

    pub(crate) fn next_key(&mut self) -> MaskKey {
        self.0.next_u32().to_ne_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c9_in_two_parts_as_in_one() {
        let key = [1, 2, 3, 4];
        for split in 0..40 {
            let mut whole = [0u8; 40];
            let mut parts = whole;
            apply(&mut whole, key);
            apply(&mut parts[..split], key);
            apply(&mut parts[split..], advance(key, split));
            assert_eq!(whole, parts, "split {split}");
        }
    }

    #[test]
    fn c8_keys_are_fresh_and_spread_evenly() {
        let mut keys = MaskKeys::new(Seed([7; 32]));
        let drawn: Vec<MaskKey> = (0..100_000).map(|_| keys.next_key()).collect();
        let mut sorted = drawn.clone();
        sorted.sort_unstable();
        sorted.dedup();
        // 100,000 draws from 2^32 collide 1.16 times on average.
        assert!(drawn.len() - sorted.len() <= 10, "{} repeats", drawn.len() - sorted.len());
        for position in 0..4 {
            let mut counts = [0f64; 256];
            drawn.iter().for_each(|key| counts[usize::from(key[position])] += 1.0);
            let expected = drawn.len() as f64 / 256.0;
            let chi_square: f64 = counts.iter().map(|count| (count - expected).powi(2) / expected).sum();
            // 255 degrees of freedom: above 370 once in a million.
            assert!(chi_square < 370.0, "byte {position}: chi-square {chi_square}");
        }
    }
}
