//! The core of Sotong, as an echo, plays the table on both sides. The bar is what Autobahn says of the
//! best: everything right, nothing "not strict", three cases for information.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use sotong_conformance::{Case, Group, Peer, Received, Subject, Verdict, Wait, cases, play};
use sotong_proto::{CarrierState, Config, Connection, Event, Outbox, Seed, Side, Time};

/// The largest message of the table.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// A connection without a network: what the player writes is read at once.
struct CoreEcho {
    connection: Connection,
    outbox: Outbox,
    /// How the writes of the player are cut on their way.
    read_bytes_max: usize,
}

impl CoreEcho {
    fn new(subject: Subject, read_bytes_max: usize) -> Self {
        let config = Config::default()
            .with_message_bytes_max(MESSAGE_BYTES_MAX as u64)
            .with_outbox_bytes_max(2 * MESSAGE_BYTES_MAX);
        let config = Arc::new(config);
        let (side, outbox) = match subject {
            Subject::Server => (Side::Server, Outbox::server(config.clone())),
            Subject::Client => (Side::Client, Outbox::client(config.clone(), Seed([7; 32]))),
        };
        Self { connection: Connection::new(side, config, Time::ZERO), outbox, read_bytes_max }
    }
}

impl Peer for CoreEcho {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        for read in bytes.to_vec().chunks_mut(self.read_bytes_max) {
            if !self.connection.wants_input() {
                break;
            }
            let mut received = self.connection.receive(read, Time::ZERO);
            while let Some(event) = received.next(&mut self.outbox) {
                if let Event::Message(message) = event {
                    self.outbox.send(message).expect("there is room, and nobody has closed");
                }
            }
        }
        Ok(())
    }

    fn receive(&mut self, _wait: Wait, into: &mut Vec<u8>) -> Received {
        if !self.outbox.is_empty() {
            into.append(&mut self.outbox.take_bytes());
            return Received::Bytes;
        }
        match self.connection.carrier() {
            CarrierState::Run => Received::Silence,
            CarrierState::Finish if !self.connection.hangs_up_first() => Received::Silence,
            CarrierState::Finish | CarrierState::Drop => Received::End,
        }
    }
}

#[track_caller]
fn expect_all_right(cases: &[Case], subject: Subject, read_bytes_max: usize) {
    let mut informational = Vec::new();
    let mut wrong = BTreeMap::new();
    for case in cases {
        match play(case, subject, &mut CoreEcho::new(subject, read_bytes_max)) {
            Verdict::Ok => {}
            Verdict::Informational(_) => informational.push(case.number.to_string()),
            verdict => {
                wrong.insert(case.number, format!("{} ({verdict})", case.title));
            }
        }
    }
    assert!(wrong.is_empty(), "{subject:?}, reads of {read_bytes_max} bytes: {wrong:#?}");
    assert_eq!(informational, ["7.1.6", "7.13.1", "7.13.2"]);
}

fn small_cases() -> Vec<Case> {
    cases().into_iter().filter(|case| case.group() != Group::Limits).collect()
}

#[test]
fn a_server_plays_every_case_as_it_should() {
    expect_all_right(&cases(), Subject::Server, usize::MAX);
}

#[test]
fn a_client_plays_every_case_as_it_should() {
    expect_all_right(&cases(), Subject::Client, usize::MAX);
}

/// Where the network cuts the bytes is nothing that a peer can rely on, and changes nothing.
#[test]
fn the_size_of_reads_changes_nothing() {
    for subject in [Subject::Server, Subject::Client] {
        for read_bytes_max in [1, 2, 3, 5, 13, 64] {
            expect_all_right(&small_cases(), subject, read_bytes_max);
        }
    }
}
