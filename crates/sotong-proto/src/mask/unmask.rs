//! Masking and unmasking at the width of the machine, with a look at what the bytes are on the way.
//!
//! One safe loop over words of eight bytes, which the compiler turns into vector instructions: SSE2 or NEON, which every
//! x86-64 and AArch64 has; and once more each for AVX2 and AVX-512, which are asked for when the program runs. Bench:
//! `codec` in `dev/bench`; Autobahn's large messages and 50 × 8 × 1 KiB pay for it.

use super::MaskKey;

/// From this many bytes on the question which instructions there are pays for itself.
#[cfg(target_arch = "x86_64")]
const WIDE_BYTES_MIN: usize = 128;

/// A payload that was unmasked in place.
pub(crate) struct Unmasked<'a> {
    bytes: &'a [u8],
    is_ascii: bool,
}

impl<'a> Unmasked<'a> {
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// As text, if all of it is ASCII. Otherwise it may be text all the same.
    #[inline]
    pub(crate) fn ascii(&self) -> Option<&'a str> {
        // SAFETY: `is_ascii` is true only if `unmask` has seen no byte above 0x7f among just these, which have been borrowed
        // since; and bytes up to 0x7f are UTF-8.
        self.is_ascii.then(|| unsafe { std::str::from_utf8_unchecked(self.bytes) })
    }
}

/// Unmasks `payload` in place and sees whether it is ASCII; `key[0]` belongs to its first byte.
#[inline]
pub(crate) fn unmask(payload: &mut [u8], key: MaskKey) -> Unmasked<'_> {
    let is_ascii = apply(payload, key);
    Unmasked { bytes: payload, is_ascii }
}

/// Masks or unmasks in place; true if what it has become is ASCII.
#[inline]
pub(super) fn apply(payload: &mut [u8], key: MaskKey) -> bool {
    #[cfg(target_arch = "x86_64")]
    if payload.len() >= WIDE_BYTES_MIN {
        return wide::apply(payload, key);
    }
    on_any(payload, key)
}

/// The same by the instructions that this function is compiled with. Also the twin that the others are tested against.
#[inline(always)]
fn on_any(payload: &mut [u8], key: MaskKey) -> bool {
    let length = payload.len();
    // Of a length that is no multiple of eight the last word overlaps the one before, so it is read before that changes.
    let Some(last) = payload.last_chunk::<8>() else { return on_few(payload, key) };
    let word = twice(key);
    let last = u64::from_ne_bytes(*last) ^ advanced(word, length);
    let mut seen = last;
    for bytes in payload.as_chunks_mut::<8>().0 {
        let unmasked = u64::from_ne_bytes(*bytes) ^ word;
        seen |= unmasked;
        *bytes = unmasked.to_ne_bytes();
    }
    if let Some(bytes) = payload.last_chunk_mut::<8>() {
        *bytes = last.to_ne_bytes();
    }
    seen & 0x8080_8080_8080_8080 == 0
}

/// Less than a word.
#[inline(always)]
fn on_few(payload: &mut [u8], key: MaskKey) -> bool {
    let mut seen = 0;
    for (byte, key) in payload.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
        seen |= *byte;
    }
    seen < 0x80
}

/// The key as it applies to eight bytes. By arithmetic: put together from bytes it is forty instructions.
fn twice(key: MaskKey) -> u64 {
    let key = u64::from(u32::from_ne_bytes(key));
    key << 32 | key
}

/// The same after `count` bytes.
fn advanced(word: u64, count: usize) -> u64 {
    let bits = (count % 4) as u32 * 8;
    if cfg!(target_endian = "little") { word.rotate_right(bits) } else { word.rotate_left(bits) }
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use super::{MaskKey, on_any};

    /// By the widest instructions of this machine.
    #[inline]
    pub(super) fn apply(payload: &mut [u8], key: MaskKey) -> bool {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
            // SAFETY: this machine has AVX-512 F and BW.
            unsafe { on_avx512(payload, key) }
        } else if is_x86_feature_detected!("avx2") {
            // SAFETY: this machine has AVX2.
            unsafe { on_avx2(payload, key) }
        } else {
            on_any(payload, key)
        }
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn on_avx2(payload: &mut [u8], key: MaskKey) -> bool {
        on_any(payload, key)
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn on_avx512(payload: &mut [u8], key: MaskKey) -> bool {
        on_any(payload, key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Apply = fn(&mut [u8], MaskKey) -> bool;

    /// All that this machine can run.
    fn versions() -> Vec<(&'static str, Apply)> {
        let mut versions: Vec<(&'static str, Apply)> =
            vec![("any", |bytes, key| on_any(bytes, key)), ("chosen", apply)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                // SAFETY: it was detected.
                versions.push(("AVX2", |bytes, key| unsafe { wide::on_avx2(bytes, key) }));
            }
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
                // SAFETY: both were detected.
                versions.push(("AVX-512", |bytes, key| unsafe { wide::on_avx512(bytes, key) }));
            }
        }
        versions
    }

    /// Byte by byte, as section 5.3 has it.
    fn by_the_rule(bytes: &[u8], key: MaskKey) -> Vec<u8> {
        bytes.iter().enumerate().map(|(index, byte)| byte ^ key[index % 4]).collect()
    }

    fn check(masked: &[u8], offset: usize, key: MaskKey) {
        let expected = by_the_rule(masked, key);
        for (name, apply) in versions() {
            // Around it nothing changes, wherever it lies.
            let mut buffer = vec![0xaa; offset + masked.len() + 9];
            buffer[offset..offset + masked.len()].copy_from_slice(masked);
            let is_ascii = apply(&mut buffer[offset..offset + masked.len()], key);
            assert_eq!(&buffer[offset..offset + masked.len()], &expected[..], "{name}");
            assert_eq!(is_ascii, expected.is_ascii(), "{name}");
            let around = buffer[..offset].iter().chain(&buffer[offset + masked.len()..]);
            assert!(around.copied().all(|byte| byte == 0xaa), "{name}");
        }
    }

    #[test]
    fn c9_every_length_and_offset_agrees_with_the_byte_by_byte_rule() {
        let lengths = if cfg!(miri) { 40 } else { 400 };
        for length in 0..lengths {
            let text: Vec<u8> = (0..length).map(|index| (index * 7) as u8 & 0x7f).collect();
            check(&by_the_rule(&text, [0x37, 0xfa, 0x21, 0x3d]), length % 17, [0x37, 0xfa, 0x21, 0x3d]);
        }
    }

    #[test]
    fn c28_one_byte_beyond_ascii_is_seen_wherever_it_stands() {
        let key = [0x80, 0x01, 0xff, 0x7f];
        let lengths: &[usize] =
            if cfg!(miri) { &[1, 9, 130] } else { &[1, 7, 8, 9, 63, 64, 65, 127, 128, 129, 200, 257] };
        for length in lengths {
            for place in 0..*length {
                let mut text = vec![b'a'; *length];
                text[place] = 0x80;
                check(&by_the_rule(&text, key), 3, key);
            }
        }
    }

    #[test]
    fn only_ascii_is_text_without_a_further_look() {
        let key = [1, 2, 3, 4];
        for text in
            ["", "a", "plain, and long enough for a word or two", "소통", "plain at first, and then 소통"]
        {
            let mut masked = by_the_rule(text.as_bytes(), key);
            let unmasked = unmask(&mut masked, key);
            assert_eq!(unmasked.bytes(), text.as_bytes());
            assert_eq!(unmasked.ascii(), text.is_ascii().then_some(text));
        }
    }

    proptest! {
        // Miri has no files in which failures could be kept.
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 })
        })]
        #[test]
        fn c9_any_bytes_and_any_key(
            bytes in proptest::collection::vec(any::<u8>(), 0..if cfg!(miri) { 150 } else { 3000 }),
            ascii in any::<bool>(),
            offset in 0..64usize,
            key in any::<MaskKey>(),
        ) {
            let text: Vec<u8> = bytes.iter().map(|byte| if ascii { byte & 0x7f } else { *byte }).collect();
            check(&by_the_rule(&text, key), offset, key);
        }
    }
}
