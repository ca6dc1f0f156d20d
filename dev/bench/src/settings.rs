//! What the subcommands are told, as the code uses it; [`arguments`](crate::arguments) reads it from the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::cell::Cell;
use crate::cores::Pinning;
use crate::fan_out_server::Style;
use crate::frame::Kind;
use crate::handshake::Offer;
use crate::load::Load;
use crate::one_way_server::{Shape, Way};
use crate::recipe::Peer;

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    Raw(RawSettings),
    Load(LoadSettings),
    Run(RunSettings),
    Memory(MemorySettings),
    Codec(CodecSettings),
    Connects(ConnectsSettings),
    FanOut(FanOutSettings),
    FanOutMemory(FanOutMemorySettings),
    FanOutServer(FanOutServerSettings),
    OneWay(OneWaySettings),
    Threads(ThreadsSettings),
    OneWayServer(OneWayServerSettings),
}

#[derive(Debug)]
pub(crate) struct RawSettings {
    pub(crate) listen: SocketAddr,
    /// A certificate chain and its key, PEM files.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    pub(crate) threads: usize,
}

#[derive(Debug)]
pub(crate) struct LoadSettings {
    pub(crate) load: Load,
    pub(crate) server_pid: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct RunSettings {
    pub(crate) servers: Vec<String>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) sotong: Option<PathBuf>,
    pub(crate) pinning: Pinning,
    pub(crate) cells: Vec<Cell>,
    pub(crate) kind: Kind,
    /// Whether messages are JSON and compressed.
    pub(crate) compress: bool,
    pub(crate) tls: bool,
    pub(crate) runs: usize,
    /// A share of the window, from 0 to 1.
    pub(crate) waited_max: f64,
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
    /// Where the results are written, besides to stdout.
    pub(crate) page: Option<PathBuf>,
}

impl RunSettings {
    /// What the results are about: the name of their section in the documentation.
    pub(crate) fn subject(&self) -> &'static str {
        match (self.compress, self.tls) {
            (true, _) => "compression",
            (false, true) => "wss",
            (false, false) => "cpu",
        }
    }
}

#[derive(Debug)]
pub(crate) struct CodecSettings {
    pub(crate) pinning: Pinning,
    pub(crate) runs: usize,
    pub(crate) page: Option<PathBuf>,
}

#[derive(Debug)]
pub(crate) struct ConnectsSettings {
    pub(crate) tls: bool,
    pub(crate) servers: Vec<String>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) sotong: Option<PathBuf>,
    pub(crate) pinning: Pinning,
    pub(crate) runs: usize,
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
    pub(crate) page: Option<PathBuf>,
}

#[derive(Debug)]
pub(crate) struct MemorySettings {
    pub(crate) servers: Vec<String>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) sotong: Option<PathBuf>,
    pub(crate) pinning: Pinning,
    pub(crate) connections: usize,
    pub(crate) idle: Duration,
    pub(crate) offer: Offer,
    pub(crate) tls: bool,
    pub(crate) page: Option<PathBuf>,
}

#[derive(Debug)]
pub(crate) struct FanOutSettings {
    /// Whether the known servers of others take part.
    pub(crate) others: bool,
    pub(crate) compress: bool,
    pub(crate) page: Option<PathBuf>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) pinning: Pinning,
    pub(crate) subscribers: usize,
    pub(crate) payload_bytes: usize,
    pub(crate) depths: Vec<usize>,
    pub(crate) runs: usize,
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
}

#[derive(Debug)]
pub(crate) struct FanOutMemorySettings {
    pub(crate) peers: Vec<Peer>,
    pub(crate) subscribers: usize,
    pub(crate) payload_bytes: usize,
    pub(crate) idle: Duration,
}

#[derive(Debug)]
pub(crate) struct FanOutServerSettings {
    pub(crate) listen: SocketAddr,
    pub(crate) style: Style,
    pub(crate) threads: usize,
    pub(crate) compress: bool,
}

#[derive(Debug)]
pub(crate) struct OneWaySettings {
    pub(crate) way: Way,
    /// Whether the known servers of others take part.
    pub(crate) others: bool,
    pub(crate) peers: Vec<Peer>,
    pub(crate) pinning: Pinning,
    pub(crate) connections: usize,
    pub(crate) runs: usize,
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
    pub(crate) page: Option<PathBuf>,
}

#[derive(Debug)]
pub(crate) struct ThreadsSettings {
    /// Everything but the servers.
    pub(crate) run: RunSettings,
    /// How many are compared with one.
    pub(crate) threads: usize,
}

#[derive(Debug)]
pub(crate) struct OneWayServerSettings {
    pub(crate) way: Way,
    pub(crate) shape: Shape,
    pub(crate) listen: SocketAddr,
}
