//! Where to connect, and from which loopback address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::str::FromStr;
use std::sync::Arc;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustls::ClientConfig;

use crate::failure::{Result, While};

/// `127.0.0.1:9001`, `ws://127.0.0.1:9001` or `ws://[::1]:9001/path`: an address, not a name, because nothing here is
/// about looking up names.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    /// For `wss`: what trusts the server.
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let rest = text.strip_prefix("ws://").unwrap_or(text);
        let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
        let wrong = || format!("{text:?} is not ws://ADDRESS:PORT/PATH with an IP address");
        if path.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(wrong());
        }
        Ok(Self { address: address.parse().map_err(|_| wrong())?, path: format!("/{path}"), tls: None })
    }
}

/// Connects again and again. A source address has about 28,000 ports for one server; when they are used up the dialer
/// goes on from 127.0.0.2, 127.0.0.3 and so on.
#[derive(Debug)]
pub(crate) struct Dialer {
    address: SocketAddr,
    /// `None`: as the system chooses, which on loopback is the server's own address.
    source: Option<Ipv4Addr>,
}

impl Dialer {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, source: None }
    }

    pub(crate) fn dial(&mut self) -> Result<TcpStream> {
        let stream = loop {
            match self.try_dial() {
                Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable && self.has_next_source() => {
                    let last = self.source.map_or(1, |source| source.octets()[3]);
                    self.source = Some(Ipv4Addr::new(127, 0, 0, last + 1));
                }
                outcome => break outcome.during(format_args!("connecting to {}", self.address))?,
            }
        };
        stream.set_nodelay(true).during("setting TCP_NODELAY")?;
        Ok(stream)
    }

    fn has_next_source(&self) -> bool {
        self.address.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST)
            && self.source.is_none_or(|source| source.octets()[3] < 254)
    }

    fn try_dial(&self) -> io::Result<TcpStream> {
        let Some(source) = self.source else { return TcpStream::connect(self.address) };
        let socket =
            rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        rustix::net::bind(&socket, &SocketAddrV4::new(source, 0))?;
        rustix::net::connect(&socket, &self.address)?;
        Ok(TcpStream::from(socket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn targets() {
        let target =
            |text: &str| text.parse::<Target>().map(|target| (target.address.to_string(), target.path));
        assert_eq!(target("127.0.0.1:9001"), Ok(("127.0.0.1:9001".into(), "/".into())));
        assert_eq!(target("ws://127.0.0.1:9001"), Ok(("127.0.0.1:9001".into(), "/".into())));
        assert_eq!(target("ws://[::1]:80/a/b?c=d"), Ok(("[::1]:80".into(), "/a/b?c=d".into())));
        for wrong in [
            "",
            "ws://",
            "localhost:1",
            "127.0.0.1",
            "127.0.0.1:65536",
            "wss://127.0.0.1:1",
            "127.0.0.1:1/a b",
        ] {
            assert!(target(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_dialer_whose_ports_ran_out_goes_on_from_the_next_address() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let mut dialer = Dialer { address, source: Some(Ipv4Addr::new(127, 0, 0, 2)) };
        let stream = dialer.dial().expect("loopback has 127.0.0.2");
        let (_, peer) = listener.accept().expect("the connection");
        assert_eq!(peer, stream.local_addr().expect("connected"));
        assert_eq!(peer.ip(), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)));
        assert!(dialer.has_next_source());
        dialer.source = Some(Ipv4Addr::new(127, 0, 0, 254));
        assert!(!dialer.has_next_source(), "there is an end");
    }
}
