//! A running server as a child process.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::{Arc, mpsc};

use rustls::ClientConfig;

use crate::connection::PATIENCE;
use crate::cores::{self, Pinning};
use crate::dialer::Target;
use crate::failure::{Failure, Result, While};
use crate::recipe::Recipe;

/// A running server; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

impl Server {
    /// Starts it on its core, and binds the calling thread, which is the load generator, to the other one.
    pub(crate) fn start_beside(recipe: &Recipe, pinning: Pinning) -> Result<Self> {
        let Pinning::Cores { server, load } = pinning else { return Self::start(recipe) };
        cores::pin(server)?;
        let server = Self::start(recipe)?;
        cores::pin(load)?;
        Ok(server)
    }

    /// Starts it with the calling thread's core and limits, and waits for its line with the address.
    pub(crate) fn start(recipe: &Recipe) -> Result<Self> {
        let mut child = recipe
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .during(format_args!("starting {recipe}"))?;
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout was asked for as a pipe"));
        // From here on an early return must not leave the child behind.
        let tls = recipe.certificate.as_ref().map(|certificate| certificate.client().clone());
        let mut server = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), tls };
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
        Target { address: self.address, path: "/".into(), tls: self.tls.clone() }
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
        let word = word.split_once("://").map_or(word, |(_, rest)| rest);
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
            "sotong echo: listening on wss://127.0.0.1:4321",
            "sotong serve: open http://127.0.0.1:4321/",
            "127.0.0.1:4321",
        ] {
            assert_eq!(find_address(line), Some(address), "{line:?}");
        }
        for line in ["", "warming up", "listening on port 4321", "127.0.0.1"] {
            assert_eq!(find_address(line), None, "{line:?}");
        }
    }
}
