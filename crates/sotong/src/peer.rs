//! Who is at the other end.

use std::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::atomic::{AtomicU64, Ordering};

/// The last number that was given out.
static LAST: AtomicU64 = AtomicU64::new(0);

/// The other end of a connection, and the connection's number in this process.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) id: u64,
    addr: Addr,
    /// The address behind a proxy that is trusted, where it is another one.
    client: Option<Box<IpAddr>>,
}

/// An address in half the room of `Option<SocketAddr>`, since every connection has one.
#[derive(Clone, Debug)]
enum Addr {
    /// There is no such address: unix sockets, memory, streams of the caller.
    None,
    V4(SocketAddrV4),
    V6(Box<SocketAddrV6>),
}

impl From<Option<SocketAddr>> for Addr {
    fn from(addr: Option<SocketAddr>) -> Addr {
        match addr {
            None => Addr::None,
            Some(SocketAddr::V4(addr)) => Addr::V4(addr),
            Some(SocketAddr::V6(addr)) => Addr::V6(Box::new(addr)),
        }
    }
}

impl Peer {
    /// A peer that has just come, with a number of its own.
    pub(crate) fn new(addr: Option<SocketAddr>) -> Peer {
        Peer { id: LAST.fetch_add(1, Ordering::Relaxed) + 1, addr: addr.into(), client: None }
    }

    /// `None` where there is no such address: unix sockets, memory, streams of the caller.
    pub(crate) fn addr(&self) -> Option<SocketAddr> {
        match &self.addr {
            Addr::None => None,
            Addr::V4(addr) => Some(SocketAddr::V4(*addr)),
            Addr::V6(addr) => Some(SocketAddr::V6(**addr)),
        }
    }

    #[cfg(feature = "hyper")]
    pub(crate) fn set_addr(&mut self, addr: Option<SocketAddr>) {
        self.addr = addr.into();
    }

    /// The address is only a proxy's; this is for whom it comes.
    pub(crate) fn set_client(&mut self, client: IpAddr) {
        let is_other = self.addr().is_none_or(|addr| addr.ip() != client);
        self.client = is_other.then(|| Box::new(client));
    }

    /// The address that stands for the person behind the connection.
    pub(crate) fn client_ip(&self) -> Option<IpAddr> {
        self.client.as_deref().copied().or_else(|| self.addr().map(|addr| addr.ip()))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.addr() {
            Some(addr) => addr.fmt(f)?,
            None => f.write_str("local")?,
        }
        match &self.client {
            Some(client) => write!(f, " for {client}"),
            None => Ok(()),
        }
    }
}
