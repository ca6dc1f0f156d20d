//! What an operator may hold connections to besides: idleness, lifetime, a rate of messages; and limits that change
//! while a connection is open.

mod pair;

use std::sync::Arc;
use std::time::Duration;

use pair::wire::{self, BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT};
use pair::{End, Pair, Seen};
use sotong_proto::{
    CarrierState, CloseCode, Config, Error, Initiator, LimitError, MessageRef, Rate, Refused, Replies, Side,
    Time, Timeout,
};

const SIDES: [Side; 2] = [Side::Client, Side::Server];

fn at(seconds: f64) -> Time {
    Time::from_start(Duration::from_secs_f64(seconds))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn idle(timeout: u64) -> Config {
    Config::default().with_ping_interval(None).with_idle_timeout(Some(seconds(timeout)))
}

fn lifetime(max: u64) -> Config {
    Config::default().with_ping_interval(None).with_lifetime_max(Some(seconds(max)))
}

fn rate(per_second: u32, burst: u32) -> Config {
    Config::default().with_ping_interval(None).with_message_rate(Some(Rate::new(per_second, burst)))
}

/// Calls `handle_timeout` at each deadline up to `until`, as a driver whose peer says nothing.
fn wait_until(end: &mut End, until: Time) {
    for _ in 0..10_000 {
        match end.connection.deadline() {
            Some(due) if due <= until => end.handle_timeout(due),
            _ => return,
        }
    }
    panic!("ten thousand deadlines before {until:?}");
}

fn set_config(end: &mut End, config: Config) {
    let config = Arc::new(config);
    end.connection.set_config(config.clone());
    end.outbox.set_config(config);
}

fn message(side: Side) -> Vec<u8> {
    wire::frame(FIN | TEXT, b"text", wire::other(side))
}

/// It was closed with 1001, and not as an error.
#[track_caller]
fn assert_goes_away(end: &End, reason: &str) {
    let (close, first) = end.outbox.sent_close().expect("a Close");
    assert_eq!((close.code(), close.reason()), (Some(CloseCode::GOING_AWAY), reason));
    assert_eq!(*first, Initiator::Local);
    assert_eq!(end.failure(), None);
    assert_eq!(end.connection.carrier(), CarrierState::Run, "the peer's answer is awaited");
    assert!(end.connection.deadline().is_some(), "not for ever");
}

#[track_caller]
fn assert_open(end: &End) {
    assert_eq!((end.outbox.sent_close(), end.failure()), (None, None));
}

#[test]
fn an_idle_connection_is_closed_at_the_limit_and_not_before() {
    for side in SIDES {
        let mut end = End::new(side, &idle(60));
        wait_until(&mut end, at(59.999));
        assert_open(&end);
        wait_until(&mut end, at(60.0));
        assert_goes_away(&end, "no message within idle_timeout = 60s");
        // The peer answers: a clean end.
        end.read(&wire::frame(FIN | CLOSE, &wire::close_body(1001, b""), wire::other(side)), at(61.0));
        let closed = end.closed(true);
        assert_eq!((closed.code(), closed.error, closed.first), (1001, None, Some(Initiator::Local)));
    }
}

#[test]
fn a_message_that_comes_ends_idleness_and_a_ping_does_not() {
    for side in SIDES {
        let mut end = End::new(side, &idle(60));
        for second in [30.0, 60.0, 119.0] {
            wait_until(&mut end, at(second));
            end.read(&message(side), at(second));
        }
        for second in [130.0, 150.0, 178.0] {
            wait_until(&mut end, at(second));
            end.read(&wire::frame(FIN | PING, b"", wire::other(side)), at(second));
            end.read(&wire::frame(FIN | PONG, b"", wire::other(side)), at(second));
        }
        wait_until(&mut end, at(178.999));
        assert_open(&end);
        wait_until(&mut end, at(179.0));
        assert_goes_away(&end, "no message within idle_timeout = 60s");
    }
}

/// Our pings, answered for ever, are no messages either.
#[test]
fn a_living_peer_is_idle_all_the_same() {
    let mut pair = Pair::new(&idle(60).with_ping_interval(Some(seconds(7))));
    pair.run_for(seconds(59));
    assert!(pair.client.over.is_none() && pair.server.over.is_none());
    assert!(pair.server.seen.len() > 5);
    pair.run_for(seconds(10));
    for closed in pair.closed() {
        assert_eq!((closed.code(), &closed.error), (1001, &None));
    }
}

#[test]
fn a_message_that_is_sent_ends_idleness_never_early_and_at_most_a_quarter_late() {
    for side in SIDES {
        for sent in [0.5, 14.999, 15.0, 31.0, 59.999] {
            let mut end = End::new(side, &idle(60));
            wait_until(&mut end, at(sent));
            end.outbox.send(MessageRef::Text("news")).expect("there is room");
            end.outbox.take_bytes();
            wait_until(&mut end, at(sent + 59.999));
            assert_open(&end);
            while end.outbox.sent_close().is_none() {
                let due = end.connection.deadline().expect("there is one");
                assert!(due <= at(sent + 75.0), "sent at {sent}, next look at {due:?}");
                end.handle_timeout(due);
            }
            assert_goes_away(&end, "no message within idle_timeout = 60s");
        }
        // Each way of sending counts, pings and pongs do not.
        let mut end = End::new(side, &idle(60));
        assert!(!end.outbox.take_message_sent());
        end.outbox.ping(b"");
        end.outbox.pong(b"");
        assert!(!end.outbox.take_message_sent());
        end.outbox.send_regardless(MessageRef::Text(""));
        assert!(end.outbox.take_message_sent() && !end.outbox.take_message_sent());
        end.outbox.send_owned(&vec![0; 100_000].into()).expect("there is room");
        assert!(end.outbox.take_message_sent());
    }
}

#[test]
fn a_message_on_its_way_is_not_idleness() {
    for side in SIDES {
        let from = wire::other(side);
        let mut end = End::new(side, &idle(10).with_message_timeout(Some(seconds(60))));
        end.read(&wire::frame(TEXT, b"slow", from), at(5.0));
        wait_until(&mut end, at(40.0));
        assert_open(&end);
        end.read(&wire::frame(FIN | CONTINUATION, b"ly", from), at(40.0));
        wait_until(&mut end, at(49.999));
        assert_open(&end);
        wait_until(&mut end, at(50.0));
        assert_goes_away(&end, "no message within idle_timeout = 10s");
        // It has a deadline of its own.
        let mut end = End::new(side, &idle(10).with_message_timeout(Some(seconds(60))));
        end.read(&wire::frame(TEXT, b"never", from), at(5.0));
        wait_until(&mut end, at(65.0));
        assert_eq!(end.failure(), Some(&Error::Timeout(Timeout::Message)));
    }
}

/// While we do not read, nobody can be said to be silent.
#[test]
fn idleness_is_suspended_while_paused_and_goes_on() {
    for side in SIDES {
        let mut end = End::new(side, &idle(60));
        wait_until(&mut end, at(50.0));
        end.connection.pause(at(50.0));
        assert_eq!(end.connection.deadline(), None);
        end.handle_timeout(at(500.0));
        assert_open(&end);
        end.connection.resume(at(500.0));
        wait_until(&mut end, at(509.999));
        assert_open(&end);
        wait_until(&mut end, at(510.0));
        assert_goes_away(&end, "no message within idle_timeout = 60s");
    }
}

#[test]
fn a_lifetime_ends_at_its_limit_whatever_goes_on() {
    for side in SIDES {
        let mut end = End::new(side, &lifetime(3600));
        for second in 1..3600 {
            wait_until(&mut end, at(f64::from(second)));
            end.read(&message(side), at(f64::from(second)));
        }
        wait_until(&mut end, at(3599.999));
        assert_open(&end);
        // Not even a pause makes it longer.
        end.connection.pause(at(3599.999));
        assert_eq!(end.connection.deadline(), Some(at(3600.0)));
        end.handle_timeout(at(3600.0));
        assert_goes_away(&end, "open for lifetime_max = 3600s");
    }
}

#[test]
fn closing_ends_both_deadlines() {
    let config = idle(60).with_lifetime_max(Some(seconds(50))).with_close_timeout(seconds(500));
    for side in SIDES {
        let mut end = End::new(side, &config);
        end.close(CloseCode::NORMAL.into(), at(1.0));
        assert_eq!(end.connection.deadline(), Some(at(501.0)));
        set_config(&mut end, lifetime(2));
        assert_eq!(end.connection.deadline(), Some(at(501.0)));
        // Failed, with a peer to tell and without.
        let mut end = End::new(side, &config);
        end.read(b"\xff", at(1.0));
        assert_eq!(end.connection.deadline(), Some(at(501.0)));
        let mut end = End::new(side, &config.clone().with_write_timeout(Some(seconds(1))));
        end.connection.wrote(1, false, at(0.0));
        end.handle_timeout(at(1.0));
        assert_eq!((end.connection.carrier(), end.connection.deadline()), (CarrierState::Drop, None));
    }
}

#[test]
fn zero_is_never() {
    for side in SIDES {
        let config = idle(0).with_lifetime_max(Some(Duration::ZERO));
        let mut end = End::new(side, &config);
        assert_eq!(end.connection.deadline(), None);
        end.handle_timeout(at(1e9));
        assert_open(&end);
        let config = idle(0).with_idle_timeout(Some(Duration::MAX)).with_lifetime_max(Some(Duration::MAX));
        let mut end = End::new(side, &config);
        end.handle_timeout(at(1e9));
        assert_open(&end);
    }
}

/// How many of `count` messages in one read come through, and whether the connection lives.
fn burst(end: &mut End, count: usize, now: Time) -> (usize, bool) {
    end.take_seen();
    end.read(&message(end.side).repeat(count), now);
    let messages = end.seen.iter().filter(|seen| matches!(seen, Seen::Text(_))).count();
    (messages, end.failure().is_none())
}

#[test]
fn a_burst_at_the_limit_and_one_more() {
    for side in SIDES {
        for max in [1, 2, 50] {
            let mut end = End::new(side, &rate(10, max));
            assert_eq!(burst(&mut end, max as usize, at(1.0)), (max as usize, true));
            assert_eq!(burst(&mut end, 1, at(1.0)), (0, false));
            let error = Error::Limit(LimitError::MessageRate(Rate::new(10, max)));
            assert_eq!(end.failure(), Some(&error));
            assert_eq!(
                error.to_string(),
                format!("messages faster than message_rate = 10 per second and {max} at once")
            );
            let (close, _) = end.outbox.sent_close().expect("the peer is told");
            assert_eq!(close.code(), Some(CloseCode::POLICY_VIOLATION));
        }
    }
}

#[test]
fn in_the_long_run_the_rate_counts() {
    for side in SIDES {
        // Ten in a second are fine for ever, whatever the burst.
        for max in [1, 5, 100] {
            let mut end = End::new(side, &rate(10, max));
            for tenth in 0..1000 {
                assert_eq!(burst(&mut end, 1, at(f64::from(tenth) / 10.0)), (1, true), "{tenth}");
            }
        }
        // The burst comes back after a second for each ten.
        let mut end = End::new(side, &rate(10, 20));
        assert_eq!(burst(&mut end, 20, at(0.0)), (20, true));
        assert_eq!(burst(&mut end, 20, at(2.0)), (20, true));
        assert_eq!(burst(&mut end, 10, at(3.0)), (10, true));
        assert_eq!(burst(&mut end, 11, at(4.0)), (10, false));
        // And does not grow beyond itself.
        let mut end = End::new(side, &rate(10, 20));
        assert_eq!(burst(&mut end, 21, at(1e6)), (20, false));
        // Just too early.
        let mut end = End::new(side, &rate(10, 1));
        assert_eq!(burst(&mut end, 1, at(0.0)), (1, true));
        assert_eq!(burst(&mut end, 1, at(0.099_999_999)), (0, false));
    }
}

#[test]
fn only_whole_messages_count_against_the_rate() {
    for side in SIDES {
        let from = wire::other(side);
        let mut end = End::new(side, &rate(1, 2));
        end.read_at_once(&wire::frame(FIN | PING, b"", from).repeat(100));
        end.read_at_once(&wire::frame(TEXT, b"", from));
        end.read_at_once(&wire::frame(CONTINUATION, b"", from).repeat(100));
        end.read_at_once(&wire::frame(FIN | CONTINUATION, b"", from));
        let binary = wire::frame(FIN | BINARY, b"abc", from);
        end.read_at_once(&binary[..3]);
        end.read_at_once(&binary[3..]);
        assert_eq!(end.failure(), None);
        // A third one, in one piece or in two.
        let cut = if side == Side::Server { 2 } else { binary.len() };
        end.read_at_once(&binary[..cut]);
        end.read_at_once(&binary[cut..]);
        assert!(matches!(end.failure(), Some(Error::Limit(LimitError::MessageRate(_)))));
    }
}

#[test]
fn zero_in_a_rate_counts_as_one_and_the_largest_is_no_limit() {
    let mut end = End::new(Side::Server, &rate(0, 0));
    for second in 0..10 {
        assert_eq!(burst(&mut end, 1, at(f64::from(second))), (1, true));
    }
    assert_eq!(burst(&mut end, 1, at(9.5)), (0, false));
    let mut end = End::new(Side::Server, &rate(u32::MAX, u32::MAX));
    assert_eq!(burst(&mut end, 10_000, at(0.0)), (10_000, true));
    let mut end = End::new(Side::Server, &rate(1, u32::MAX));
    assert_eq!(burst(&mut end, 10_000, at(0.0)), (10_000, true));
}

#[test]
fn limits_may_be_raised_and_lowered_while_a_connection_is_open() {
    for side in SIDES {
        let from = wire::other(side);
        let small = Config::default().with_message_bytes_max(10).with_outbox_bytes_max(10);
        let mut end = End::new(side, &small);
        // In the middle of a message: from its next frame on.
        end.read_at_once(&wire::frame(BINARY, &[0; 10], from));
        set_config(&mut end, Config::default());
        end.read_at_once(&wire::frame(FIN | CONTINUATION, &[0; 1000], from));
        assert_eq!(end.take_seen(), [Seen::Binary(vec![0; 1010])]);
        end.outbox.send(MessageRef::Binary(&[0; 5])).expect("there is room");
        end.outbox.send(MessageRef::Binary(&[0; 500])).expect("there is room");
        set_config(&mut end, small);
        assert_eq!(end.outbox.send(MessageRef::Binary(b"")), Err(Refused::Full));
        end.read_at_once(&wire::frame(FIN | BINARY, &[0; 11], from));
        assert_eq!(end.failure(), Some(&Error::Limit(LimitError::MessageBytes { seen: 11, max: 10 })));
    }
}

#[test]
fn deadlines_that_run_stay_when_limits_change() {
    for side in SIDES {
        let mut end = End::new(side, &Config::default().with_message_timeout(Some(seconds(9))));
        end.read(&wire::frame(TEXT, b"half", wire::other(side)), at(1.0));
        end.connection.wrote(1, false, at(1.0));
        set_config(&mut end, Config::default().with_message_timeout(None).with_write_timeout(None));
        assert_eq!(end.connection.deadline(), Some(at(10.0)));
        wait_until(&mut end, at(10.0));
        assert_eq!(end.failure(), Some(&Error::Timeout(Timeout::Message)));
    }
}

#[test]
fn a_raised_lifetime_counts_from_the_opening() {
    for side in SIDES {
        // Ten seconds to say who one is; then an hour.
        let mut end = End::new(side, &lifetime(10));
        end.read(&message(side), at(9.0));
        set_config(&mut end, lifetime(3600));
        assert_eq!(end.connection.deadline(), Some(at(3600.0)));
        // Or no end at all, and one again.
        set_config(&mut end, Config::default().with_ping_interval(None));
        assert_eq!(end.connection.deadline(), None);
        set_config(&mut end, lifetime(60));
        assert_eq!(end.connection.deadline(), Some(at(60.0)));
        // Where there was nothing of the kind, from the last byte.
        let mut end = End::new(side, &Config::default().with_ping_interval(None));
        end.read(&message(side), at(9.0));
        set_config(&mut end, lifetime(60));
        assert_eq!(end.connection.deadline(), Some(at(69.0)));
    }
}

#[test]
fn pings_follow_the_limits_that_hold_now() {
    for side in SIDES {
        let off = Config::default().with_ping_interval(None);
        let mut end = End::new(side, &Config::default().with_ping_interval(Some(seconds(20))));
        end.read(&message(side), at(5.0));
        set_config(&mut end, off.clone());
        assert_eq!(end.connection.deadline(), None);
        set_config(&mut end, off.with_ping_interval(Some(seconds(7))));
        assert_eq!(end.connection.deadline(), Some(at(12.0)));
        wait_until(&mut end, at(12.0));
        assert!(!end.outbox.is_empty());
    }
}

#[test]
fn limits_that_are_off_cost_no_memory() {
    // An `Option` of a box: nothing but the pointer.
    let mut end = End::new(Side::Server, &Config::default());
    end.read(&message(Side::Server), at(1.0));
    assert!(format!("{:?}", end.connection).contains("rare: None"));
}
