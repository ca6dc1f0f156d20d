//! The core against a second decoder, which is in `pair/oracle.rs`: frames of all kinds, damaged ones, any bytes.

mod pair;

use pair::oracle::{Told, core, expected_replies, oracle};
use pair::random::Random;
use pair::wire::{self, CLOSE, FIN, Form, PING};
use proptest::prelude::*;
use sotong_proto::{CloseCode, Side};

/// Text pieces that cut characters, and some that no text can hold.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let texts = prop::sample::select(vec![
        "",
        "a",
        "Hello",
        "가",
        "나라",
        "é",
        "𝄞",
        "\u{10ffff}",
        "\u{ffff}",
        "소통하는 오징어",
    ]);
    prop_oneof![
        6 => proptest::collection::vec(texts, 0..4).prop_map(|texts| texts.concat().into_bytes()),
        2 => (any::<prop::sample::Index>(), "[가-힣a𝄞]{1,9}").prop_map(|(at, text)| {
            text.as_bytes()[..at.index(text.len())].to_vec()
        }),
        1 => (any::<prop::sample::Index>(), "[가-힣a𝄞]{1,9}").prop_map(|(at, text)| {
            text.as_bytes()[at.index(text.len())..].to_vec()
        }),
        1 => proptest::collection::vec(any::<u8>(), 0..140),
    ]
}

fn close_payload() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![Just(1000), 995..1020u16, 2990..3010u16, 4990..5010u16, any::<u16>()];
    prop_oneof![
        4 => (code, payload()).prop_map(|(code, reason)| {
            let reason = &reason[..reason.len().min(120)];
            [&code.to_be_bytes()[..], reason].concat()
        }),
        1 => proptest::collection::vec(any::<u8>(), 0..3),
    ]
}

/// One step of a mostly well-behaved peer.
#[derive(Clone, Debug)]
enum Step {
    /// A whole message, cut into so many fragments, with a control frame in between.
    Message {
        text: bool,
        payload: Vec<u8>,
        fragments: usize,
        ping_at: usize,
    },
    Frame {
        first: u8,
        payload: Vec<u8>,
    },
    Close(Vec<u8>),
    Header {
        first: u8,
        form: u8,
        length: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let first = prop::sample::select(vec![0x81u8, 0x82, 0x89, 0x8a, 0x01, 0x02, 0x00, 0x80, 0x80]);
    prop_oneof![
        12 => (any::<bool>(), payload(), 1..5usize, 0..5usize).prop_map(|(text, payload, fragments, ping_at)| {
            Step::Message { text, payload, fragments, ping_at }
        }),
        4 => (first, payload()).prop_map(|(first, payload)| Step::Frame { first, payload }),
        2 => prop::sample::select(vec![0x89u8, 0x8a]).prop_flat_map(|first| {
            proptest::collection::vec(any::<u8>(), 0..126).prop_map(move |payload| Step::Frame { first, payload })
        }),
        1 => close_payload().prop_map(Step::Close),
        1 => (any::<u8>(), 0..3u8, prop_oneof![0..400u64, any::<u64>()])
            .prop_map(|(first, form, length)| Step::Header { first, form, length }),
    ]
}

fn step_bytes(step: &Step, from: Side) -> Vec<u8> {
    match step {
        Step::Message { text, payload, fragments, ping_at } => {
            let mut bytes = Vec::new();
            let size = payload.len().div_ceil(*fragments).max(1);
            let pieces: Vec<&[u8]> =
                if payload.is_empty() { vec![b""] } else { payload.chunks(size).collect() };
            for (index, piece) in pieces.iter().enumerate() {
                let opcode = if index == 0 { if *text { 1 } else { 2 } } else { 0 };
                let fin = if index + 1 == pieces.len() { FIN } else { 0 };
                bytes.extend(wire::frame(fin | opcode, piece, from));
                if index == *ping_at {
                    bytes.extend(wire::frame(FIN | PING, b"between", from));
                }
            }
            bytes
        }
        Step::Frame { first, payload } => wire::frame(*first, payload, from),
        Step::Close(payload) => wire::frame(FIN | CLOSE, payload, from),
        Step::Header { first, form, length } => {
            let form = [Form::Bits7, Form::Bits16, Form::Bits64][usize::from(*form)];
            wire::header_in_form(*first, form, if form == Form::Bits7 { length % 128 } else { *length }, from)
        }
    }
}

/// A change to the bytes as they are on the wire.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, u8),
    Truncate(prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (index(), 0..8u32).prop_map(|(index, bit)| Mutation::Flip(index, 1 << bit)),
        1 => index().prop_map(Mutation::Remove),
        1 => (index(), any::<u8>()).prop_map(|(index, byte)| Mutation::Insert(index, byte)),
        2 => index().prop_map(Mutation::Truncate),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match mutation {
        Mutation::Flip(index, bit) => bytes[index.index(length)] ^= bit,
        Mutation::Remove(index) => drop(bytes.remove(index.index(length))),
        Mutation::Insert(index, byte) => bytes.insert(index.index(length), *byte),
        Mutation::Truncate(index) => bytes.truncate(index.index(length)),
    }
}

fn agree(bytes: &[u8], reader: Side, seed: u64) -> Result<(), TestCaseError> {
    let expected = oracle(bytes, reader);
    let mut random = Random(seed);
    let piece_bytes_max = [1, 3, 20, 1000][random.below(4)];
    let pieces = random.cut(bytes, piece_bytes_max);
    for pieces in [vec![bytes.to_vec()], pieces] {
        let (told, replies) = core(&pieces, reader);
        prop_assert_eq!(&told, &expected, "in {} pieces", pieces.len());
        prop_assert_eq!(&replies, &expected_replies(&expected));
    }
    Ok(())
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Client), Just(Side::Server)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn c1_to_c28_frames_of_all_kinds(
        reader in side(), steps in proptest::collection::vec(step(), 0..12), seed in any::<u64>(),
    ) {
        let bytes: Vec<u8> = steps.iter().flat_map(|step| step_bytes(step, wire::other(reader))).collect();
        agree(&bytes, reader, seed)?;
    }

    #[test]
    fn c1_to_c28_frames_that_were_damaged(
        reader in side(),
        steps in proptest::collection::vec(step(), 1..8),
        mutations in proptest::collection::vec(mutation(), 1..4),
        seed in any::<u64>(),
    ) {
        let mut bytes: Vec<u8> = steps.iter().flat_map(|step| step_bytes(step, wire::other(reader))).collect();
        mutations.iter().for_each(|mutation| mutate(&mut bytes, mutation));
        agree(&bytes, reader, seed)?;
    }

    /// Bytes that nobody has chosen: no panic, and the same verdict.
    #[test]
    fn arbitrary_bytes(reader in side(), bytes in proptest::collection::vec(any::<u8>(), 0..200), seed in any::<u64>()) {
        agree(&bytes, reader, seed)?;
    }

    /// Two good bytes of header, and then whatever comes.
    #[test]
    fn arbitrary_payload(
        reader in side(),
        first in prop::sample::select(vec![0x81u8, 0x01, 0x82, 0x88, 0x89]),
        bytes in proptest::collection::vec(any::<u8>(), 0..126),
        seed in any::<u64>(),
    ) {
        agree(&wire::frame(first, &bytes, wire::other(reader)), reader, seed)?;
    }
}

/// The oracle itself, on what the RFC says.
#[test]
fn the_oracle_knows_the_vectors() {
    let told = oracle(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", Side::Server);
    assert_eq!(told, [Told::Text("Hello".to_owned())]);
    let told =
        oracle(b"\x01\x03\x48\x65\x6c\x89\x05Hello\x80\x02\x6c\x6f\x88\x02\x03\xe8\x81\x00", Side::Client);
    let expected = [
        Told::Ping(b"Hello".to_vec()),
        Told::Text("Hello".to_owned()),
        Told::Close(Some(1000), String::new()),
    ];
    assert_eq!(told, expected);
    assert_eq!(oracle(b"\x81\x02\xed\xa0", Side::Client), [Told::Failed(1007)]);
    assert_eq!(
        oracle(b"\x81\x03\xed\xa0", Side::Client),
        [Told::Failed(1007)],
        "at the first impossible byte"
    );
    assert_eq!(oracle(b"\x01\x02\xec\x86", Side::Client), []);
    assert_eq!(u16::from(CloseCode::PROTOCOL_ERROR), 1002);
}
