//! Sotong's client as other people's judges see it: a program over the library's public API alone.
//!
//! ```text
//!   main.rs ── autobahn.rs   echoes to Autobahn's fuzzing server, which judges
//!       ├───── table.rs      plays the table of cases against an echo server, and judges itself
//!       └───── traffic.rs    plays random messages by a seed against an echo server, and judges itself
//!                └── link.rs one connection, in pull or event form, or as the browser's object
//! ```

mod autobahn;
mod link;
mod table;
mod traffic;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sotong::tls::ClientTls;
use sotong::{Client, Compression, Config, WindowBits};

/// The largest messages of the Autobahn test suite have 16 MiB.
const MESSAGE_BYTES_MAX: u64 = 64 << 20;
/// Room for answers besides the largest one: what one read can bring in small messages.
const SPARE_BYTES: usize = 1 << 20;

/// Sotong's client, for judges to judge
#[derive(Debug, Parser)]
struct Typed {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Echo every case of an Autobahn fuzzing server, then let it write its report
    Autobahn(Peer),
    /// Play the table of cases against an echo server
    Table {
        #[command(flatten)]
        peer: Peer,
        #[command(flatten)]
        play: table::Play,
    },
    /// Play random messages by a seed against an echo server
    Traffic {
        #[command(flatten)]
        peer: Peer,
        #[command(flatten)]
        play: traffic::Play,
    },
}

/// Whom to connect to, and how.
#[derive(Debug, Args)]
struct Peer {
    /// The server, as ws://HOST:PORT or wss://HOST:PORT
    url: String,
    /// Which form of the library talks
    #[arg(long, value_enum)]
    style: Style,
    /// A file with the certificate of the authority to trust, and no other
    #[arg(long)]
    ca: Option<PathBuf>,
    /// Offer permessage-deflate, and compress every message
    #[arg(long, value_enum)]
    compress: Option<Compress>,
    /// The largest window, 8 to 15
    #[arg(long, requires = "compress", value_parser = window_bits)]
    compress_window_bits: Option<WindowBits>,
    /// The sub-protocol to offer
    #[arg(long)]
    protocol: Option<String>,
}

/// The two modes of compression.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Compress {
    Shared,
    Windowed,
}

fn window_bits(typed: &str) -> Result<WindowBits, String> {
    typed.parse().ok().and_then(WindowBits::new).ok_or_else(|| "a number from 8 to 15 is wanted".to_string())
}

/// The forms of the library.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Style {
    Event,
    Pull,
    /// The browser's object
    Web,
}

impl Peer {
    fn client(&self) -> Result<Client, Box<dyn Error>> {
        let largest = usize::try_from(MESSAGE_BYTES_MAX).unwrap_or(usize::MAX);
        let config = Config::default()
            .with_message_bytes_max(MESSAGE_BYTES_MAX)
            .with_outbox_bytes_max(largest.saturating_add(SPARE_BYTES))
            .with_compression(self.compress.map(|mode| {
                let compression = match mode {
                    Compress::Shared => Compression::shared(),
                    Compress::Windowed => Compression::windowed(),
                };
                let compression = compression.with_threshold_bytes(0);
                match self.compress_window_bits {
                    Some(bits) => compression.with_window_bits(bits),
                    None => compression,
                }
            }));
        let mut client = Client::new().with_config(config);
        if let Some(ca) = &self.ca {
            client = client.with_tls(ClientTls::new().without_platform_roots().with_roots_file(ca)?);
        }
        if let Some(protocol) = &self.protocol {
            client = client.with_protocols([protocol])?;
        }
        Ok(client)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    match Typed::parse().command {
        Command::Autobahn(peer) => autobahn::play(&peer.client()?, &peer.url, peer.style).await,
        Command::Traffic { peer, play } => play.run(&peer.client()?, &peer.url, peer.style).await,
        Command::Table { peer, play } => play.run(&peer.client()?, &peer.url, peer.style).await,
    }
}
