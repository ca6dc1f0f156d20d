//! Tests of the codecs themselves and of their pool.

use std::sync::Arc;

use super::codecs::{CodecBudget, Codecs};
use super::deflater::{Deflater, Kind};
use super::inflater::{INFLATER_BYTES, Inflater, Stop};
use super::reference;
use super::settings::{CompressionLevel, WindowBits};
use super::{NAME, TAIL};

fn kinds() -> impl Iterator<Item = Kind> {
    (8..=15).flat_map(|bits| {
        (1..=9).map(move |level| Kind {
            window_bits: WindowBits::new(bits).expect("8 to 15"),
            level: CompressionLevel::new(level).expect("1 to 9"),
        })
    })
}

/// Repeats itself at all distances: words of one to twelve letters, from a small vocabulary.
fn text(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut text = Vec::new();
    while text.len() < length {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let word = state % 300;
        text.extend((0..1 + word % 12).map(|at| b'a' + ((word * 7 + at * word) % 26) as u8));
        text.push(b' ');
    }
    text.truncate(length);
    text
}

/// What a peer with a window of so many bits makes of it.
fn inflate_strictly(
    window_bits: WindowBits,
    window: &[u8],
    deflated: &[u8],
) -> Result<Vec<u8>, &'static str> {
    reference::inflate(window, window_bits.bytes(), &[deflated, &TAIL].concat())
}

#[test]
fn d8_no_window_is_overstepped_at_any_level() {
    for kind in kinds() {
        let mut deflater = Deflater::new(kind);
        // More than the window, so that there is something to overstep it for.
        let plain = text(kind.window_bits.bytes() * 3 + 1000, 3);
        let deflated = deflater.compress(&[], &plain).expect("it gets smaller").to_vec();
        assert!(deflated.len() < plain.len() * 3 / 4, "{kind:?}: {} of {}", deflated.len(), plain.len());
        assert!(inflate_strictly(kind.window_bits, &[], &deflated) == Ok(plain.clone()), "{kind:?}");
        // And over the border between messages.
        let window = &plain[plain.len() - kind.window_bits.bytes()..];
        let next = text(2000, 3);
        let deflated = deflater.compress(window, &next).expect("it gets smaller").to_vec();
        assert!(inflate_strictly(kind.window_bits, window, &deflated) == Ok(next), "{kind:?}");
    }
}

/// The check above can fail: what is made for one window is too much for the next smaller one.
#[test]
fn a_strict_inflater_knows_when_a_window_is_overstepped() {
    for bits in 10..=15 {
        let window_bits = WindowBits::new(bits).expect("8 to 15");
        let kind = Kind { window_bits, level: CompressionLevel::BALANCED };
        let plain = text(window_bits.bytes() * 3, 3);
        let deflated = Deflater::new(kind).compress(&[], &plain).expect("it gets smaller").to_vec();
        let smaller = WindowBits::new(bits - 1).expect("8 to 15");
        assert_eq!(inflate_strictly(smaller, &[], &deflated), Err("a reference too far back"));
    }
}

#[test]
fn a_codec_that_was_used_is_as_good_as_new() {
    for kind in kinds().step_by(7) {
        let (mut used, mut inflater) = (Deflater::new(kind), Inflater::new());
        for seed in 0..20 {
            let plain = text(50 + 700 * seed as usize, seed);
            let window = text(kind.window_bits.bytes(), seed + 100);
            let window = if seed % 3 == 0 { &window[..] } else { &[] };
            let deflated = used.compress(window, &plain).map(<[u8]>::to_vec);
            assert_eq!(deflated, Deflater::new(kind).compress(window, &plain).map(<[u8]>::to_vec));
            let Some(deflated) = deflated else { continue };
            let mut inflated = Vec::new();
            assert!(inflater.begin(window));
            for input in [&deflated[..], &TAIL] {
                let end = inflater.inflate(input, |chunk| {
                    inflated.extend_from_slice(chunk);
                    Ok::<(), ()>(())
                });
                assert_eq!(end, Ok((input.len(), Stop::Used)));
            }
            assert_eq!(inflated, plain);
            // Left in the middle of a stream, it begins anew all the same.
            assert!(inflater.begin(&[]));
            let _ = inflater.inflate(&deflated[..deflated.len() / 2], |_| Ok::<(), ()>(()));
        }
    }
}

/// zlib-rs 0.6.8 panics at level 1 in a message that follows one for whose output there was no room.
#[test]
fn what_does_not_get_smaller_leaves_a_codec_as_good_as_new() {
    for kind in kinds().filter(|kind| kind.window_bits == WindowBits::MAX) {
        let mut deflater = Deflater::new(kind);
        for seed in 0..12 {
            let mut state: u32 = seed;
            let noise: Vec<u8> = (0..40_000)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                })
                .collect();
            assert_eq!(deflater.compress(&[], &noise[..3000 * (1 + seed as usize)]), None, "{kind:?}");
            let plain = text(200_000, seed);
            let deflated = deflater.compress(&[], &plain).expect("it gets smaller").to_vec();
            assert!(inflate_strictly(kind.window_bits, &[], &deflated) == Ok(plain), "{kind:?}");
        }
    }
}

fn pool(bytes_max: usize) -> (Arc<CodecBudget>, Arc<Codecs>) {
    let budget = CodecBudget::new(bytes_max);
    (budget.clone(), Codecs::new(budget))
}

#[test]
fn the_budget_holds_at_the_limit_and_not_one_byte_above() {
    let kind = Kind { window_bits: WindowBits::MAX, level: CompressionLevel::FAST };
    let (budget, codecs) = pool(kind.bytes() + INFLATER_BYTES);
    let deflater = codecs.lend_deflater(kind).expect("there is budget");
    let inflater = codecs.lend_inflater().expect("there is budget");
    assert_eq!(budget.used_bytes(), kind.bytes() + INFLATER_BYTES);
    assert!(codecs.lend_deflater(kind).is_none() && codecs.lend_inflater().is_none());
    // Another pool has the same budget.
    assert!(Codecs::new(budget.clone()).lend_inflater().is_none());
    drop((deflater, inflater));
    assert_eq!(budget.used_bytes(), kind.bytes() + INFLATER_BYTES, "idle ones count");
    // An idle one gives way to what is wanted.
    let other = Kind { window_bits: WindowBits::MIN, ..kind };
    drop(codecs.lend_deflater(other).expect("idle ones give way"));
    assert_eq!(budget.used_bytes(), other.bytes());
    let (budget, codecs) = pool(kind.bytes() - 1);
    assert!(codecs.lend_deflater(kind).is_none());
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn a_pool_keeps_few_idle_codecs_and_ends_with_none() {
    let (budget, codecs) = pool(CodecBudget::BYTES_MAX);
    let many: Vec<_> = (0..20).map(|_| codecs.lend_inflater().expect("there is budget")).collect();
    assert_eq!(budget.used_bytes(), 20 * INFLATER_BYTES);
    drop(many);
    assert_eq!(budget.used_bytes(), 4 * INFLATER_BYTES);
    drop(codecs);
    assert_eq!(budget.used_bytes(), 0);
    // One beyond the budget is not kept.
    let (budget, codecs) = pool(0);
    drop(codecs.lend_inflater_regardless());
    assert_eq!(budget.used_bytes(), 0);
}

#[test]
fn the_name_is_the_registered_one() {
    assert_eq!(NAME, "permessage-deflate");
}
