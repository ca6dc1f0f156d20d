//! The servers that can be measured, one entry each, and a running one as a child process.

use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::mpsc;

use crate::connection::PATIENCE;
use crate::dialer::Target;
use crate::echo_reader::Wire;
use crate::failure::{Failure, Result, While};

/// A server that this harness knows by name.
struct Known {
    name: &'static str,
    wire: Wire,
    program: Program,
    arguments: &'static [&'static str],
}

#[derive(Clone, Copy)]
enum Program {
    /// This very binary.
    Harness,
    /// The binary `sotong`.
    Sotong,
}

/// A peer is added by one entry here. It must listen on a free port of loopback and print a line with the address.
const KNOWN: [Known; 4] = [
    Known {
        name: "raw",
        wire: Wire::Raw,
        program: Program::Harness,
        arguments: &["raw", "--listen", "127.0.0.1:0"],
    },
    // The same once more: its ratio to `raw` shows how far apart two equal servers come out.
    Known {
        name: "raw-again",
        wire: Wire::Raw,
        program: Program::Harness,
        arguments: &["raw", "--listen", "127.0.0.1:0"],
    },
    Known {
        name: "event",
        wire: Wire::WebSocket,
        program: Program::Sotong,
        arguments: &["echo", "--listen", "127.0.0.1:0", "--threads", "1", "--style", "event"],
    },
    Known {
        name: "pull",
        wire: Wire::WebSocket,
        program: Program::Sotong,
        arguments: &["echo", "--listen", "127.0.0.1:0", "--threads", "1", "--style", "pull"],
    },
];

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
    program: PathBuf,
    arguments: Vec<String>,
}

/// How many servers of the fan-out benchmark are ours: they come first.
pub(crate) const FAN_OUT_OWN: usize = 2;

/// The servers of the fan-out benchmark: ours, then the peers.
pub(crate) fn fan_out_recipes(peers: &[Peer]) -> Result<Vec<Recipe>> {
    let harness = std::env::current_exe().during("finding this program's own path")?;
    let own: [&str; FAN_OUT_OWN] = ["event", "pull"];
    let own = own.map(|style| Recipe {
        name: style.into(),
        wire: Wire::WebSocket,
        threads: Threads::One,
        program: harness.clone(),
        arguments: ["fan-out-server", "--style", style].map(String::from).to_vec(),
    });
    let peers = peers.iter().map(|peer| Recipe {
        name: peer.name.clone(),
        wire: Wire::WebSocket,
        threads: Threads::Several,
        program: peer.program.clone(),
        arguments: peer.arguments.clone(),
    });
    Ok(own.into_iter().chain(peers).collect())
}

/// The recipes for the names in `wanted`, in the order of the list, and then for every peer.
pub(crate) fn recipes(wanted: &[String], peers: &[Peer], sotong: Option<&PathBuf>) -> Result<Vec<Recipe>> {
    if let Some(name) = wanted.iter().find(|name| KNOWN.iter().all(|known| known.name != **name)) {
        let names = KNOWN.map(|known| known.name).join(", ");
        return Err(Failure::new(format!("no server is called {name:?}; known are {names}")));
    }
    let harness = std::env::current_exe().during("finding this program's own path")?;
    let sotong = sotong.cloned().unwrap_or_else(|| harness.with_file_name("sotong"));
    let mut recipes = Vec::new();
    for known in KNOWN.iter().filter(|known| wanted.iter().any(|name| name == known.name)) {
        let program = match known.program {
            Program::Harness => harness.clone(),
            Program::Sotong => sotong.clone(),
        };
        if !program.is_file() {
            return Err(Failure::new(format!(
                "{} is not there; build it with `cargo build --release -p sotong-hub`, or give its path by --sotong",
                program.display()
            )));
        }
        recipes.push(Recipe {
            name: known.name.into(),
            wire: known.wire,
            threads: Threads::One,
            program,
            arguments: known.arguments.iter().map(|&argument| argument.into()).collect(),
        });
    }
    for peer in peers {
        if recipes.iter().any(|recipe| recipe.name == peer.name) {
            return Err(Failure::new(format!("two servers are called {:?}", peer.name)));
        }
        recipes.push(Recipe {
            name: peer.name.clone(),
            wire: Wire::WebSocket,
            threads: Threads::Several,
            program: peer.program.clone(),
            arguments: peer.arguments.clone(),
        });
    }
    Ok(recipes)
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.program.display(), self.arguments.join(" "))
    }
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts it with the calling thread's core and limits, and waits for its line with the address.
    pub(crate) fn start(recipe: &Recipe) -> Result<Self> {
        let mut child = Command::new(&recipe.program)
            .args(&recipe.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .during(format_args!("starting {recipe}"))?;
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout was asked for as a pipe"));
        // From here on an early return must not leave the child behind.
        let mut server = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let (tell, told) = mpsc::channel();
        // A thread, for two reasons: waiting has a deadline, and what the server prints later must go somewhere.
        std::thread::spawn(move || {
            loop {
                let mut line = String::new();
                match stdout.read_line(&mut line) {
                    Ok(0) | Err(_) => return,
                    Ok(_) => match find_address(&line) {
                        Some(address) => break tell.send(address).unwrap_or(()),
                        None => continue,
                    },
                }
            }
            io::copy(&mut stdout, &mut io::sink()).ok();
        });
        server.address = told.recv_timeout(PATIENCE).map_err(|error| {
            let what = match error {
                mpsc::RecvTimeoutError::Timeout => format!("told no address within {PATIENCE:?}"),
                mpsc::RecvTimeoutError::Disconnected => "ended without telling an address".to_string(),
            };
            Failure::new(format!("{recipe} {what}"))
        })?;
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn target(&self) -> Target {
        Target { address: self.address, path: "/".into() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing of it is needed any more, and a drain would only take time.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The first word of a line that is `ADDRESS:PORT`, with or without `ws://` or `http://` and a path.
fn find_address(line: &str) -> Option<SocketAddr> {
    line.split_ascii_whitespace().find_map(|word| {
        let word = word.strip_prefix("ws://").or_else(|| word.strip_prefix("http://")).unwrap_or(word);
        word.split('/').next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_lines() {
        let address: SocketAddr = "127.0.0.1:4321".parse().expect("an address");
        for line in [
            "listening on 127.0.0.1:4321\n",
            "sotong echo: listening on ws://127.0.0.1:4321",
            "sotong serve: open http://127.0.0.1:4321/",
            "127.0.0.1:4321",
        ] {
            assert_eq!(find_address(line), Some(address), "{line:?}");
        }
        for line in ["", "warming up", "listening on port 4321", "127.0.0.1"] {
            assert_eq!(find_address(line), None, "{line:?}");
        }
    }

    #[test]
    fn peers_as_they_are_typed() {
        let peer: Peer = "ws=node echo.js --port 0".parse().expect("a peer");
        assert_eq!((peer.name.as_str(), peer.arguments.len()), ("ws", 3));
        let recipes = recipes(&["raw".into()], &[peer], None).expect("both can be started");
        assert_eq!(recipes.iter().map(|recipe| recipe.name.as_str()).collect::<Vec<_>>(), ["raw", "ws"]);
        for wrong in ["", "ws", "ws=", "=node", "a b=node", "a,b=node"] {
            assert!(wrong.parse::<Peer>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn names_that_nobody_has() {
        let failure = recipes(&["rwa".into()], &[], None).expect_err("a typing error").to_string();
        assert!(failure.contains("\"rwa\"") && failure.contains("raw, raw-again, event, pull"), "{failure}");
        let twice: Vec<Peer> = vec!["raw=node".parse().expect("a peer")];
        assert!(recipes(&["raw".into()], &twice, None).is_err());
        let failure =
            recipes(&["event".into()], &[], Some(&"/nowhere/sotong".into())).expect_err("no binary");
        assert!(failure.to_string().contains("cargo build --release"), "{failure}");
    }
}
