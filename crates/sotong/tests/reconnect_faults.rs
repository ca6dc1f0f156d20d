//! Reconnecting clients through a proxy that breaks connections: nothing that was promised is lost, order is kept, and
//! the counters say what was not promised. Over `ws` bits are flipped towards the client only, because nothing finds those that
//! the server would read; over `wss` in both directions, and no message may come altered.
//!
//! `SOTONG_SEED` chooses the seed, `SOTONG_FAULTS` how many faults each test has:
//!
//!     SOTONG_FAULTS=100000 cargo test --release -p sotong --test reconnect_faults

#[cfg(feature = "tls")]
#[path = "support/authority.rs"]
mod authority;
mod support;

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sotong::reconnect::{
    Backoff, Counters, Decision, QueueLimits, Reconnect, ReconnectingSocket, Unconfirmed,
};
use sotong::{Client, CloseCode, Config, ConnectTimeouts, Error, Server, WebSocket};
use sotong_testkit::faults::{Direction, Fault, Proxy, Struck, Traffic};
use support::{Running, soon};

/// Clients side by side, each with a proxy of its own.
const CLIENTS: u64 = 16;

/// What stands for a message that is not as it was sent.
const ALTERED: u64 = u64::MAX;

/// The two ends, but for what both schemes have.
#[derive(Clone)]
struct Ends {
    traffic: Traffic,
    client: Client,
    #[cfg(feature = "tls")]
    tls: Option<sotong::tls::ServerTls>,
}

impl Ends {
    fn plain() -> Ends {
        Ends {
            traffic: Traffic::Plain,
            client: Client::new(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    #[cfg(feature = "tls")]
    fn tls() -> Ends {
        let authority = authority::Authority::new("of this test");
        let trusting = sotong::tls::ClientTls::new()
            .without_platform_roots()
            .with_roots_pem(authority.pem().as_bytes())
            .expect("PEM of ours");
        Ends {
            traffic: Traffic::Tls,
            client: Client::new().with_tls(trusting),
            tls: Some(authority.issue(authority::LOCAL).tls()),
        }
    }

    fn scheme(&self) -> &'static str {
        match self.traffic {
            Traffic::Plain => "ws",
            Traffic::Tls => "wss",
        }
    }

    async fn serve<F>(&self, handler: impl Fn(WebSocket) -> F + Send + Sync + 'static) -> Running
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let server = Server::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let server = server.with_config(config());
        #[cfg(feature = "tls")]
        let server = match &self.tls {
            Some(tls) => server.with_tls(tls.clone()),
            None => server,
        };
        let address = server.local_addr().expect("a listener has an address");
        Running::start(address, server.serve(handler))
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

/// What a message says: its number, so that order shows, and enough of it that an altered one shows.
fn message(number: u64) -> String {
    format!("{number:08}{:08}{}", number ^ 0x5a5a_5a5a, "x".repeat((number % 200) as usize))
}

fn read(text: &str) -> Option<u64> {
    let number = text.get(..8)?.parse().ok()?;
    (message(number) == text).then_some(number)
}

/// Short, because each stall lasts as long. Too short for a busy machine is one more fault, and no failure.
fn config() -> Config {
    Config::default()
        .with_ping_interval(Some(Duration::from_millis(150)))
        .with_pong_timeout(Duration::from_millis(150))
        // A length that was altered waits for bytes that never come, and pongs look like some of them.
        .with_message_timeout(Some(Duration::from_millis(500)))
        .with_close_timeout(Duration::from_millis(100))
}

fn client(ends: &Ends, proxy: &Proxy, unconfirmed: Unconfirmed) -> ReconnectingSocket {
    let timeouts = ConnectTimeouts::default().with_total(Duration::from_millis(300));
    let client = ends.client.clone();
    let client = client.with_config(config()).with_timeouts(timeouts).with_simultaneous_connects();
    let millis = Duration::from_millis;
    Reconnect::new(format!("{}://{}/", ends.scheme(), proxy.address()))
        .with_client(client)
        .with_backoff(Backoff::default().with_first(millis(2)).with_longest(millis(10)))
        .with_unconfirmed(unconfirmed)
        .with_queue(QueueLimits::default().with_messages_max(8))
        .with_close_timeout(Duration::from_secs(60))
        // An answer that was altered looks like a final one.
        .with_decision(|_| Decision::Again)
        .connect()
}

/// One client until so many faults struck it: what the server got, and the counters at the end.
async fn play(
    ends: Ends,
    seed: u64,
    faults: u64,
    unconfirmed: Unconfirmed,
) -> (Vec<u64>, Counters, Struck, u64) {
    // By connection: what an old one brought may be read while the next one speaks.
    let got = Arc::new(Mutex::new(Vec::<Vec<u64>>::new()));
    let theirs = got.clone();
    let serving = ends.serve(move |mut socket| {
        let got = theirs.clone();
        let connection = {
            let mut got = got.lock().expect("no panic");
            got.push(Vec::new());
            got.len() - 1
        };
        async move {
            while let Some(message) = socket.recv().await? {
                let text = message.as_text().expect("only text is sent").to_owned();
                got.lock().expect("no panic")[connection].push(read(&text).unwrap_or(ALTERED));
                socket.send(text).await?;
            }
            Ok(())
        }
    });
    let server = serving.await;
    let proxy = Proxy::start(server.address, seed, ends.traffic).await.expect("a free port");
    let mut socket = client(&ends, &proxy, unconfirmed);
    let sender = socket.sender();
    let (mut next, mut last_echo) = (0, None);
    while proxy.struck().iter().flatten().sum::<u64>() < faults {
        tokio::select! {
            sent = sender.send(message(next)) => {
                sent.expect("it stays connected");
                next += 1;
            }
            came = socket.recv() => {
                let came = came.expect("it stays connected").expect("it stays connected");
                let number = came.as_text().and_then(read);
                assert!(number.is_some() || ends.traffic == Traffic::Plain, "TLS let {came:?} through");
                // An altered one is nobody's; all others come in order, with `Resend` from the first one resent on.
                if let Some(number) = number {
                    assert!(
                        unconfirmed == Unconfirmed::Resend || last_echo < Some(number),
                        "{number} came after {last_echo:?}"
                    );
                    last_echo = Some(number);
                }
            }
        }
    }
    proxy.heal();
    let mut settled = pin!(sender.settled());
    soon(async {
        loop {
            tokio::select! {
                () = &mut settled => return,
                came = socket.recv() => drop(came.expect("it stays connected").expect("it stays connected")),
            }
        }
    })
    .await;
    let (_, counters) = soon(socket.close(CloseCode::NORMAL, "")).await;
    assert_eq!(counters.accepted, next);
    let struck = proxy.struck();
    let got = std::mem::take(&mut *got.lock().expect("no panic")).concat();
    // Nothing alters what goes this way, or TLS finds it.
    assert!(!got.contains(&ALTERED), "a message came altered");
    (got, counters, struck, next)
}

async fn all(ends: Ends, unconfirmed: Unconfirmed, check: fn(&[u64], &Counters, u64)) {
    let seed = number("SOTONG_SEED", 20_261_126);
    let faults = number("SOTONG_FAULTS", 800);
    let mut total = Struck::default();
    let mut clients = tokio::task::JoinSet::new();
    for index in 0..CLIENTS {
        let ends = ends.clone();
        clients.spawn(async move {
            let seed = seed.wrapping_mul(31).wrapping_add(index);
            play(ends, seed, faults.div_ceil(CLIENTS), unconfirmed).await
        });
    }
    while let Some(played) = clients.join_next().await {
        let (got, counters, struck, sent) =
            played.unwrap_or_else(|error| panic!("SOTONG_SEED={seed} SOTONG_FAULTS={faults}: {error}"));
        let Counters { accepted, waiting, sent: unknown, confirmed, may_be_lost, unsent, dropped, .. } =
            counters;
        eprintln!("SOTONG_SEED={seed} SOTONG_FAULTS={faults}: {struck:?} {counters:?}");
        assert_eq!(accepted, confirmed + may_be_lost + unsent, "each is counted once");
        assert_eq!((waiting, unknown, dropped), (0, 0, 0), "it is over");
        check(&got, &counters, sent);
        let counts = total.iter_mut().flatten().zip(struck.into_iter().flatten());
        counts.for_each(|(total, struck)| *total += struck);
    }
    eprintln!("{}: {total:?}", ends.scheme());
    assert!(total.iter().flatten().sum::<u64>() >= faults, "{total:?}");
    for (fault, counts) in Fault::ALL.iter().zip(total) {
        for (direction, count) in Direction::ALL.iter().zip(counts) {
            if (fault, direction, ends.traffic) == (&Fault::Corrupt, &Direction::Up, Traffic::Plain) {
                assert_eq!(count, 0, "nothing would find it");
            } else {
                assert!(count > faults / 50, "{fault:?} {direction:?} struck {count} times in {total:?}");
            }
        }
    }
}

fn at_most_once(got: &[u64], counters: &Counters, sent: u64) {
    assert!(got.is_sorted_by(|one, next| one < next), "in order, and none twice");
    let missing = sent - got.len() as u64;
    assert!(
        missing <= counters.may_be_lost + counters.unsent,
        "{missing} of {sent} are missing: {counters:?}"
    );
    assert!(got.len() as u64 >= counters.confirmed, "what is confirmed has come");
    assert_eq!(counters.resent, 0);
}

fn at_least_once(got: &[u64], counters: &Counters, sent: u64) {
    let mut first_times = Vec::new();
    for number in got {
        if first_times.last().is_none_or(|last| number > last) {
            first_times.push(*number);
        }
    }
    let missing_at_end = counters.may_be_lost + counters.unsent;
    let promised = sent - missing_at_end;
    assert!(first_times.iter().copied().take(promised as usize).eq(0..promised), "each, in order");
    assert_eq!(missing_at_end, 0, "a healed network takes all: {counters:?}");
    let twice = (got.len() - first_times.len()) as u64;
    assert!(twice <= counters.resent, "{twice} came twice: {counters:?}");
}

#[tokio::test]
async fn at_most_once_nothing_comes_twice_and_what_is_missing_is_counted() {
    all(Ends::plain(), Unconfirmed::Forget, at_most_once).await;
}

#[tokio::test]
async fn at_least_once_nothing_is_missing_and_what_comes_twice_is_counted() {
    all(Ends::plain(), Unconfirmed::Resend, at_least_once).await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn at_most_once_over_tls_which_finds_what_was_altered_both_ways() {
    all(Ends::tls(), Unconfirmed::Forget, at_most_once).await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn at_least_once_over_tls_which_finds_what_was_altered_both_ways() {
    all(Ends::tls(), Unconfirmed::Resend, at_least_once).await;
}
