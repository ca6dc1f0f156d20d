//! The closing handshake, the ends without one, and who hangs up (RFC 6455, sections 5.5.1 and 7).

mod pair;

use std::time::Duration;

use pair::wire::{self, BINARY, CLOSE, CONTINUATION, FIN, PING, TEXT};
use pair::{End, Pair, Seen};
use sotong_proto::{
    CarrierState, Close, CloseCode, Config, Error, Initiator, LimitError, MessageRef, ProtocolError, Refused,
    Side, Time, Timeout,
};

const SIDES: [Side; 2] = [Side::Client, Side::Server];
const SECOND: Duration = Duration::from_secs(1);

fn bye() -> Close {
    Close::new(CloseCode::GOING_AWAY, "다음에 또")
}

fn close_frame(code: u16, reason: &[u8], from: Side) -> Vec<u8> {
    wire::frame(FIN | CLOSE, &wire::close_body(code, reason), from)
}

/// The bodies of the Closes among the frames that wait, which must be their end.
fn written_close(end: &mut End) -> Option<Vec<u8>> {
    let bytes = end.outbox.take_bytes();
    let frames = wire::read_frames(&bytes, end.side);
    let first = frames.iter().position(|frame| frame.first == FIN | CLOSE)?;
    assert_eq!(first, frames.len() - 1, "something follows a Close: {frames:?}");
    Some(frames[first].payload.clone())
}

#[test]
fn c20_c24_either_side_closes_first() {
    for first in SIDES {
        let mut pair = Pair::new(&Config::default());
        let now = pair.now;
        pair.end(first).close(bye(), now);
        pair.settle();
        let second = wire::other(first);
        assert_eq!(pair.end(second).seen, [Seen::Close(bye())]);
        // The answer repeats the code and says nothing more.
        assert_eq!(pair.end(first).seen, [Seen::Close(CloseCode::GOING_AWAY.into())]);
        let [client, server] = pair.closed();
        let (closed_first, closed_second) =
            if first == Side::Client { (client, server) } else { (server, client) };
        assert_eq!(closed_first.first, Some(Initiator::Local));
        assert_eq!(closed_first.sent, Some(bye()));
        assert_eq!((closed_first.code(), closed_first.reason()), (1001, ""));
        assert_eq!(closed_second.first, Some(Initiator::Peer));
        assert_eq!(closed_second.received, Some(bye()));
        assert_eq!((closed_second.code(), closed_second.reason()), (1001, "다음에 또"));
        assert!(closed_first.clean && closed_second.clean);
        assert!(closed_first.error.is_none() && closed_second.error.is_none());
    }
}

#[test]
fn c20_an_empty_close_is_answered_by_an_empty_one() {
    for first in SIDES {
        let mut pair = Pair::new(&Config::default());
        let now = pair.now;
        pair.end(first).close(Close::empty(), now);
        pair.settle();
        for closed in pair.closed() {
            assert_eq!((closed.code(), closed.reason(), closed.clean), (1005, "", true));
            assert_eq!(closed.sent, Some(Close::empty()), "1005 never travels");
        }
    }
}

/// With a delay both Closes are on their way at once: each reports the code that it received.
#[test]
fn c23_both_close_at_once() {
    let mut pair = Pair::new(&Config::default());
    pair.links().into_iter().for_each(|link| link.delay = Duration::from_millis(100));
    pair.client.close(Close::new(CloseCode::NORMAL, "done"), Time::ZERO);
    pair.server.close(Close::new(CloseCode::GOING_AWAY, "shutdown"), Time::ZERO);
    pair.run_for(SECOND);
    let [client, server] = pair.closed();
    assert_eq!((client.code(), client.reason(), client.first), (1001, "shutdown", Some(Initiator::Local)));
    assert_eq!((server.code(), server.reason(), server.first), (1000, "done", Some(Initiator::Local)));
    assert!(client.clean && server.clean);
    // One Close each, no answers to answers.
    assert_eq!(pair.client.seen.len() + pair.server.seen.len(), 2);
}

#[test]
fn c21_close_during_fragmented_message() {
    for side in SIDES {
        let mut end = End::new(side, &Config::default());
        let from = wire::other(side);
        end.read_at_once(&wire::frame(TEXT, b"the first half", from));
        end.read_at_once(&close_frame(1000, b"", from));
        assert_eq!(end.seen, [Seen::Close(CloseCode::NORMAL.into())], "half a message is not delivered");
        assert_eq!(written_close(&mut end), Some(wire::close_body(1000, b"")));
        end.read_at_once(&wire::frame(FIN | CONTINUATION, b" and the second", from));
        assert_eq!(end.seen.len(), 1);
    }
}

/// We send no fragments, so our Close never has to wait for one; the peer's half message ends with it.
#[test]
fn c21_our_close_while_the_peers_message_is_half_here() {
    for side in SIDES {
        let mut end = End::new(side, &Config::default());
        let from = wire::other(side);
        end.read_at_once(&wire::frame(TEXT, b"half ", from));
        end.close(bye(), Time::ZERO);
        assert_eq!(written_close(&mut end), Some(wire::close_body(1001, "다음에 또".as_bytes())));
        // What the peer had begun still arrives, up to its Close.
        end.read_at_once(&wire::frame(FIN | CONTINUATION, b"message", from));
        end.read_at_once(&close_frame(1001, b"", from));
        let expected = [Seen::Text("half message".to_owned()), Seen::Close(CloseCode::GOING_AWAY.into())];
        assert_eq!(end.seen, expected);
    }
}

#[test]
fn c20_no_data_leaves_after_a_close() {
    for side in SIDES {
        let mut end = End::new(side, &Config::default());
        end.outbox.send(MessageRef::Text("before")).expect("open");
        end.close(bye(), Time::ZERO);
        assert_eq!(end.outbox.send(MessageRef::Text("after")), Err(Refused::Closed));
        assert_eq!(end.outbox.send_owned(&vec![0; 20_000].into()), Err(Refused::Closed));
        end.outbox.send_regardless(MessageRef::Text("after"));
        sotong_proto::Replies::ping(&mut end.outbox, b"after");
        sotong_proto::Replies::pong(&mut end.outbox, b"after");
        end.close(CloseCode::NORMAL.into(), Time::ZERO);
        assert_eq!(written_close(&mut end), Some(wire::close_body(1001, "다음에 또".as_bytes())));
        assert_eq!(end.outbox.sent_close(), Some(&(bye(), Initiator::Local)));
    }
}

#[test]
fn c20_c26_nothing_counts_after_the_peers_close() {
    for side in SIDES {
        let from = wire::other(side);
        let after = [
            wire::frame(FIN | TEXT, b"data", from),
            wire::frame(FIN | PING, b"ping", from),
            close_frame(1002, b"another", from),
            b"\xff\xff\xff".to_vec(),
        ]
        .concat();
        // In the same read, and in one of its own.
        for splits in [false, true] {
            let mut end = End::new(side, &Config::default());
            if splits {
                end.read_at_once(&close_frame(1000, b"", from));
                assert!(!end.connection.wants_input());
                end.read_at_once(&after);
            } else {
                end.read_at_once(&[close_frame(1000, b"", from), after.clone()].concat());
            }
            assert_eq!(end.seen, [Seen::Close(CloseCode::NORMAL.into())]);
            assert_eq!(written_close(&mut end), Some(wire::close_body(1000, b"")));
            assert_eq!(end.closed(true).code(), 1000);
        }
    }
}

#[test]
fn c26_nothing_counts_after_a_failure_not_even_a_close() {
    for side in SIDES {
        let from = wire::other(side);
        for splits in [false, true] {
            let mut end = End::new(side, &Config::default());
            let bad = wire::frame(FIN | 3, b"", from);
            let after = [close_frame(1000, b"", from), wire::frame(FIN | TEXT, b"data", from)].concat();
            if splits {
                end.read_at_once(&bad);
                end.read_at_once(&after);
            } else {
                end.read_at_once(&[bad, after].concat());
            }
            let error = Error::Protocol(ProtocolError::ReservedOpcode(3));
            assert_eq!(end.seen, [Seen::Failed(error.clone())]);
            assert!(!end.connection.wants_input());
            let reason = "frame with reserved opcode 3";
            assert_eq!(written_close(&mut end), Some(wire::close_body(1002, reason.as_bytes())));
            let closed = end.closed(true);
            assert_eq!((closed.code(), closed.clean, &closed.error), (1006, false, &Some(error)));
            assert_eq!(closed.first, Some(Initiator::Local));
            assert_eq!(closed.sent, Some(Close::new(CloseCode::PROTOCOL_ERROR, reason)));
        }
    }
}

/// What was sent before the peer broke the protocol still leaves, and then the Close.
#[test]
fn c26_a_failure_keeps_what_was_accepted() {
    let mut pair = Pair::new(&Config::default());
    pair.server.outbox.send(MessageRef::Text("accepted")).expect("open");
    pair.server.read_at_once(b"\x83");
    pair.settle();
    let close = Close::new(CloseCode::PROTOCOL_ERROR, "frame with reserved opcode 3");
    assert_eq!(pair.client.seen, [Seen::Text("accepted".to_owned()), Seen::Close(close)]);
    let [client, server] = pair.closed();
    assert_eq!((client.code(), client.clean), (1002, true));
    assert_eq!((server.code(), server.clean), (1006, false));
}

#[test]
fn c18_c19_bodies_of_the_close() {
    use ProtocolError::{CloseBodyOfOneByte, CloseCode as BadCode, CloseReasonUtf8};
    for side in SIDES {
        let answer = |body: &[u8]| {
            let mut end = End::new(side, &Config::default());
            end.read_at_once(&wire::frame(FIN | CLOSE, body, wire::other(side)));
            let code = written_close(&mut end).expect("a Close is answered, and a bad one too");
            (end.seen.remove(0), code.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]])))
        };
        let failed = |error| Seen::Failed(Error::Protocol(error));
        for code in [1000, 1001, 1002, 1003, 1007, 1014, 3000, 3999, 4000, 4999] {
            let close = Close::from(CloseCode::new(code).expect("it may travel"));
            assert_eq!(answer(&wire::close_body(code, b"")), (Seen::Close(close), Some(code)));
        }
        for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            assert_eq!(answer(&wire::close_body(code, b"")), (failed(BadCode(code)), Some(1002)));
        }
        assert_eq!(answer(&[3]), (failed(CloseBodyOfOneByte), Some(1002)));
        assert_eq!(answer(&[]), (Seen::Close(Close::empty()), None));
        for reason in [&b"\xff"[..], b"cut \xec\x86", b"\xed\xa0\x80"] {
            assert_eq!(answer(&wire::close_body(1000, reason)), (failed(CloseReasonUtf8), Some(1007)));
        }
        let longest = "x".repeat(Close::REASON_BYTES_MAX);
        let close = Close::new(CloseCode::NORMAL, &longest);
        assert_eq!(answer(&wire::close_body(1000, longest.as_bytes())), (Seen::Close(close), Some(1000)));
    }
}

#[test]
fn c19_reasons_of_ours_at_123_bytes_and_one_past() {
    for (reason, kept) in [
        ("x".repeat(123), 123),
        ("x".repeat(124), 123),
        ("소".repeat(41), 123),
        ("소".repeat(42), 123),
        ("x".to_owned() + &"소".repeat(41), 121),
        ("xx".to_owned() + &"𝄞".repeat(31), 122),
    ] {
        let mut pair = Pair::new(&Config::default());
        pair.server.close(Close::new(CloseCode::NORMAL, &reason), Time::ZERO);
        pair.settle();
        assert_eq!(pair.closed()[0].reason(), &reason[..kept]);
    }
}

#[test]
fn c22_the_server_hangs_up_first() {
    for first in SIDES {
        let mut pair = Pair::new(&Config::default());
        // The server's end of the stream takes a while: the client must be seen waiting for it.
        pair.to_client.delay = SECOND;
        let now = pair.now;
        pair.end(first).close(bye(), now);
        pair.run_for(Duration::from_millis(500));
        assert!(!pair.client.has_hung_up);
        assert_eq!(
            pair.server.has_hung_up,
            first == Side::Client,
            "the server waits only for the client's Close"
        );
        assert!(pair.server.connection.hangs_up_first());
        assert!(!pair.client.connection.hangs_up_first());
        pair.run_for(Duration::from_millis(1500));
        assert!(pair.client.connection.carrier() != CarrierState::Run);
        assert!(!pair.client.has_hung_up, "the client left it to the server");
        assert!(pair.closed().iter().all(|closed| closed.clean));
    }
}

/// The server does not hang up before its Close has left: hanging up is what follows it.
#[test]
fn c22_c27_the_close_leaves_before_the_end_of_the_stream() {
    for seed in 0..20 {
        let mut pair = Pair::with_seed(&Config::default(), seed);
        pair.to_client.piece_bytes_max = 3;
        pair.to_client.in_flight_bytes_max = 5;
        pair.to_client.delay = Duration::from_millis(1);
        pair.server.outbox.send(MessageRef::Binary(&[1; 500])).expect("open");
        pair.server.read_at_once(&close_frame(1000, b"", Side::Client));
        pair.run_for(SECOND * 3);
        assert_eq!(pair.client.seen[0], Seen::Binary(vec![1; 500]));
        assert_eq!(pair.client.seen[1], Seen::Close(CloseCode::NORMAL.into()));
    }
}

/// A client that fails its connection does not wait for a server that breaks the protocol.
#[test]
fn c26_a_failing_client_hangs_up_itself() {
    let mut pair = Pair::new(&Config::default());
    pair.client.read_at_once(b"\xf1");
    assert!(pair.client.connection.hangs_up_first());
    pair.settle();
    assert!(pair.client.has_hung_up);
    assert_eq!(pair.closed()[1].code(), 1002);
}

#[test]
fn c24_the_peer_vanishes() {
    for side in SIDES {
        for is_open in [true, false] {
            let mut end = End::new(side, &Config::default());
            if !is_open {
                end.close(bye(), Time::ZERO);
            }
            for end_of_stream in [true, false] {
                let closed = end.closed(end_of_stream);
                assert_eq!((closed.code(), closed.reason(), closed.clean), (1006, "", false));
                assert_eq!(closed.first, (!is_open).then_some(Initiator::Local));
                assert_eq!(closed.received, None);
            }
        }
    }
}

#[test]
fn c25_clean_only_when_tcp_closed_after_both_closes() {
    for side in SIDES {
        let mut end = End::new(side, &Config::default());
        end.read_at_once(&close_frame(1000, b"", wire::other(side)));
        // The end of the stream came before our answer could leave.
        assert!(!end.closed(true).clean, "our Close still waits");
        end.outbox.advance(1);
        assert!(!end.closed(true).clean, "part of our Close still waits");
        end.outbox.take_bytes();
        assert!(!end.closed(false).clean, "TCP was reset");
        let closed = end.closed(true);
        assert!(closed.clean);
        assert_eq!(closed.code(), 1000);

        let mut end = End::new(side, &Config::default());
        end.close(bye(), Time::ZERO);
        end.outbox.take_bytes();
        assert!(!end.closed(true).clean, "the peer's Close has not come");
        end.read_at_once(&close_frame(1001, b"", wire::other(side)));
        assert!(end.closed(true).clean);
    }
}

/// The peer closes TCP without a word, in the middle of our closing handshake or before it.
#[test]
fn c24_the_stream_ends_without_a_close() {
    for side in SIDES {
        let mut pair = Pair::new(&Config::default());
        pair.run_for(SECOND);
        // The other end's machine loses its process: TCP ends, no frame is sent.
        let dead = wire::other(side);
        let closed = pair.end(dead).closed(false);
        let now = pair.now;
        pair.end(dead).over = Some((closed, now));
        pair.hang_up_to(side);
        pair.settle();
        let (closed, _) = pair.end(side).over.clone().expect("the stream has ended");
        assert_eq!((closed.code(), closed.clean, closed.first, closed.error), (1006, false, None, None));
    }
}

#[test]
fn c22_close_deadline_when_the_peer_never_answers() {
    for side in SIDES {
        let mut pair = Pair::new(&Config::default());
        pair.link_to(wire::other(side)).is_cut = true;
        pair.end(side).close(bye(), Time::ZERO);
        pair.run_for(Config::default().close_timeout - Duration::from_nanos(1));
        assert!(pair.end(side).over.is_none());
        pair.run_for(Duration::from_nanos(1));
        let (closed, at) = pair.end(side).over.clone().expect("the deadline has passed");
        assert_eq!(at, Time::ZERO + Config::default().close_timeout);
        assert_eq!(closed.error, Some(Error::Timeout(Timeout::Close)));
        assert_eq!((closed.code(), closed.clean), (1006, false));
        assert_eq!(pair.end(side).seen, [Seen::Failed(Error::Timeout(Timeout::Close))]);
    }
}

/// Closes both ways, and then the other end keeps TCP open: it is dropped, and that is no error.
#[test]
fn c22_close_deadline_when_tcp_stays_open() {
    for side in SIDES {
        let mut end = End::new(side, &Config::default());
        end.read(&close_frame(1000, b"", wire::other(side)), Time::ZERO + SECOND);
        end.outbox.take_bytes();
        assert_eq!(end.connection.carrier(), CarrierState::Finish);
        let due = Time::ZERO + SECOND + Config::default().close_timeout;
        assert_eq!(end.connection.deadline(), Some(due));
        end.handle_timeout(due);
        assert_eq!(end.connection.carrier(), CarrierState::Drop);
        assert_eq!(end.seen.len(), 1, "a regular close stays one");
        let closed = end.closed(false);
        assert_eq!((closed.code(), closed.clean, closed.error), (1000, false, None));
    }
}

/// Breaking the protocol in answer to a Close does not win the peer more time.
#[test]
fn c22_close_deadline_is_not_moved_by_a_failure() {
    for side in SIDES {
        let mut end = End::new(side, &Config::default());
        let due = Time::ZERO + Config::default().close_timeout;
        end.close(bye(), Time::ZERO);
        end.read(b"\xff", Time::ZERO + SECOND * 4);
        assert_eq!(end.seen.len(), 1);
        assert_eq!(end.connection.carrier(), CarrierState::Finish);
        assert_eq!(end.connection.deadline(), Some(due));
        end.handle_timeout(due);
        assert_eq!(end.connection.carrier(), CarrierState::Drop);
    }
}

/// A driver has a reason of its own: the peer is told, once, and the deadline of closing is the first one.
#[test]
fn c26_given_up_by_the_driver() {
    let error = Error::Limit(LimitError::ServerBytes { seen: 2, max: 1 });
    for side in SIDES {
        let mut end = End::new(side, &Config::default());
        end.read_at_once(&wire::frame(TEXT, b"half", wire::other(side)));
        end.connection.give_up(error.clone(), Time::ZERO + SECOND, &mut end.outbox);
        end.connection.give_up(error.clone(), Time::ZERO + SECOND * 2, &mut end.outbox);
        assert_eq!(end.connection.buffered_bytes(), 0);
        assert!(!end.connection.wants_input());
        assert_eq!(end.connection.carrier(), CarrierState::Finish);
        assert_eq!(end.connection.deadline(), Some(Time::ZERO + SECOND + Config::default().close_timeout));
        let reason = "all connections hold 2 bytes, allowed are 1";
        assert_eq!(written_close(&mut end), Some(wire::close_body(1013, reason.as_bytes())));
        assert_eq!(end.closed(true).error, Some(error.clone()));
        // After both Closes there is nothing to give up any more.
        let mut end = End::new(side, &Config::default());
        end.read_at_once(&close_frame(1000, b"", wire::other(side)));
        end.connection.give_up(error.clone(), Time::ZERO + SECOND, &mut end.outbox);
        assert_eq!(written_close(&mut end), Some(wire::close_body(1000, b"")));
        assert_eq!((end.closed(true).code(), end.closed(true).error), (1000, None));
    }
}

/// `Duration::MAX` stands for no deadline; it must not mean "at once".
#[test]
fn a_close_timeout_without_end_still_closes() {
    for side in SIDES {
        let mut end = End::new(side, &Config::default().with_close_timeout(Duration::MAX));
        end.read(&close_frame(1000, b"", wire::other(side)), Time::ZERO + SECOND);
        assert_eq!(end.connection.carrier(), CarrierState::Finish);
        let mut end = End::new(side, &Config::default().with_close_timeout(Duration::MAX));
        end.read(b"\xff", Time::ZERO + SECOND);
        assert_eq!(end.connection.carrier(), CarrierState::Finish);
    }
}

/// Messages that came before the Close, in the same read, are delivered.
#[test]
fn messages_before_a_close_are_delivered() {
    for side in SIDES {
        let mut end = End::new(side, &Config::default());
        let from = wire::other(side);
        end.read_at_once(
            &[
                wire::frame(FIN | TEXT, b"last words", from),
                wire::frame(FIN | BINARY, b"", from),
                close_frame(4000, b"ok", from),
            ]
            .concat(),
        );
        let close = Close::new(CloseCode::new(4000).expect("an application's code"), "ok");
        let expected = [Seen::Text("last words".to_owned()), Seen::Binary(vec![]), Seen::Close(close)];
        assert_eq!(end.seen, expected);
    }
}
