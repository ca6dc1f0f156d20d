//! The command line: what was typed, made into settings. Anything wrong is one line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::cell::{self, Cell};
use crate::cores::Pinning;
use crate::dialer::Target;
use crate::echo_reader::Wire;
use crate::fan_out_server::Style;
use crate::frame::Kind;
use crate::handshake::Offer;
use crate::load::Load;
use crate::one_way_server::{Shape, Way};
use crate::recipe::Peer;
use crate::settings::{
    CodecSettings, Command, ConnectsSettings, FanOutMemorySettings, FanOutServerSettings, FanOutSettings,
    LoadSettings, MemorySettings, OneWayServerSettings, OneWaySettings, RawSettings, RunSettings,
    ThreadsSettings,
};

/// Why there is no command.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Help or version was asked for.
    Help(String),
    /// One line about what is wrong.
    Wrong(String),
}

/// Benchmarks of Sotong: server CPU per echoed message and memory per idle connection, beside a floor.
#[derive(Debug, Parser)]
#[command(name = "sotong-bench", version)]
struct Typed {
    #[command(subcommand)]
    command: TypedCommand,
}

#[derive(Debug, Subcommand)]
enum TypedCommand {
    /// The floor: a TCP echo that parses nothing.
    Raw {
        /// Where to listen.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// How many threads serve.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
        threads: u16,
        /// A certificate chain for TLS: a PEM file.
        #[arg(long, value_name = "FILE", requires = "tls_key")]
        tls_cert: Option<PathBuf>,
        /// Its private key: a PEM file.
        #[arg(long, value_name = "FILE", requires = "tls_cert")]
        tls_key: Option<PathBuf>,
    },
    /// Load one server that is already running, and count.
    Load(TypedLoad),
    /// CPU per message: all servers in all cells, interleaved.
    Run(TypedRun),
    /// Memory per idle connection.
    Memory(TypedMemory),
    /// The codec alone: from the read buffer to a message, in one pass and in two.
    Codec {
        /// How often each work is measured, both ways in turns.
        #[arg(long, default_value_t = 301, value_parser = clap::value_parser!(u16).range(1..=10_000))]
        runs: u16,
        /// Do not bind to a core.
        #[arg(long)]
        no_pin: bool,
        /// Writes the results into this page, too, between its marks, and the picture into a folder beside it.
        #[arg(long, value_name = "PAGE")]
        write: Option<PathBuf>,
    },
    /// CPU per connection: connect, handshake, close.
    Connects(TypedConnects),
    /// CPU per message with several worker threads, beside one.
    Threads(TypedThreads),
    /// CPU per message that is streamed in: text of 32 bytes, counted.
    Receive(TypedOneWay),
    /// CPU and system calls per message that one task sends in a loop: text of 32 bytes.
    Send(TypedOneWay),
    /// The servers of `receive` and `send`, on the library, and their floor.
    OneWayServer {
        /// Which way messages go.
        #[arg(value_enum)]
        way: Way,
        /// Which form of the library serves, or the floor.
        #[arg(long, value_enum, default_value = "event")]
        shape: Shape,
        /// Where to listen.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// CPU per delivery: one speaker, many subscribers.
    FanOut(TypedFanOut),
    /// Memory per slow reader of a large publication.
    FanOutMemory(TypedFanOutMemory),
    /// The server of `fan-out`, on the library: subscribes who comes to /, publishes what is said on /speak.
    FanOutServer {
        /// Where to listen.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Which form of the library serves.
        #[arg(long, value_enum, default_value = "event")]
        style: Style,
        /// How many threads serve.
        #[arg(long, default_value_t = 1)]
        threads: usize,
        /// Compress for those who can.
        #[arg(long)]
        compress: bool,
    },
}

#[derive(Debug, Args)]
struct TypedLoad {
    /// ws://ADDRESS:PORT/PATH
    target: Target,
    /// The server is `raw`: no handshake, bytes are counted.
    #[arg(long)]
    raw: bool,
    /// Connections x messages in flight x bytes.
    #[arg(long, default_value = "100x1x16")]
    cell: Cell,
    /// A process whose CPU time is read before and after.
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Messages are JSON, and compressed.
    #[arg(long)]
    compress: bool,
    #[command(flatten)]
    timing: Timing,
}

#[derive(Debug, Args)]
struct TypedRun {
    /// Cells, with commas between them [default: 100x1x16,100x32x16,50x8x1024,10x4x65536].
    #[arg(long, value_delimiter = ',')]
    cells: Vec<Cell>,
    /// How often each server is measured in each cell.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// A round in which a side waited longer for its core is thrown away and done once more, but at most RUNS times.
    #[arg(long, value_name = "PERCENT", default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=100))]
    waited_max: u8,
    /// Messages are JSON, and compressed: permessage-deflate, each message standing alone.
    #[arg(long, conflicts_with = "tls")]
    compress: bool,
    #[command(flatten)]
    timing: Timing,
    #[command(flatten)]
    servers: Servers,
}

#[derive(Debug, Args)]
struct TypedConnects {
    /// How often each server is measured.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// The measured window.
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = seconds_above_zero)]
    seconds: Duration,
    /// What goes before it.
    #[arg(long, value_name = "SECONDS", default_value = "0.2", value_parser = seconds)]
    warm_up: Duration,
    #[command(flatten)]
    servers: Servers,
}

#[derive(Debug, Args)]
struct TypedMemory {
    /// How many connections.
    #[arg(long, default_value_t = 8000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
    /// How long the server is left alone before memory is read.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    idle: Duration,
    /// With permessage-deflate; each connection is used with 20,000 bytes of JSON then.
    #[arg(long, value_name = "MODE", value_enum, conflicts_with = "tls")]
    compress: Option<Mode>,
    #[command(flatten)]
    servers: Servers,
}

#[derive(Debug, Args)]
struct TypedFanOut {
    /// How many subscribers.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    subscribers: u32,
    /// Bytes of a publication; 8 at least.
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    bytes: usize,
    /// Publications in flight, with commas between them.
    #[arg(long, value_delimiter = ',', value_name = "DEPTHS", default_value = "1,16")]
    in_flight: Vec<usize>,
    /// How often each server is measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// Publications are JSON, and compressed.
    #[arg(long)]
    compress: bool,
    /// Measure the known servers of others, too; `dev/bench/measure --prepare` installs them.
    #[arg(long)]
    others: bool,
    /// Write the results into this page of the documentation, between its marks, with pictures beside it.
    #[arg(long, value_name = "PAGE")]
    write: Option<PathBuf>,
    /// A server to compare with: it subscribes who comes to / and publishes what is said on /speak; it prints a line with
    /// ADDRESS:PORT. May be given again.
    #[arg(long = "peer", value_name = "NAME=COMMAND")]
    peers: Vec<Peer>,
    /// Leave both sides to the scheduler, instead of one core each.
    #[arg(long)]
    no_pin: bool,
    /// The measured window.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds_above_zero)]
    seconds: Duration,
    /// What goes before it.
    #[arg(long, value_name = "SECONDS", default_value = "0.3", value_parser = seconds)]
    warm_up: Duration,
}

#[derive(Debug, Args)]
struct TypedThreads {
    /// How many threads are compared with one.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(2..=1024))]
    threads: u16,
    /// Cells, with commas between them.
    #[arg(long, value_delimiter = ',', default_value = "100x1x16,100x32x16,50x8x1024")]
    cells: Vec<Cell>,
    /// Out of raw, event and pull, with commas between them; what the first loses is taken off the others.
    #[arg(long, value_delimiter = ',', value_name = "NAMES", default_value = "raw,event,pull")]
    servers: Vec<String>,
    /// How often each is measured in each cell.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// The binary `sotong` [default: beside this program].
    #[arg(long, value_name = "PATH")]
    sotong: Option<PathBuf>,
    #[command(flatten)]
    timing: Timing,
    /// Write the results into this page of the documentation, between its marks, with a picture beside it.
    #[arg(long, value_name = "PAGE")]
    write: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct TypedOneWay {
    /// How many connections.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// How often each server is measured.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// Measure the known servers of others, too; `dev/bench/measure --prepare` installs them.
    #[arg(long)]
    others: bool,
    /// A server to compare with, which speaks as `one-way-server` does. May be given again.
    #[arg(long = "peer", value_name = "NAME=COMMAND")]
    peers: Vec<Peer>,
    /// Leave both sides to the scheduler, instead of one core each.
    #[arg(long)]
    no_pin: bool,
    /// The measured window.
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = seconds_above_zero)]
    seconds: Duration,
    /// What goes before it.
    #[arg(long, value_name = "SECONDS", default_value = "0.2", value_parser = seconds)]
    warm_up: Duration,
    /// Write the results into this page of the documentation, between its marks, with a picture beside it.
    #[arg(long, value_name = "PAGE")]
    write: Option<PathBuf>,
}

impl TypedOneWay {
    fn command(self, way: Way) -> Command {
        Command::OneWay(OneWaySettings {
            way,
            others: self.others,
            peers: self.peers,
            pinning: Pinning::usual(self.no_pin),
            connections: self.connections as usize,
            runs: usize::from(self.runs),
            warm_up: self.warm_up,
            window: self.seconds,
            page: self.write,
        })
    }
}

#[derive(Debug, Args)]
struct TypedFanOutMemory {
    /// How many subscribers, none of which reads.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    subscribers: u32,
    /// Bytes of the publication.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(1..))]
    bytes: u32,
    /// A server to compare with, as for `fan-out`. May be given again.
    #[arg(long = "peer", value_name = "NAME=COMMAND")]
    peers: Vec<Peer>,
    /// How long the server rests between readings.
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds_above_zero)]
    idle: Duration,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Mode {
    /// Each message stands alone.
    Shared,
    /// Messages may refer to those before them.
    Windowed,
}

#[derive(Debug, Args)]
struct Timing {
    /// Text or binary messages.
    #[arg(long, value_enum, default_value = "binary")]
    kind: Kind,
    /// The measured window.
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds_above_zero)]
    seconds: Duration,
    /// What goes before it.
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = seconds)]
    warm_up: Duration,
}

#[derive(Debug, Args)]
struct Servers {
    /// Names with commas between them, out of raw, raw-again, event, pull, tokio (a raw echo on it), bun, ws, sockudo-ws,
    /// tokio-websockets, yawc, tokio-tungstenite; with -loop behind them those that send once per message, and
    /// fastwebsockets-loop; or all. `dev/bench/measure --prepare` installs those of others.
    #[arg(long, value_delimiter = ',', value_name = "NAMES", default_value = "raw,event,pull")]
    servers: Vec<String>,
    /// Over TLS (`wss`), with a certificate that is made for the run. A peer of your own finds it by TLS_CERT and TLS_KEY.
    #[arg(long)]
    tls: bool,
    /// Another WebSocket echo besides them; it prints a line with ADDRESS:PORT. May be given again.
    #[arg(long = "peer", value_name = "NAME=COMMAND")]
    peers: Vec<Peer>,
    /// The binary `sotong` [default: beside this program].
    #[arg(long, value_name = "PATH")]
    sotong: Option<PathBuf>,
    /// The core of the server.
    #[arg(long, value_name = "CORE", default_value_t = 0)]
    server_core: usize,
    /// The core of the load generator.
    #[arg(long, value_name = "CORE", default_value_t = 1)]
    load_core: usize,
    /// Leave both to the scheduler.
    #[arg(long)]
    no_pin: bool,
    /// Write the results into this page of the documentation, between its marks, with pictures beside it.
    #[arg(long, value_name = "PAGE")]
    write: Option<PathBuf>,
}

impl Servers {
    fn pinning(&self) -> Pinning {
        match self.no_pin {
            true => Pinning::Free,
            false => Pinning::Cores { server: self.server_core, load: self.load_core },
        }
    }
}

pub(crate) fn parse<I: IntoIterator<Item = OsString>>(arguments: I) -> Result<Command, Stop> {
    let typed = Typed::try_parse_from(arguments).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Help(error.render().to_string()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Stop::Wrong(
            "say what to do: raw, load, run, memory, codec, connects, receive, send, threads, fan-out or fan-out-memory (see --help)"
                .into(),
        ),
        _ => Stop::Wrong(in_one_line(&error.render().to_string())),
    })?;
    Ok(match typed.command {
        TypedCommand::Raw { listen, threads, tls_cert, tls_key } => {
            let tls = tls_cert.zip(tls_key);
            Command::Raw(RawSettings { listen, tls, threads: usize::from(threads) })
        }
        TypedCommand::Load(typed) => Command::Load(LoadSettings {
            load: Load {
                target: typed.target,
                wire: if typed.raw { Wire::Raw } else { Wire::WebSocket },
                kind: typed.timing.kind,
                cell: typed.cell,
                compress: typed.compress,
                warm_up: typed.timing.warm_up,
                window: typed.timing.seconds,
            },
            server_pid: typed.server_pid,
        }),
        TypedCommand::Run(typed) => Command::Run(RunSettings {
            pinning: typed.servers.pinning(),
            servers: typed.servers.servers,
            peers: typed.servers.peers,
            sotong: typed.servers.sotong,
            cells: match typed.cells {
                cells if !cells.is_empty() => cells,
                _ if typed.compress => cell::COMPRESSED.to_vec(),
                _ if typed.servers.tls => cell::SECURE.to_vec(),
                _ => cell::GOALS.to_vec(),
            },
            kind: typed.timing.kind,
            compress: typed.compress,
            tls: typed.servers.tls,
            runs: usize::from(typed.runs),
            waited_max: f64::from(typed.waited_max) / 100.0,
            warm_up: typed.timing.warm_up,
            window: typed.timing.seconds,
            page: typed.servers.write,
        }),
        TypedCommand::Codec { runs, no_pin, write } => Command::Codec(CodecSettings {
            pinning: Pinning::usual(no_pin),
            runs: usize::from(runs),
            page: write,
        }),
        TypedCommand::Connects(typed) => Command::Connects(ConnectsSettings {
            tls: typed.servers.tls,
            pinning: typed.servers.pinning(),
            servers: typed.servers.servers,
            peers: typed.servers.peers,
            sotong: typed.servers.sotong,
            runs: usize::from(typed.runs),
            warm_up: typed.warm_up,
            window: typed.seconds,
            page: typed.servers.write,
        }),
        TypedCommand::FanOut(typed) => Command::FanOut(FanOutSettings {
            pinning: Pinning::usual(typed.no_pin),
            others: typed.others,
            compress: typed.compress,
            page: typed.write,
            peers: typed.peers,
            subscribers: typed.subscribers as usize,
            payload_bytes: typed.bytes,
            depths: typed.in_flight,
            runs: usize::from(typed.runs),
            warm_up: typed.warm_up,
            window: typed.seconds,
        }),
        TypedCommand::FanOutMemory(typed) => Command::FanOutMemory(FanOutMemorySettings {
            peers: typed.peers,
            subscribers: typed.subscribers as usize,
            payload_bytes: typed.bytes as usize,
            idle: typed.idle,
        }),
        TypedCommand::Threads(typed) => Command::Threads(ThreadsSettings {
            threads: usize::from(typed.threads),
            run: RunSettings {
                servers: typed.servers,
                peers: vec![],
                sotong: typed.sotong,
                pinning: Pinning::Free,
                cells: typed.cells,
                kind: typed.timing.kind,
                compress: false,
                tls: false,
                runs: usize::from(typed.runs),
                waited_max: 1.0,
                warm_up: typed.timing.warm_up,
                window: typed.timing.seconds,
                page: typed.write,
            },
        }),
        TypedCommand::Receive(typed) => typed.command(Way::Receive),
        TypedCommand::Send(typed) => typed.command(Way::Send),
        TypedCommand::OneWayServer { way, shape, listen } => {
            Command::OneWayServer(OneWayServerSettings { way, shape, listen })
        }
        TypedCommand::FanOutServer { listen, style, threads, compress } => {
            Command::FanOutServer(FanOutServerSettings { listen, style, threads, compress })
        }
        TypedCommand::Memory(typed) => Command::Memory(MemorySettings {
            pinning: typed.servers.pinning(),
            servers: typed.servers.servers,
            peers: typed.servers.peers,
            sotong: typed.servers.sotong,
            connections: typed.connections as usize,
            idle: typed.idle,
            offer: match typed.compress {
                None => Offer::Nothing,
                Some(Mode::Shared) => Offer::Alone,
                Some(Mode::Windowed) => Offer::Windows,
            },
            tls: typed.servers.tls,
            page: typed.servers.write,
        }),
    })
}

/// What clap says up to its first empty line, without the word "error".
fn in_one_line(said: &str) -> String {
    let first: Vec<&str> = said.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let line = first.join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_string()
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("seconds are a number from 0 to 86400".into()),
    }
}

fn seconds_above_zero(text: &str) -> Result<Duration, String> {
    seconds(text).and_then(|window| match window.is_zero() {
        true => Err("a window of no time measures nothing".into()),
        false => Ok(window),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> Result<Command, Stop> {
        parse(std::iter::once("sotong-bench").chain(line.split_ascii_whitespace()).map(OsString::from))
    }

    #[test]
    fn the_defaults_are_the_goals() {
        let Ok(Command::Run(settings)) = typed("run") else { panic!("`run` needs nothing more") };
        assert_eq!(settings.cells, cell::GOALS);
        assert_eq!((settings.runs, settings.servers.join(" ")), (5, "raw event pull".into()));
        let Ok(Command::Memory(settings)) = typed("memory") else { panic!("`memory` needs nothing more") };
        assert_eq!(settings.connections, 8000);
    }

    #[test]
    fn lists_have_commas() {
        let Ok(Command::Run(settings)) =
            typed("run --cells 1x1x1,2x2x2 --servers raw,pull --seconds 0.5 --runs 7")
        else {
            panic!("a good line")
        };
        assert_eq!((settings.cells.len(), settings.servers.len(), settings.runs), (2, 2, 7));
        assert_eq!(settings.window, Duration::from_millis(500));
    }

    #[test]
    fn what_is_wrong_takes_one_line() {
        for line in [
            "",
            "rnu",
            "run --runs 0",
            "run --cells 1x1",
            "run --seconds 0",
            "run --seconds nan",
            "load",
            "load localhost:80",
            "load 127.0.0.1:1 --kind json",
            "raw --listen 127.0.0.1:65536",
            "memory --connections 0",
            "run --peer ws",
            "run --compress --tls",
            "raw --tls-cert certificate.pem",
        ] {
            match typed(line) {
                Err(Stop::Wrong(said)) => {
                    assert!(!said.is_empty() && !said.contains('\n'), "{line:?} gives {said:?}");
                    assert!(!said.starts_with("error"), "{line:?} gives {said:?}");
                }
                other => panic!("{line:?} gives {other:?}"),
            }
        }
    }

    #[test]
    fn help_is_not_an_error() {
        assert!(matches!(typed("run --help"), Err(Stop::Help(_))));
        assert!(matches!(typed("--version"), Err(Stop::Help(_))));
    }
}
