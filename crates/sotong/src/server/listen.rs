//! Opens the sockets that a server listens on.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// How many connections may wait in the kernel to be accepted; the kernel's own limit holds besides.
const BACKLOG: i32 = 4096;

/// Listens on each address. Needs a runtime.
pub(super) fn listen(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "the name stands for no address"));
    }
    let one_of_many = addresses.len() > 1;
    let mut listeners = Vec::with_capacity(addresses.len());
    for (index, address) in addresses.iter().enumerate() {
        // A name may stand for the same address twice, when it is twice in /etc/hosts.
        if address.port() != 0 && addresses[..index].contains(address) {
            continue;
        }
        let listener = listen_on(*address, one_of_many)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn listen_on(address: SocketAddr, one_of_many: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // A server that is started again must not wait for the connections of the one before to be forgotten.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && one_of_many {
        // `[::]` beside `0.0.0.0` would ask for the same port twice.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
