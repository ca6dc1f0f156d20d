//! `sotong bench`: what was typed, what is meant, and what its end means for the exit code.

use std::path::PathBuf;

use clap::Args;
use tokio::sync::mpsc;

use super::compress::Compress;
use super::connect::{failure, header, seconds, url};
use super::exit::{Exit, Failure};
use super::settings::{message_bytes_max, wrong};
use super::signals::Signals;
use crate::bench::{self, Exchange, Kind, Load, Settings, Shown, Sizes, Target, Unfit};
use crate::connect::{Trouble, TroubleKind, Trust};

/// More than one machine has ports for, also with all of 127.0.0.0/8.
const CONNECTIONS_MAX: usize = 1_000_000;
/// More than any server answers.
const RATE_MAX: f64 = 1e9;
/// One message in a thousand seconds.
const RATE_MIN: f64 = 0.001;
const IN_FLIGHT_MAX: usize = 65_536;
/// A message is in memory several times on both sides.
const SIZE_MAX: usize = 64 << 20;
const SIZES_MAX: usize = 64;
const THREADS_MAX: usize = 1024;

#[derive(Debug, Args)]
pub(super) struct Bench {
    /// Where to: ws://HOST[:PORT][/PATH], or wss:// for TLS
    #[arg(value_name = "URL")]
    url: String,
    /// How many connections
    #[arg(long, short = 'c', value_name = "N", default_value = "50", allow_negative_numbers = true)]
    connections: String,
    /// Closed loop: so many messages on their way on each connection
    ///
    /// An answer brings the next message. Shows how much a server can do; a
    /// server that stalls is asked less meanwhile. 1 unless --rate is given.
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "rate",
        allow_negative_numbers = true,
        verbatim_doc_comment
    )]
    in_flight: Option<String>,
    /// Open loop: so many messages a second on all connections together
    ///
    /// Whatever the server does. Latency begins when a message is due, so
    /// that a stall counts for all who would have come meanwhile.
    #[arg(long, value_name = "PER-SECOND", allow_negative_numbers = true, verbatim_doc_comment)]
    rate: Option<String>,
    /// Bytes of a message: 128, or 64,1024 in turns, or 16-4096 by chance
    #[arg(long, value_name = "BYTES", default_value = "128", allow_negative_numbers = true)]
    size: String,
    /// Sends text: words and numbers as services send them (the default)
    #[arg(long, conflicts_with = "binary")]
    text: bool,
    /// Sends binary messages, which nothing can compress
    #[arg(long)]
    binary: bool,
    /// Sends this text, always the same, instead of made messages
    #[arg(long, value_name = "TEXT", conflicts_with = "size")]
    message: Option<String>,
    /// How long is measured, in seconds
    #[arg(long, short = 'd', value_name = "SECS", default_value = "10", allow_negative_numbers = true)]
    duration: String,
    /// Opens the connections evenly over this time
    #[arg(long, value_name = "SECS", default_value = "0", allow_negative_numbers = true)]
    ramp: String,
    /// Measures so long after the last connection is there
    #[arg(long, value_name = "SECS", default_value = "1", allow_negative_numbers = true)]
    warm_up: String,
    /// How long an answer may take
    #[arg(long, value_name = "SECS", default_value = "10", allow_negative_numbers = true)]
    timeout: String,
    /// How many threads send; half the cores if not given
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    threads: Option<String>,
    /// Takes any message for the answer to the oldest that waits
    ///
    /// For servers that answer each message with one of their own. Without
    /// it an answer has to be the message that was sent, unchanged.
    #[arg(long, group = "exchange", verbatim_doc_comment)]
    reply: bool,
    /// Sends as much as is taken, or at --rate, and expects nothing
    #[arg(long, group = "exchange")]
    push: bool,
    /// Counts what the server sends; --message is sent once, to ask for it
    #[arg(long, group = "exchange", conflicts_with_all = ["in_flight", "rate"])]
    receive: bool,
    /// Opens connections and closes them, again and again
    #[arg(long, group = "exchange", conflicts_with_all = ["in_flight", "rate", "message"])]
    connect_only: bool,
    /// Prints the result as one JSON object
    #[arg(long)]
    json: bool,
    /// Writes the result as a page, too: one file, with charts, no script
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Only the result, no progress and no notices
    #[arg(long, short)]
    quiet: bool,
    /// A header of the request, 'Name: value'; may be given more than once
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// A sub-protocol to offer, the best first; may be given more than once
    #[arg(long, value_name = "NAME")]
    protocol: Vec<String>,
    /// Pretends to be a page of this site (the header Origin)
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// How long connecting may take
    #[arg(long, value_name = "SECS", default_value = "30", allow_negative_numbers = true)]
    connect_timeout: String,
    /// The largest message that the server may send
    #[arg(long, value_name = "BYTES", default_value = "67108864", allow_negative_numbers = true)]
    message_bytes_max: String,
    #[command(flatten)]
    compress: Compress,
    /// A file with certificates (PEM) to trust besides the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Believes every server, and whoever sits between (wss)
    ///
    /// Whoever is on the way can read and change everything. For tests; with
    /// a certificate of your own, --ca is the safe way.
    #[arg(long, verbatim_doc_comment)]
    danger_accept_any_certificate: bool,
    /// What other programs call the one above. Told, not accepted.
    #[arg(long, hide = true)]
    insecure: bool,
    /// What to log on stderr: LEVEL, or TARGET=LEVEL, with commas between
    #[arg(long, value_name = "FILTER", default_value = "error")]
    pub(super) log: String,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  sotong bench ws://127.0.0.1:9001
      50 connections, one message on its way on each, for ten seconds
  sotong bench ws://127.0.0.1:9001 --rate 20000 --duration 30
      20000 messages a second, whatever the server does: latency as users
      see it who come unasked
  sotong bench ws://127.0.0.1:9001 -c 1000 --ramp 20 --size 16-4096 --binary
      a thousand connections, opened over 20 s; sizes by chance
  sotong bench wss://example.com/api --reply --message '{\"get\":\"time\"}'
      a server that answers with messages of its own
  sotong bench ws://127.0.0.1:9001 --connect-only
      handshakes a second

Load only servers of your own, or of whoever has agreed to it. The first
Ctrl-C ends early and still tells the result, the second one ends at once.";

/// What is meant.
pub(super) fn check(typed: Bench) -> Result<Settings, Failure> {
    if typed.insecure {
        return Err(super::connect::insecure());
    }
    let exchange = match (typed.reply, typed.push, typed.receive, typed.connect_only) {
        (true, ..) => Exchange::Reply,
        (_, true, ..) => Exchange::Push,
        (_, _, true, _) => Exchange::Receive,
        (_, _, _, true) => Exchange::Connect,
        _ => Exchange::Echo,
    };
    let load = match (&typed.rate, &typed.in_flight) {
        (Some(rate), _) => Load::Rate(rate_of(rate)?),
        (None, Some(count)) => Load::InFlight(number("--in-flight", count, IN_FLIGHT_MAX)?),
        (None, None) => Load::InFlight(1),
    };
    Ok(Settings {
        target: Target {
            url: url(typed.url)?,
            headers: typed.header.iter().map(|each| header(each)).collect::<Result<_, _>>()?,
            protocols: typed.protocol,
            origin: typed.origin,
            connect_timeout: seconds("--connect-timeout", &typed.connect_timeout, 0.001)?,
            message_bytes_max: message_bytes_max(&typed.message_bytes_max)?,
            compression: typed.compress.check()?,
            ca: typed.ca,
            trust: match typed.danger_accept_any_certificate {
                true => Trust::Anybody,
                false => Trust::Checked,
            },
        },
        connections: number("--connections", &typed.connections, CONNECTIONS_MAX)?,
        load,
        exchange,
        kind: if typed.binary { Kind::Binary } else { Kind::Text },
        sizes: sizes(&typed.size)?,
        message: typed.message,
        duration: seconds("--duration", &typed.duration, 0.1)?,
        ramp: seconds("--ramp", &typed.ramp, 0.0)?,
        warm_up: seconds("--warm-up", &typed.warm_up, 0.0)?,
        answer_timeout: seconds("--timeout", &typed.timeout, 0.001)?,
        threads: typed.threads.map(|threads| number("--threads", &threads, THREADS_MAX)).transpose()?,
        shown: Shown { json: typed.json, html: typed.html, quiet: typed.quiet },
    })
}

fn number(option: &str, typed: &str, max: usize) -> Result<usize, Failure> {
    match typed.parse() {
        Ok(count) if (1..=max).contains(&count) => Ok(count),
        _ => Err(wrong(option, typed, format_args!("a number from 1 to {max} is wanted"))),
    }
}

fn rate_of(typed: &str) -> Result<f64, Failure> {
    match typed.parse() {
        Ok(rate) if (RATE_MIN..=RATE_MAX).contains(&rate) => Ok(rate),
        _ => Err(wrong(
            "--rate",
            typed,
            format_args!("a number of messages a second from {RATE_MIN} to {RATE_MAX} is wanted"),
        )),
    }
}

fn sizes(typed: &str) -> Result<Sizes, Failure> {
    let size = |typed: &str| typed.parse().ok().filter(|size| *size <= SIZE_MAX);
    let range = typed.split_once('-').map(|(first, last)| match (size(first), size(last)) {
        (Some(first), Some(last)) if first <= last => Some(Sizes::Range(first, last)),
        _ => None,
    });
    let sizes = range.unwrap_or_else(|| {
        let turns = typed.split(',').map(size).collect::<Option<Vec<usize>>>()?;
        (turns.len() <= SIZES_MAX).then_some(Sizes::Turns(turns))
    });
    sizes.ok_or_else(|| {
        wrong(
            "--size",
            typed,
            format_args!("bytes from 0 to {SIZE_MAX} are wanted, as in 128, or 64,1024 (at most {SIZES_MAX}), or 16-4096"),
        )
    })
}

/// Runs it.
pub(super) async fn run(settings: Settings) -> Result<(), Failure> {
    let mut signals = Signals::listen().map_err(|error| Exit::Failed.because(error))?;
    let (stop, stops) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            signals.next().await;
            // Two are enough; more that come at once mean the same.
            let _ = stop.try_send(());
        }
    });
    bench::run(settings, stops).await.map_err(|unfit| match unfit {
        Unfit::Trouble(trouble) => failure(&trouble),
        Unfit::Limit(line) => Exit::Limit.because(line),
        Unfit::Nothing(line) | Unfit::Io(line) => Exit::Failed.because(line),
        Unfit::Interrupted => {
            failure(&Trouble::new(TroubleKind::Interrupted, "ended before there was a result"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_at_their_limits_and_past_them() {
        for (typed, expected) in [
            ("0", Sizes::Turns(vec![0])),
            ("67108864", Sizes::Turns(vec![SIZE_MAX])),
            ("1,2,3", Sizes::Turns(vec![1, 2, 3])),
            ("16-4096", Sizes::Range(16, 4096)),
            ("5-5", Sizes::Range(5, 5)),
        ] {
            assert_eq!(sizes(typed).map_err(|failure| failure.line), Ok(expected), "{typed}");
        }
        let many = |count| vec!["1"; count].join(",");
        assert!(sizes(&many(SIZES_MAX)).is_ok() && sizes(&many(SIZES_MAX + 1)).is_err());
        for typed in ["", "-1", "x", "67108865", "2-1", "1-", "-", "1,", "1-2,3", "1k"] {
            assert_eq!(sizes(typed).expect_err(typed).exit, Exit::Usage);
        }
    }

    #[test]
    fn numbers_at_their_limits_and_past_them() {
        for (typed, is_fine) in [("1", true), ("65536", true), ("0", false), ("65537", false), ("1.5", false)]
        {
            assert_eq!(number("--in-flight", typed, IN_FLIGHT_MAX).is_ok(), is_fine, "{typed}");
        }
        for (typed, is_fine) in [
            ("0.001", true),
            ("1000000000", true),
            ("0.0009", false),
            ("1000000001", false),
            ("nan", false),
            ("inf", false),
        ] {
            assert_eq!(rate_of(typed).is_ok(), is_fine, "{typed}");
        }
    }
}
