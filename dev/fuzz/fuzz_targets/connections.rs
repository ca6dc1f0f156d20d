//! Two ends of a connection, a network between them, and any sequence of what can happen: sends, pings, closes,
//! pauses, new limits, time, cut cables.
//!
//! Whatever it is, messages arrive whole, in order and once; nobody is blamed who did nothing wrong; no timer spins;
//! and when both have closed, both are over within the time that closing may take.

#![no_main]

#[path = "../../../crates/sotong-proto/tests/pair/mod.rs"]
mod pair;

use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use pair::{Pair, Seen};
use sotong_proto::{Close, CloseCode, Config, Error, MessageRef, Rate, Replies, Side};

#[derive(Arbitrary, Debug)]
struct Run {
    config: Settings,
    seed: u64,
    steps: Vec<(bool, Step)>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Text(u16),
    Binary(u16),
    Ping(u8),
    Close(u16, u8),
    Wait(u16),
    Pause,
    Resume,
    /// Delay, pieces and room of the link to this end.
    Link(u16, u8, u16),
    /// Nothing arrives any more.
    Cut,
    HangUp,
    SetConfig(Settings),
}

/// Zero stands for none where there may be none.
#[derive(Arbitrary, Debug)]
struct Settings {
    message_bytes_max: u16,
    outbox_bytes_max: u16,
    pong_bytes_max: u8,
    /// Milliseconds.
    ping: u16,
    pong: u16,
    message: u16,
    write: u16,
    close: u16,
    idle: u16,
    lifetime: u16,
    rate: (u8, u8),
}

impl Settings {
    fn config(&self) -> Config {
        let some = |ms: u16| (ms > 0).then(|| Duration::from_millis(ms.into()));
        // At least a millisecond: a ping that is answered in no time and asked again at once would go round for ever.
        let at_least = |ms: u16| Duration::from_millis(u64::from(ms.max(1)));
        let (per_second, burst) = self.rate;
        Config::default()
            .with_message_bytes_max(self.message_bytes_max.into())
            .with_outbox_bytes_max(self.outbox_bytes_max.into())
            .with_pong_bytes_max(self.pong_bytes_max.into())
            .with_ping_interval(some(self.ping).map(|interval| interval.max(Duration::from_millis(50))))
            .with_pong_timeout(at_least(self.pong))
            .with_message_timeout(some(self.message))
            .with_write_timeout(some(self.write))
            .with_close_timeout(at_least(self.close))
            .with_idle_timeout(some(self.idle))
            .with_lifetime_max(some(self.lifetime))
            .with_message_rate((burst > 0).then(|| Rate::new(per_second.into(), burst.into())))
    }
}

/// What an end has sent, and what its Close was if it has one.
#[derive(Default)]
struct Sent(Vec<Seen>);

fn send(pair: &mut Pair, side: Side, message: MessageRef<'_>, sent: &mut Sent) {
    let end = pair.end(side);
    if end.over.is_none() && end.outbox.send(message).is_ok() {
        sent.0.push(match message {
            MessageRef::Text(text) => Seen::Text(text.to_owned()),
            MessageRef::Binary(bytes) => Seen::Binary(bytes.to_owned()),
        });
    }
}

fn other(side: Side) -> Side {
    pair::wire::other(side)
}

fn take(pair: &mut Pair, side: Side, step: &Step, sent: &mut [Sent; 2]) {
    let now = pair.now;
    let is_over = pair.end(side).over.is_some();
    let sent = &mut sent[side as usize];
    match step {
        Step::Text(length) => {
            let text: String = "소통하는 오징어 ".chars().cycle().take(usize::from(length % 3000)).collect();
            send(pair, side, MessageRef::Text(&text), sent);
        }
        Step::Binary(length) => {
            let bytes: Vec<u8> = (0..*length).map(|index| index as u8).collect();
            send(pair, side, MessageRef::Binary(&bytes), sent);
        }
        Step::Ping(length) if !is_over => pair.end(side).outbox.ping(&vec![7; usize::from(length % 126)]),
        Step::Close(code, length) if !is_over => {
            let close = match CloseCode::try_from(*code) {
                Ok(code) => Close::new(code, &"끝".repeat(usize::from(*length))),
                Err(_) => Close::empty(),
            };
            pair.end(side).close(close, now);
        }
        Step::Wait(ms) => pair.run_for(Duration::from_millis((*ms).into())),
        Step::Pause => {
            pair.end(side).connection.pause(now);
            pair.link_to(side).reader_stalls = true;
        }
        Step::Resume => {
            pair.end(side).connection.resume(now);
            pair.link_to(side).reader_stalls = false;
        }
        Step::Link(delay, pieces, room) => {
            let link = pair.link_to(side);
            // A later piece must not overtake an earlier one.
            link.delay = link.delay.max(Duration::from_millis((delay % 2000).into()));
            link.piece_bytes_max = usize::from(*pieces) + 1;
            link.in_flight_bytes_max = link.in_flight_bytes_max.min(usize::from(*room) + 100_000);
        }
        Step::Cut => pair.link_to(side).is_cut = true,
        Step::HangUp => pair.hang_up_to(side),
        Step::SetConfig(settings) => {
            let config = Arc::new(settings.config());
            let end = pair.end(side);
            end.connection.set_config(config.clone());
            end.outbox.set_config(config);
        }
        Step::Ping(_) | Step::Close(..) => {}
    }
    if !matches!(step, Step::Wait(_)) {
        pair.settle();
    }
}

/// What an end has been told is a beginning of what the other one has sent, and no error that nobody made.
fn check(pair: &mut Pair, sent: &[Sent; 2]) {
    for side in [Side::Client, Side::Server] {
        let end = pair.end(side);
        let is_message = |seen: &&Seen| matches!(seen, Seen::Text(_) | Seen::Binary(_));
        let received: Vec<&Seen> = end.seen.iter().filter(is_message).collect();
        let sent: Vec<&Seen> = sent[other(side) as usize].0.iter().collect();
        assert!(
            received.len() <= sent.len() && received == sent[..received.len()],
            "the {side:?} got something else"
        );
        for seen in &end.seen {
            assert!(!matches!(seen, Seen::Failed(Error::Protocol(_))), "the {side:?} saw {seen:?}");
        }
        if let Some((closed, _)) = &end.over
            && closed.clean
        {
            assert!(closed.received.is_some() && closed.sent.is_some(), "{closed:?}");
        }
    }
}

fuzz_target!(|run: Run| {
    let config = run.config.config();
    let mut pair = Pair::with_seed(&config, run.seed);
    let mut sent = [Sent::default(), Sent::default()];
    for (is_client, step) in run.steps.iter().take(100) {
        let side = if *is_client { Side::Client } else { Side::Server };
        take(&mut pair, side, step, &mut sent);
        check(&mut pair, &sent);
    }
    // In the end both close, and are over soon, whatever the network does.
    for side in [Side::Client, Side::Server] {
        take(&mut pair, side, &Step::Close(1000, 0), &mut sent);
    }
    pair.run_for(Duration::from_secs(200));
    check(&mut pair, &sent);
    let _ = pair.closed();
});
