//! Frames, read by either side: however they are cut, the core agrees with the plain decoder of the tests, and with
//! itself in everything that can be seen from outside.

#![no_main]

#[path = "cuts.rs"]
mod cuts;
#[path = "../../../crates/sotong-proto/tests/pair/mod.rs"]
mod pair;

use libfuzzer_sys::fuzz_target;
use pair::End;
use pair::oracle::{core, expected_replies, oracle};
use sotong_proto::{Config, Side};

/// Beyond this, feeding single bytes only costs time.
const SINGLE_BYTES_MAX: usize = 2000;

fn state(config: &Config, reader: Side, pieces: &[&[u8]]) -> String {
    let mut end = End::new(reader, config);
    let mut come = 0;
    for piece in pieces {
        end.read_at_once(piece);
        come += piece.len();
        assert!(end.connection.buffered_bytes() <= come, "more is kept than has come");
    }
    format!("{:?} {:?} {:?}", end.connection, end.closed(true), end.outbox.take_bytes())
}

fuzz_target!(|data: &[u8]| {
    let Some((settings, stream, pieces)) = cuts::input(data) else { return };
    let reader = if settings & 1 == 0 { Side::Client } else { Side::Server };
    let expected = oracle(stream, reader);
    let owned = |pieces: &[&[u8]]| pieces.iter().map(|piece| piece.to_vec()).collect::<Vec<_>>();
    let mut ways = vec![vec![stream], pieces];
    if stream.len() <= SINGLE_BYTES_MAX {
        ways.push(stream.chunks(1).collect());
    }
    // Not the oracle's limits: those of a server that has been told nothing, and some that are odd.
    let config = match settings >> 1 & 3 {
        0 => Config::default(),
        1 => Config::default().with_message_bytes_max(0),
        2 => Config::default().with_message_bytes_max(1000).with_message_wire_bytes_max(100),
        _ => Config::default().with_non_minimal_lengths(sotong_proto::NonMinimalLengths::Accept),
    };
    // When Pongs are postponed depends on when the outbox is emptied.
    let config = config.with_pong_bytes_max(usize::MAX);
    let whole = state(&config, reader, &ways[0]);
    for way in ways {
        let (told, replies) = core(&owned(&way), reader);
        assert_eq!(told, expected);
        assert_eq!(replies, expected_replies(&expected));
        assert_eq!(state(&config, reader, &way), whole);
    }
});
