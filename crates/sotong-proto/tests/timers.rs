//! Deadlines: keep-alive, the end of a message, writes, closing; on a clock that the tests own.

mod pair;

use std::sync::Arc;
use std::time::Duration;

use pair::random::Random;
use pair::wire::{self, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT};
use pair::{End, Pair, Seen};
use proptest::prelude::*;
use sotong_proto::{CarrierState, Close, CloseCode, Config, Error, MessageRef, Rate, Side, Time, Timeout};

const SIDES: [Side; 2] = [Side::Client, Side::Server];

fn at(seconds: f64) -> Time {
    Time::from_start(Duration::from_secs_f64(seconds))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The default values that the tests below count with.
fn config() -> Config {
    Config::default()
        .with_ping_interval(Some(seconds(20)))
        .with_pong_timeout(seconds(15))
        .with_message_timeout(Some(seconds(60)))
        .with_write_timeout(Some(seconds(30)))
        .with_close_timeout(seconds(5))
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

fn pings_written(end: &mut End) -> usize {
    let bytes = end.outbox.take_bytes();
    wire::read_frames(&bytes, end.side).iter().filter(|frame| frame.first == FIN | PING).count()
}

fn failed(timeout: Timeout) -> Seen {
    Seen::Failed(Error::Timeout(timeout))
}

#[test]
fn a_ping_after_ping_interval_of_silence() {
    for side in SIDES {
        let mut end = End::new(side, &config());
        wait_until(&mut end, at(19.999));
        assert_eq!(pings_written(&mut end), 0);
        wait_until(&mut end, at(20.0));
        assert_eq!(pings_written(&mut end), 1);
        assert_eq!(end.connection.deadline(), Some(at(35.0)));
    }
}

#[test]
fn no_pings_when_they_are_off() {
    for interval in [None, Some(Duration::ZERO)] {
        for side in SIDES {
            let mut end = End::new(side, &config().with_ping_interval(interval));
            assert_eq!(end.connection.deadline(), None);
            end.handle_timeout(at(1e6));
            assert_eq!(pings_written(&mut end), 0);
            end.connection.pause(at(7.0));
            end.connection.resume(at(1e6));
            assert_eq!(end.connection.deadline(), None);
        }
    }
}

#[test]
fn silence_after_a_ping_ends_the_connection() {
    for side in SIDES {
        let mut end = End::new(side, &config());
        wait_until(&mut end, at(34.999));
        assert_eq!(end.seen, []);
        wait_until(&mut end, at(35.0));
        assert_eq!(end.seen, [failed(Timeout::Pong)]);
        assert_eq!(end.connection.carrier(), CarrierState::Drop, "there is nobody left to tell");
        assert_eq!(end.outbox.sent_close(), None);
        assert_eq!(end.connection.deadline(), None);
        let closed = end.closed(false);
        assert_eq!((closed.code(), closed.error), (1006, Some(Error::Timeout(Timeout::Pong))));
    }
}

/// Not only a Pong: a byte of anything shows that somebody is there.
#[test]
fn any_byte_counts_as_life() {
    for side in SIDES {
        let frames = [
            wire::frame(FIN | PONG, b"", wire::other(side)),
            wire::frame(FIN | TEXT, b"hello", wire::other(side)),
        ];
        for life in [&frames[0][..], &frames[1], &frames[1][..1]] {
            let mut end = End::new(side, &config());
            wait_until(&mut end, at(34.0));
            assert_eq!(pings_written(&mut end), 1);
            end.read(life, at(34.0));
            // The next ping is due 20 seconds after the byte, and its answer 15 after that.
            wait_until(&mut end, at(53.999));
            assert_eq!(pings_written(&mut end), 0);
            wait_until(&mut end, at(68.999));
            assert_eq!(pings_written(&mut end), 1);
            assert!(end.failure().is_none());
            wait_until(&mut end, at(69.0));
            assert_eq!(end.failure(), Some(&Error::Timeout(Timeout::Pong)));
        }
    }
}

#[test]
fn a_peer_that_speaks_is_not_pinged() {
    for side in SIDES {
        let mut end = End::new(side, &config());
        for second in 1..200 {
            wait_until(&mut end, at(f64::from(second)));
            end.read(&wire::frame(FIN | TEXT, b"", wire::other(side)), at(f64::from(second)));
        }
        assert_eq!(pings_written(&mut end), 0);
        // And once it falls silent it is: 20 seconds after its last byte, not after a multiple of something.
        wait_until(&mut end, at(218.999));
        assert_eq!(pings_written(&mut end), 0);
        wait_until(&mut end, at(219.0));
        assert_eq!(pings_written(&mut end), 1);
    }
}

/// An interval below the time to answer: more pings go out, and they do not move the deadline of the first.
#[test]
fn several_pings_within_one_pong_timeout() {
    for side in SIDES {
        let mut end = End::new(side, &config().with_ping_interval(Some(seconds(4))));
        wait_until(&mut end, at(18.999));
        assert_eq!(pings_written(&mut end), 4);
        wait_until(&mut end, at(19.0));
        assert_eq!(end.seen, [failed(Timeout::Pong)]);
    }
}

#[test]
fn two_living_ends_stay_connected() {
    let mut pair = Pair::new(&config());
    pair.links().into_iter().for_each(|link| link.delay = seconds(3));
    pair.run_for(seconds(3600));
    assert!(pair.client.over.is_none() && pair.server.over.is_none());
    assert!(
        pair.client
            .seen
            .iter()
            .chain(&pair.server.seen)
            .all(|seen| matches!(seen, Seen::Ping(_) | Seen::Pong(_)))
    );
    let exchanges = pair.client.seen.len();
    assert!((100..=400).contains(&exchanges), "{exchanges} in an hour of silence");
}

#[test]
fn a_cut_cable_is_found_by_both_ends() {
    for seed in 0..10 {
        let mut pair = Pair::with_seed(&config(), seed);
        pair.client.outbox.send(MessageRef::Text("hello")).expect("open");
        pair.run_for(seconds(seed * 9));
        let cut = pair.now;
        pair.links().into_iter().for_each(|link| link.is_cut = true);
        pair.run_for(seconds(35));
        for closed in pair.closed() {
            assert_eq!(closed.error, Some(Error::Timeout(Timeout::Pong)));
        }
        assert!(pair.now == cut + seconds(35));
    }
}

#[test]
fn the_pong_deadline_is_suspended_while_paused_and_starts_anew() {
    for side in SIDES {
        let mut end = End::new(side, &config());
        wait_until(&mut end, at(30.0));
        assert_eq!(pings_written(&mut end), 1);
        end.connection.pause(at(30.0));
        assert_eq!(end.connection.deadline(), None, "nothing is owed while we do not look");
        end.handle_timeout(at(500.0));
        assert_eq!(end.seen, []);
        end.connection.resume(at(500.0));
        wait_until(&mut end, at(514.999));
        assert_eq!(end.seen, []);
        wait_until(&mut end, at(515.0));
        assert_eq!(end.seen, [failed(Timeout::Pong)]);
    }
}

#[test]
fn no_ping_for_a_silence_that_we_did_not_listen_to() {
    for side in SIDES {
        let mut end = End::new(side, &config());
        end.connection.pause(at(0.0));
        end.connection.resume(at(500.0));
        wait_until(&mut end, at(519.999));
        assert_eq!(pings_written(&mut end), 0);
        wait_until(&mut end, at(520.0));
        assert_eq!(pings_written(&mut end), 1);
    }
}

#[test]
fn the_message_deadline_is_suspended_while_paused_and_goes_on() {
    for side in SIDES {
        let mut end = End::new(side, &config().with_ping_interval(None));
        end.read(&wire::frame(TEXT, b"half", wire::other(side)), at(1.0));
        assert_eq!(end.connection.deadline(), Some(at(61.0)));
        end.connection.pause(at(21.0));
        end.handle_timeout(at(500.0));
        assert_eq!(end.seen, []);
        // Pausing again is nothing new.
        end.connection.pause(at(300.0));
        end.connection.resume(at(500.0));
        // 20 of its 60 seconds were used up.
        assert_eq!(end.connection.deadline(), Some(at(540.0)));
        // Nor is resuming again.
        end.connection.resume(at(520.0));
        assert_eq!(end.connection.deadline(), Some(at(540.0)));
        end.handle_timeout(at(540.0));
        assert_eq!(end.seen, [failed(Timeout::Message)]);
    }
}

/// A peer that makes us pause again and again cannot stretch half a message: the time in which we read counts.
#[test]
fn pauses_do_not_stretch_a_half_message() {
    for side in SIDES {
        let mut end = End::new(side, &config().with_ping_interval(None));
        let from = wire::other(side);
        end.read(&wire::frame(TEXT, b"half", from), at(0.0));
        for round in 0..59 {
            let now = f64::from(round) * 10.0 + 1.0;
            end.connection.pause(at(now));
            end.connection.resume(at(now + 9.0));
            end.read(&wire::frame(CONTINUATION, b"", from), at(now + 9.0));
            assert_eq!(end.failure(), None, "after {} seconds of reading", round + 1);
        }
        assert_eq!(end.connection.deadline(), Some(at(591.0)), "a second of reading is left");
        end.handle_timeout(at(591.0));
        assert_eq!(end.seen, [failed(Timeout::Message)]);
    }
}

/// The peer looks alive for ever and holds our memory: 1008.
#[test]
fn an_endless_half_message_whose_sender_answers_pings() {
    for side in SIDES {
        let from = wire::other(side);
        let mut end = End::new(side, &config());
        end.read(&wire::frame(TEXT, b"begun", from), at(1.0));
        for second in 2..=60 {
            let now = at(f64::from(second));
            wait_until(&mut end, now);
            end.read(&wire::frame(CONTINUATION, b"", from), now);
            end.read(&wire::frame(FIN | PONG, b"", from), now);
            assert_eq!(end.failure(), None, "second {second}");
        }
        wait_until(&mut end, at(61.0));
        assert_eq!(end.failure(), Some(&Error::Timeout(Timeout::Message)));
        let (close, _) = end.outbox.sent_close().expect("the peer is told");
        assert_eq!(close.code(), Some(CloseCode::POLICY_VIOLATION));
        assert_eq!(end.connection.carrier(), CarrierState::Finish);
        wait_until(&mut end, at(66.0));
        assert_eq!(end.connection.carrier(), CarrierState::Drop);
    }
}

/// Every place at which a message can be left lying.
#[test]
fn every_kind_of_unfinished_frame_has_the_deadline() {
    for side in SIDES {
        let from = wire::other(side);
        let text = wire::frame(FIN | TEXT, b"some text", from);
        let ping = wire::frame(FIN | PING, b"ping", from);
        let bytes = [
            text[..1].to_vec(),
            text[..text.len() - 1].to_vec(),
            wire::header(FIN | TEXT, 70_000, from),
            wire::frame(TEXT, b"", from),
            ping[..1].to_vec(),
            ping[..ping.len() - 1].to_vec(),
        ];
        for bytes in bytes {
            let mut end = End::new(side, &config().with_ping_interval(None));
            end.read(&bytes, at(7.0));
            assert_eq!(end.connection.deadline(), Some(at(67.0)), "{bytes:x?}");
        }
        let mut end = End::new(side, &config().with_ping_interval(None));
        end.read(&[text.clone(), ping.clone()].concat(), at(7.0));
        assert_eq!(end.connection.deadline(), None, "all is complete");
        let mut end = End::new(side, &config().with_ping_interval(None).with_message_timeout(None));
        end.read(&text[..3], at(7.0));
        assert_eq!(end.connection.deadline(), None, "the deadline is off");
    }
}

/// Reads that always end in the middle of the next frame: each frame has its own deadline.
#[test]
fn each_message_has_its_own_deadline() {
    for side in SIDES {
        let from = wire::other(side);
        for whole in [
            wire::frame(FIN | TEXT, b"text", from),
            wire::frame(FIN | PING, b"ping", from),
            wire::frame(FIN | PONG, b"", from),
        ] {
            // One that is cut in its header, one in its payload if it has any.
            for cut in [1, whole.len() - 1] {
                let mut end = End::new(side, &config().with_ping_interval(None));
                end.read(&whole[..cut], at(0.0));
                for round in 1..10 {
                    let now = at(f64::from(round * 50));
                    wait_until(&mut end, now);
                    end.read(&[&whole[cut..], &whole[..cut]].concat(), now);
                    assert_eq!(end.failure(), None, "{whole:x?} cut at {cut}, round {round}");
                    assert_eq!(end.connection.deadline(), Some(now + seconds(60)));
                }
            }
        }
    }
}

/// Control frames inside a message are not its end.
#[test]
fn control_frames_do_not_move_the_message_deadline() {
    for side in SIDES {
        let from = wire::other(side);
        let ping = wire::frame(FIN | PING, b"ping", from);
        for cut in 1..ping.len() {
            let mut end = End::new(side, &config().with_ping_interval(None));
            end.read(&wire::frame(TEXT, b"half", from), at(1.0));
            end.read(&ping[..cut], at(2.0));
            end.read(&ping[cut..], at(3.0));
            end.read(&ping, at(4.0));
            assert_eq!(end.connection.deadline(), Some(at(61.0)));
        }
    }
}

#[test]
fn a_write_that_stalls_ends_the_connection() {
    for side in SIDES {
        let mut pair = Pair::new(&config().with_ping_interval(None));
        let reader = wire::other(side);
        pair.link_to(reader).in_flight_bytes_max = 1000;
        pair.link_to(reader).reader_stalls = true;
        pair.end(side).outbox.send(MessageRef::Binary(&[0; 5000])).expect("open");
        pair.run_for(seconds(10));
        // It takes a little and stalls again: the deadline counts from there.
        pair.link_to(reader).in_flight_bytes_max = 2000;
        pair.run_for(seconds(30) - Duration::from_nanos(1));
        assert!(pair.end(side).over.is_none());
        pair.run_for(Duration::from_nanos(1));
        let (closed, _) = pair.end(side).over.clone().expect("nothing was taken for 30 seconds");
        assert_eq!(closed.error, Some(Error::Timeout(Timeout::Write)));
        assert_eq!((closed.code(), closed.sent), (1006, None));
    }
}

#[test]
fn the_write_deadline_ends_when_all_is_written_and_runs_while_paused() {
    for side in SIDES {
        let mut end = End::new(side, &config().with_ping_interval(None));
        end.connection.wrote(10, false, at(1.0));
        end.connection.wrote(10, false, at(9.0));
        assert_eq!(end.connection.deadline(), Some(at(31.0)), "trying again is not progress");
        end.connection.wrote(5, true, at(10.0));
        assert_eq!(end.connection.deadline(), Some(at(40.0)));
        end.connection.wrote(0, true, at(11.0));
        assert_eq!(end.connection.deadline(), None);

        end.connection.wrote(10, true, at(12.0));
        end.connection.pause(at(12.0));
        assert_eq!(end.connection.deadline(), Some(at(42.0)), "it is the peer who does not read");
        end.handle_timeout(at(42.0));
        assert_eq!(end.seen, [failed(Timeout::Write)]);

        let mut end = End::new(side, &config().with_ping_interval(None).with_write_timeout(None));
        end.connection.wrote(10, false, at(1.0));
        assert_eq!(end.connection.deadline(), None, "the deadline is off");
    }
}

/// A peer that was told to go, and takes nothing of what waits: the write deadline may end it before closing does.
#[test]
fn a_failed_connection_whose_write_stalls_is_dropped() {
    for side in SIDES {
        let config = config().with_close_timeout(seconds(5)).with_write_timeout(Some(seconds(3)));
        let mut end = End::new(side, &config);
        end.read(b"\xff", at(0.0));
        end.connection.wrote(end.outbox.len(), false, at(0.0));
        end.handle_timeout(at(3.0));
        assert_eq!(end.connection.carrier(), CarrierState::Drop);
        assert_eq!(end.connection.deadline(), None);
        assert_eq!(end.seen.len(), 1, "it was given up once");
        // Both at once.
        let mut end = End::new(side, &config);
        end.read(b"\xff", at(0.0));
        end.connection.wrote(end.outbox.len(), false, at(0.0));
        end.handle_timeout(at(100.0));
        assert_eq!((end.connection.carrier(), end.connection.deadline()), (CarrierState::Drop, None));
    }
}

#[test]
fn the_close_deadline_runs_while_paused() {
    for side in SIDES {
        let mut end = End::new(side, &config());
        end.close(Close::empty(), at(1.0));
        end.connection.pause(at(1.0));
        assert_eq!(end.connection.deadline(), Some(at(6.0)));
        end.handle_timeout(at(6.0));
        assert_eq!(end.connection.carrier(), CarrierState::Drop);
    }
}

#[test]
fn closing_ends_the_other_deadlines() {
    for side in SIDES {
        let mut end = End::new(side, &config().with_close_timeout(seconds(500)));
        end.read(&wire::frame(TEXT, b"half", wire::other(side)), at(0.0));
        end.close(Close::empty(), at(1.0));
        assert_eq!(end.connection.deadline(), Some(at(501.0)), "no pings, no deadline for a message");
        end.read(&wire::frame(CONTINUATION, b"still half", wire::other(side)), at(2.0));
        end.connection.pause(at(2.0));
        end.connection.resume(at(3.0));
        end.close(Close::empty(), at(4.0));
        assert_eq!(end.connection.deadline(), Some(at(501.0)), "told twice is told once");
        assert_eq!(pings_written(&mut end), 0);
    }
}

/// A deadline as late as can be said is one that never comes, not one in the past.
#[test]
fn deadlines_without_end() {
    let config = config()
        .with_ping_interval(Some(Duration::MAX))
        .with_message_timeout(Some(Duration::MAX))
        .with_write_timeout(Some(Duration::MAX));
    for side in SIDES {
        let mut end = End::new(side, &config);
        end.read(&wire::frame(TEXT, b"half", wire::other(side)), at(5.0));
        end.connection.wrote(10, false, at(5.0));
        end.handle_timeout(at(1e9));
        assert_eq!(end.seen, []);
        assert!(end.outbox.is_empty());
    }
}

/// What can happen to one end, in any order.
#[derive(Clone, Debug)]
enum Step {
    /// Time passes; what is due is handled as it becomes due.
    Wait(u64),
    /// Time passes; the driver comes late, and only once.
    Oversleep(u64),
    Read(Read),
    Pause,
    Resume,
    Send(usize),
    /// The kernel takes this much of what waits.
    Write(usize),
    Close,
    /// Looks at the timers though nothing is due.
    HandleTimeout,
    SetConfig(Box<Config>),
}

#[derive(Clone, Debug)]
enum Read {
    Message,
    Half,
    Rest,
    Ping,
    Pong,
    Cut(usize),
    Close,
    Garbage,
    Random(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let read = prop_oneof![
        4 => Just(Read::Message),
        2 => Just(Read::Half),
        2 => Just(Read::Rest),
        3 => Just(Read::Ping),
        3 => Just(Read::Pong),
        2 => (1..20usize).prop_map(Read::Cut),
        1 => Just(Read::Close),
        1 => Just(Read::Garbage),
        1 => any::<u64>().prop_map(Read::Random),
    ];
    let step = prop_oneof![
        6 => (1..30_000u64).prop_map(Step::Wait),
        3 => (1..90_000u64).prop_map(Step::Oversleep),
        8 => read.prop_map(Step::Read),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
        3 => (0..5000usize).prop_map(Step::Send),
        4 => (0..3000usize).prop_map(Step::Write),
        1 => Just(Step::Close),
        2 => Just(Step::HandleTimeout),
        1 => configs().prop_map(|config| Step::SetConfig(Box::new(config))),
    ];
    proptest::collection::vec(step, 1..60)
}

fn read_bytes(read: &Read, from: Side) -> Vec<u8> {
    let long = wire::frame(FIN | TEXT, b"a longer text", from);
    match read {
        Read::Message => wire::frame(FIN | TEXT, b"text", from),
        Read::Half => wire::frame(TEXT, b"ha", from),
        Read::Rest => wire::frame(FIN | CONTINUATION, b"lf", from),
        Read::Ping => wire::frame(FIN | PING, b"ping", from),
        Read::Pong => wire::frame(FIN | PONG, b"", from),
        Read::Cut(length) => long[..*length.min(&long.len())].to_vec(),
        Read::Close => wire::frame(FIN | CLOSE, &wire::close_body(1000, b""), from),
        Read::Garbage => b"\xff\xff".to_vec(),
        Read::Random(seed) => {
            let mut random = Random(*seed);
            (0..20).map(|_| random.below(256) as u8).collect()
        }
    }
}

/// Milliseconds of each deadline; 0 stands for none where there may be none.
fn configs() -> impl Strategy<Value = Config> {
    let besides = (0..3u8, 0..100_000u64, 0..3u8, 0..200_000u64, proptest::option::of((0..5u32, 0..20u32)));
    (0..30_000u64, 1..30_000u64, 0..60_000u64, 0..30_000u64, 1..10_000u64, besides).prop_map(
        |(ping, pong, message, write, close, (has_idle, idle, has_lifetime, lifetime, rate))| {
            let some = |ms| (ms > 0).then(|| Duration::from_millis(ms));
            Config::default()
                .with_idle_timeout(some(idle).filter(|_| has_idle > 0))
                .with_lifetime_max(some(lifetime).filter(|_| has_lifetime > 0))
                .with_message_rate(rate.map(|(per_second, burst)| Rate::new(per_second, burst)))
                .with_ping_interval(some(ping))
                .with_pong_timeout(Duration::from_millis(pong))
                .with_message_timeout(some(message))
                .with_write_timeout(some(write))
                .with_close_timeout(Duration::from_millis(close))
        },
    )
}

/// Keeps to the rules that hold whatever happens.
struct Judge {
    end: End,
    now: Time,
    close_timeout: Duration,
    /// When closing began, by whoever.
    closing_since: Option<Time>,
    written: Vec<u8>,
    is_paused: bool,
}

impl Judge {
    fn check(&mut self) {
        let carrier = self.end.connection.carrier();
        if carrier == CarrierState::Finish || self.end.outbox.sent_close().is_some() {
            self.closing_since.get_or_insert(self.now);
        }
        if let Some(since) = self.closing_since
            && carrier != CarrierState::Drop
        {
            let due = self.end.connection.deadline().expect("closing has a deadline");
            assert!(due <= since + self.close_timeout, "closing since {since:?}, next look at {due:?}");
        }
        if carrier == CarrierState::Drop {
            assert!(!self.end.connection.wants_input());
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        self.end.handle_timeout(now);
        if let Some(since) = self.closing_since
            && since + self.close_timeout <= now
        {
            assert_eq!(
                self.end.connection.carrier(),
                CarrierState::Drop,
                "closing since {since:?}, now {now:?}"
            );
        }
    }

    fn write(&mut self, count: usize) {
        let bytes = self.end.outbox.len().min(count);
        let before = self.written.len();
        while self.written.len() < before + bytes {
            let mut slices = [std::io::IoSlice::new(&[])];
            self.end.outbox.io_slices(&mut slices);
            let take = slices[0].len().min(before + bytes - self.written.len());
            self.written.extend_from_slice(&slices[0][..take]);
            self.end.outbox.advance(take);
        }
        self.end.connection.wrote(self.end.outbox.len(), bytes > 0, self.now);
    }

    fn take(&mut self, step: &Step) {
        if self.end.connection.carrier() == CarrierState::Drop {
            // A driver ends here.
            return;
        }
        match step {
            Step::Wait(ms) => {
                let until = self.now + Duration::from_millis(*ms);
                while let Some(due) = self.end.connection.deadline().filter(|due| *due <= until) {
                    self.handle_timeout(due.max(self.now));
                    self.check();
                }
                self.now = until;
            }
            Step::Oversleep(ms) => self.handle_timeout(self.now + Duration::from_millis(*ms)),
            Step::Read(read) => {
                if !self.is_paused && self.end.connection.wants_input() {
                    let bytes = read_bytes(read, wire::other(self.end.side));
                    self.end.read(&bytes, self.now);
                }
            }
            Step::Pause => {
                self.end.connection.pause(self.now);
                self.is_paused = true;
            }
            Step::Resume => {
                self.end.connection.resume(self.now);
                self.is_paused = false;
            }
            Step::Send(length) => {
                let _ = self.end.outbox.send(MessageRef::Binary(&vec![0; *length]));
            }
            Step::Write(count) => self.write(*count),
            Step::Close => self.end.close(CloseCode::NORMAL.into(), self.now),
            Step::HandleTimeout => self.handle_timeout(self.now),
            Step::SetConfig(config) => {
                // Closing that has begun keeps its deadline.
                if self.closing_since.is_none() {
                    self.close_timeout = config.close_timeout;
                }
                let config = Arc::new((**config).clone());
                self.end.connection.set_config(config.clone());
                self.end.outbox.set_config(config);
            }
        }
        self.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Timers never spin (checked in `End::handle_timeout`), every close ends in time, a Close is the last frame.
    #[test]
    fn c22_every_close_ends_in_time_and_no_timer_spins(
        is_client in any::<bool>(), config in configs(), steps in steps(),
    ) {
        let side = if is_client { Side::Client } else { Side::Server };
        let mut judge = Judge {
            end: End::new(side, &config),
            now: Time::ZERO,
            close_timeout: config.close_timeout,
            closing_since: None,
            written: Vec::new(),
            is_paused: false,
        };
        steps.iter().for_each(|step| judge.take(step));
        // In the end somebody closes, and nobody answers.
        judge.take(&Step::Close);
        judge.take(&Step::Wait(10_000));
        prop_assert_eq!(judge.end.connection.carrier(), CarrierState::Drop);
        prop_assert_eq!(judge.end.connection.deadline(), None);

        judge.write(usize::MAX);
        let frames = wire::read_frames(&judge.written, side);
        let closes = frames.iter().filter(|frame| frame.first == FIN | CLOSE).count();
        prop_assert!(closes <= 1);
        if closes == 1 {
            prop_assert_eq!(frames.last().expect("there is one").first, FIN | CLOSE);
        }
        let ends = judge.end.seen.iter().filter(|seen| matches!(seen, Seen::Failed(_))).count();
        prop_assert!(ends <= 1, "given up {} times", ends);
    }
}
