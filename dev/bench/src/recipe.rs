//! The servers that can be measured, one entry each, and how each is started.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::sync::Arc;

use crate::echo_reader::Wire;
use crate::failure::{Failure, Result, While};
use crate::handshake::Offer;
use crate::one_way_server::Way;
use crate::tls::Certificate;

/// A server that this harness knows by name.
struct Known {
    name: &'static str,
    wire: Wire,
    program: Program,
    arguments: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Program {
    /// This very binary.
    Harness,
    /// The binary `sotong`.
    Sotong,
    /// `peers/rust`, built by `measure`.
    RustPeers,
    /// Scripts in `peers`, with what `measure` has installed; node is wherever the PATH has it.
    Bun,
    Node,
}

const RAW: &[&str] = &["raw", "--listen", "127.0.0.1:0"];

/// A peer is added by one entry here. It must listen on a free port of loopback and print a line with the address.
/// Those called `…-loop` send once for each message; see `peers/rust/src/echo/mod.rs`.
const KNOWN: [Known; 16] = [
    known("raw", Program::Harness, RAW),
    // The same once more: its ratio to `raw` shows how far apart two equal servers come out.
    known("raw-again", Program::Harness, RAW),
    known(
        "event",
        Program::Sotong,
        &["echo", "--listen", "127.0.0.1:0", "--threads", "1", "--style", "event"],
    ),
    known("pull", Program::Sotong, &["echo", "--listen", "127.0.0.1:0", "--threads", "1", "--style", "pull"]),
    known("tokio", Program::RustPeers, &["echo", "tokio"]),
    known("bun", Program::Bun, &["echo_bun.js"]),
    known("sockudo-ws", Program::RustPeers, &["echo", "sockudo-ws"]),
    known("sockudo-ws-loop", Program::RustPeers, &["echo", "sockudo-ws-loop"]),
    known("tokio-websockets", Program::RustPeers, &["echo", "tokio-websockets"]),
    known("tokio-websockets-loop", Program::RustPeers, &["echo", "tokio-websockets-loop"]),
    known("yawc", Program::RustPeers, &["echo", "yawc"]),
    known("yawc-loop", Program::RustPeers, &["echo", "yawc-loop"]),
    known("fastwebsockets-loop", Program::RustPeers, &["echo", "fastwebsockets-loop"]),
    known("tokio-tungstenite", Program::RustPeers, &["echo", "tokio-tungstenite"]),
    known("tokio-tungstenite-loop", Program::RustPeers, &["echo", "tokio-tungstenite-loop"]),
    known("ws", Program::Node, &["echo_ws.js"]),
];

/// Which of them can compress; whether each message stands alone is told by a variable of the environment.
const COMPRESSING: [&str; 8] =
    ["event", "pull", "bun", "ws", "sockudo-ws", "sockudo-ws-loop", "yawc", "yawc-loop"];
const COMPRESS: &str = "PEER_COMPRESS";

/// What fans out, besides ours.
const KNOWN_FAN_OUT: [Known; 4] = [
    known("bun", Program::Bun, &["fan_out_bun.js"]),
    known("ws", Program::Node, &["fan_out_ws.js"]),
    known("sockudo-ws", Program::RustPeers, &["fan-out", "sockudo-ws"]),
    known("tokio-tungstenite", Program::RustPeers, &["fan-out", "tokio-tungstenite"]),
];

/// What messages go to, or come from, besides ours: each is told which.
const KNOWN_ONE_WAY: [Known; 10] = [
    known("bun", Program::Bun, &["one_way_bun.js"]),
    known("sockudo-ws", Program::RustPeers, &["sockudo-ws"]),
    known("sockudo-ws-loop", Program::RustPeers, &["sockudo-ws-loop"]),
    known("tokio-websockets", Program::RustPeers, &["tokio-websockets"]),
    known("tokio-websockets-loop", Program::RustPeers, &["tokio-websockets-loop"]),
    known("yawc", Program::RustPeers, &["yawc"]),
    known("yawc-loop", Program::RustPeers, &["yawc-loop"]),
    known("fastwebsockets-loop", Program::RustPeers, &["fastwebsockets-loop"]),
    known("tokio-tungstenite", Program::RustPeers, &["tokio-tungstenite"]),
    known("ws", Program::Node, &["one_way_ws.js"]),
];

const fn known(name: &'static str, program: Program, arguments: &'static [&'static str]) -> Known {
    let wire = match name.as_bytes() {
        b"raw" | b"raw-again" | b"tokio" => Wire::Raw,
        _ => Wire::WebSocket,
    };
    Known { name, wire, program, arguments }
}

impl Known {
    /// `None` if it is to compress and cannot.
    fn recipe(&self, places: &Places, offer: Offer) -> Result<Option<Recipe>> {
        if offer != Offer::Nothing && !COMPRESSING.contains(&self.name) {
            return Ok(None);
        }
        let program = match self.program {
            Program::Harness => places.harness.clone(),
            Program::Sotong => places.sotong.clone(),
            Program::RustPeers => places.target.join("peers-rust/release/peers"),
            Program::Bun => places.target.join("peers/node_modules/.bin/bun"),
            Program::Node => "node".into(),
        };
        if self.program != Program::Node && !program.is_file() {
            let how = if self.program == Program::Sotong {
                "build it with `cargo build --release -p sotong-hub`, or give its path by --sotong"
            } else {
                "`dev/bench/measure --prepare` installs what others' servers need"
            };
            return Err(Failure::new(format!("{} is not there; {how}", program.display())));
        }
        let mut arguments: Vec<String> = match self.program {
            Program::Bun | Program::Node => {
                self.arguments.iter().map(|script| places.peers.join(script).display().to_string()).collect()
            }
            _ => self.arguments.iter().map(|&argument| argument.into()).collect(),
        };
        // What a collector of garbage or a pool of threads does beside is not known.
        let threads = match self.program {
            Program::Bun | Program::Node => Threads::Several,
            _ => Threads::One,
        };
        let mut environment = match self.program {
            Program::Node => vec![("NODE_PATH", places.target.join("peers/node_modules"))],
            _ => vec![],
        };
        let word = match offer {
            Offer::Nothing => None,
            Offer::Alone => Some("shared"),
            Offer::Windows => Some("windowed"),
        };
        match (word, self.program) {
            (None, _) => {}
            (Some(word), Program::Harness | Program::Sotong) => arguments.push(format!("--compress={word}")),
            (Some(word), _) => environment.push((COMPRESS, word.into())),
        }
        Ok(Some(Recipe {
            name: self.name.into(),
            wire: self.wire,
            threads,
            is_ours: matches!(self.program, Program::Harness | Program::Sotong),
            program,
            arguments,
            environment,
            compresses: offer != Offer::Nothing,
            certificate: None,
        }))
    }
}

/// Where programs and scripts are.
struct Places {
    harness: PathBuf,
    sotong: PathBuf,
    /// `target`.
    target: PathBuf,
    /// `dev/bench/peers`.
    peers: PathBuf,
}

impl Places {
    fn find(sotong: Option<&PathBuf>) -> Result<Self> {
        let harness = std::env::current_exe().during("finding this program's own path")?;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let target = harness.parent().and_then(Path::parent).unwrap_or(folder).to_path_buf();
        Ok(Self {
            sotong: sotong.cloned().unwrap_or_else(|| harness.with_file_name("sotong")),
            harness,
            target,
            peers: folder.join("peers"),
        })
    }

    /// A server that is a subcommand of this very binary.
    fn own(&self, name: &str, wire: Wire, arguments: &[&str]) -> Recipe {
        Recipe {
            name: name.into(),
            wire,
            threads: Threads::One,
            is_ours: true,
            program: self.harness.clone(),
            arguments: arguments.iter().map(|&argument| argument.into()).collect(),
            environment: vec![],
            compresses: false,
            certificate: None,
        }
    }
}

/// How a server's work is spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// One thread does it all: when that waits for its core, something foreign runs there.
    One,
    /// Threads of its own (a collector of garbage, a pool) compete for the one core, or nobody knows.
    Several,
}

/// A server that is not in the list, as it was typed: `NAME=COMMAND ARGUMENT…`, split at spaces, no shell.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || "a peer is NAME=COMMAND, as in 'ws=node echo.js'".to_string();
        let (name, command) = text.split_once('=').ok_or_else(wrong)?;
        let mut words = command.split_ascii_whitespace().map(String::from);
        let program = words.next().ok_or_else(wrong)?;
        if name.is_empty() || name.contains([' ', ',']) {
            return Err(wrong());
        }
        Ok(Self { name: name.into(), program: program.into(), arguments: words.collect() })
    }
}

/// How to start a server and what it speaks.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) name: String,
    pub(crate) wire: Wire,
    pub(crate) threads: Threads,
    /// Whether it is a program of this workspace.
    is_ours: bool,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(&'static str, PathBuf)>,
    /// Whether it compresses, each message standing alone.
    pub(crate) compresses: bool,
    /// What it has for TLS.
    pub(crate) certificate: Option<Arc<Certificate>>,
}

impl Recipe {
    /// Has it serve over TLS: ours are told by options, those of others by variables of the environment.
    fn secure(&mut self, certificate: &Arc<Certificate>) {
        let (chain, key) = (certificate.chain(), certificate.key());
        if self.is_ours {
            let options = ["--tls-cert".into(), chain.display().to_string(), "--tls-key".into()];
            self.arguments.extend(options.into_iter().chain([key.display().to_string()]));
        } else {
            self.environment.extend([("TLS_CERT", chain), ("TLS_KEY", key)]);
        }
        self.certificate = Some(certificate.clone());
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// The servers of the fan-out benchmark: ours, those of others that are known, if `others`, then the peers.
pub(crate) fn fan_out_recipes(others: bool, compress: bool, peers: &[Peer]) -> Result<Vec<Recipe>> {
    let places = Places::find(None)?;
    let own = |name: &str, style: &str, compresses: bool| {
        let options = ["fan-out-server", "--style", style].into_iter();
        let options = options.chain(compresses.then_some("--compress")).collect::<Vec<_>>();
        Recipe { compresses, ..places.own(name, Wire::WebSocket, &options) }
    };
    let mut recipes = vec![own("event", "event", compress), own("pull", "pull", compress)];
    if compress {
        // What compressing is to be compared with.
        recipes.push(own("event-uncompressed", "event", false));
    }
    // What these crates have for many does not compress.
    let can = |known: &&Known| others && !(compress && known.program == Program::RustPeers);
    for known in KNOWN_FAN_OUT.iter().filter(can) {
        recipes.extend(known.recipe(&places, Offer::alone_if(compress))?);
    }
    add_peers(&mut recipes, peers)?;
    Ok(recipes)
}

/// The servers of `receive` and `send`: the floor, ours, those of others that are known, if `others`, then the peers.
pub(crate) fn one_way_recipes(way: Way, others: bool, peers: &[Peer]) -> Result<Vec<Recipe>> {
    let places = Places::find(None)?;
    let own = |shape: &str, wire| places.own(shape, wire, &["one-way-server", way.word(), "--shape", shape]);
    let mut recipes =
        vec![own("raw", Wire::Raw), own("event", Wire::WebSocket), own("pull", Wire::WebSocket)];
    // Receiving, there is nothing to put off.
    let differs = |known: &&Known| others && (way == Way::Send || !is_second_row(known.name));
    for known in KNOWN_ONE_WAY.iter().filter(differs) {
        if let Some(mut recipe) = known.recipe(&places, Offer::Nothing)? {
            let at = usize::from(known.program != Program::RustPeers);
            recipe.arguments.insert(at, way.word().into());
            recipes.push(recipe);
        }
    }
    add_peers(&mut recipes, peers)?;
    Ok(recipes)
}

/// Whether a library has another, faster shape.
fn is_second_row(name: &str) -> bool {
    name.strip_suffix("-loop").is_some_and(|name| KNOWN_ONE_WAY.iter().any(|known| known.name == name))
}

/// The recipes for the names in `wanted` (`all` is all of them), in the order of the list, and then for every peer. With `tls`
/// they have a certificate that lasts as long as they do.
pub(crate) fn recipes(
    wanted: &[String],
    peers: &[Peer],
    sotong: Option<&PathBuf>,
    offer: Offer,
    tls: bool,
) -> Result<Vec<Recipe>> {
    const ALL: &str = "all";
    let is_known = |name: &str| name == ALL || KNOWN.iter().any(|known| known.name == name);
    if let Some(name) = wanted.iter().find(|name| !is_known(name)) {
        let names = KNOWN.map(|known| known.name).join(", ");
        return Err(Failure::new(format!("no server is called {name:?}; known are {names}, and {ALL}")));
    }
    let places = Places::find(sotong)?;
    let mut recipes = Vec::new();
    for known in KNOWN.iter().filter(|known| wanted.iter().any(|name| name == known.name || name == ALL)) {
        recipes.extend(known.recipe(&places, offer)?);
    }
    add_peers(&mut recipes, peers)?;
    if tls {
        let certificate = Certificate::make()?;
        recipes.iter_mut().for_each(|recipe| recipe.secure(&certificate));
    }
    Ok(recipes)
}

/// The floor or one of our forms, by its name, with so many threads, which run wherever the scheduler puts them.
pub(crate) fn threaded(name: &str, threads: usize, sotong: Option<&PathBuf>) -> Result<Recipe> {
    let known = KNOWN.iter().find(|known| known.name == name);
    let recipe = known.map(|known| known.recipe(&Places::find(sotong)?, Offer::Nothing)).transpose()?;
    let Some(mut recipe) = recipe.flatten() else {
        return Err(Failure::new(format!("no server is called {name:?}")));
    };
    recipe.name = format!("{name}-{threads}");
    recipe.threads = Threads::Several;
    match recipe.arguments.iter().position(|argument| argument == "--threads") {
        Some(at) => recipe.arguments[at + 1] = threads.to_string(),
        None => recipe.arguments.extend(["--threads".into(), threads.to_string()]),
    }
    Ok(recipe)
}

fn add_peers(recipes: &mut Vec<Recipe>, peers: &[Peer]) -> Result<()> {
    for peer in peers {
        if recipes.iter().any(|recipe| recipe.name == peer.name) {
            return Err(Failure::new(format!("two servers are called {:?}", peer.name)));
        }
        recipes.push(Recipe {
            name: peer.name.clone(),
            wire: Wire::WebSocket,
            threads: Threads::Several,
            is_ours: false,
            program: peer.program.clone(),
            arguments: peer.arguments.clone(),
            environment: vec![],
            compresses: false,
            certificate: None,
        });
    }
    Ok(())
}

/// How a server is called in the documentation, and whether it is ours.
pub(crate) fn shown(name: &str) -> (String, bool) {
    match name {
        "event" => ("Sotong, event form".into(), true),
        "pull" => ("Sotong, pull form".into(), true),
        "event-uncompressed" => ("Sotong, event form, uncompressed".into(), true),
        "raw" => ("raw epoll echo".into(), false),
        "raw-again" => ("raw epoll echo, again".into(), false),
        "tokio" => ("raw tokio echo".into(), false),
        "bun" => ("Bun (uWebSockets)".into(), false),
        "ws" => ("npm ws".into(), false),
        _ => match name.strip_suffix("-loop") {
            Some(name) => (format!("{name}, send loop"), false),
            None => (name.into(), false),
        },
    }
}

/// The versions of what others' servers are made of, as far as they are among `recipes`: of packages that were installed,
/// of crates from the lock file.
pub(crate) fn versions(recipes: &[Recipe]) -> Result<String> {
    let places = Places::find(None)?;
    let lock = fs::read_to_string(places.peers.join("rust/Cargo.lock")).unwrap_or_default();
    let mut versions = Vec::new();
    for recipe in recipes {
        let name = recipe.name.trim_end_matches("-loop");
        let version = match name {
            "bun" | "ws" => {
                let package = places.target.join(format!("peers/node_modules/{name}/package.json"));
                quoted_after(&fs::read_to_string(package).unwrap_or_default(), "\"version\": ")
            }
            _ => quoted_after(&lock, &format!("name = \"{name}\"\nversion = ")),
        };
        let told = version.map(|version| format!("{name} {version}"));
        versions.extend(told.filter(|told| !versions.contains(told)));
    }
    Ok(versions.join(", "))
}

/// What stands in quotes behind `mark`.
fn quoted_after(text: &str, mark: &str) -> Option<String> {
    Some(text.split_once(mark)?.1.split('"').nth(1)?.to_string())
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.program.display(), self.arguments.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_as_they_are_typed() {
        let peer: Peer = "ws=node echo.js --port 0".parse().expect("a peer");
        assert_eq!((peer.name.as_str(), peer.arguments.len()), ("ws", 3));
        let recipes =
            recipes(&["raw".into()], &[peer], None, Offer::Nothing, false).expect("both can be started");
        assert_eq!(recipes.iter().map(|recipe| recipe.name.as_str()).collect::<Vec<_>>(), ["raw", "ws"]);
        for wrong in ["", "ws", "ws=", "=node", "a b=node", "a,b=node"] {
            assert!(wrong.parse::<Peer>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn versions_out_of_lock_files_and_packages() {
        let lock = "[[package]]\nname = \"yawc\"\nversion = \"0.5.0\"\n";
        assert_eq!(quoted_after(lock, "name = \"yawc\"\nversion = ").as_deref(), Some("0.5.0"));
        assert_eq!(quoted_after(lock, "name = \"ws\"\nversion = "), None);
    }

    #[test]
    fn names_that_nobody_has() {
        let failure = recipes(&["rwa".into()], &[], None, Offer::Nothing, false)
            .expect_err("a typing error")
            .to_string();
        assert!(
            failure.contains("\"rwa\"") && failure.contains("raw, raw-again, event, pull, tokio, bun"),
            "{failure}"
        );
        let twice: Vec<Peer> = vec!["raw=node".parse().expect("a peer")];
        assert!(recipes(&["raw".into()], &twice, None, Offer::Nothing, false).is_err());
        let failure = recipes(&["event".into()], &[], Some(&"/nowhere/sotong".into()), Offer::Nothing, false)
            .expect_err("no binary");
        assert!(failure.to_string().contains("cargo build --release"), "{failure}");
    }
}
