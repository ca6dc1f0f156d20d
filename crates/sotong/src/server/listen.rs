//! The sockets that a server listens on.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::carrier::Carrier;

/// How many connections may wait in the kernel to be accepted; the kernel's own limit holds besides.
const BACKLOG: i32 = 4096;

/// One of them.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp {
        listener: TcpListener,
        /// Whether what is accepted has `TCP_NODELAY` already.
        is_prompt: bool,
    },
    Unix {
        listener: UnixListener,
        _file: SocketFile,
    },
}

impl Listener {
    /// Answers are gathered by us; the kernel must not hold them back to gather more (Nagle). On Linux, what is accepted has
    /// that from its listener, which spares each connection a system call.
    pub(super) fn tcp(listener: TcpListener) -> Listener {
        let is_prompt = cfg!(target_os = "linux") && SockRef::from(&listener).set_tcp_nodelay(true).is_ok();
        Listener::Tcp { listener, is_prompt }
    }

    /// The next connection, and the peer's address where it has one.
    pub(super) fn poll_accept(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(Carrier, Option<SocketAddr>)>> {
        match self {
            Listener::Tcp { listener, is_prompt } => {
                let (stream, address) = ready!(listener.poll_accept(context))?;
                let carrier = Carrier::from(stream);
                if !is_prompt {
                    // It fails only where the peer is gone already, which the first read tells.
                    let _ = carrier.set_nodelay();
                }
                Poll::Ready(Ok((carrier, Some(address))))
            }
            Listener::Unix { listener, .. } => {
                listener.poll_accept(context).map_ok(|(stream, _)| (Carrier::from(stream), None))
            }
        }
    }

    /// `None` for a unix socket.
    pub(super) fn local_addr(&self) -> Option<io::Result<SocketAddr>> {
        match self {
            Listener::Tcp { listener, .. } => Some(listener.local_addr()),
            Listener::Unix { .. } => None,
        }
    }
}

/// The file of a unix socket, removed when nobody listens on it any more.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Which file it is, where that could be told.
    id: Option<(u64, u64)>,
}

impl SocketFile {
    fn new(path: &Path) -> SocketFile {
        SocketFile { path: path.to_owned(), id: SocketFile::id_at(path) }
    }

    /// Device and inode. Nobody else has the same while the socket that is bound to the file is open.
    fn id_at(path: &Path) -> Option<(u64, u64)> {
        std::fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have cleared it away, and another server may have a file there by now, which is not ours.
        if self.id.is_some() && SocketFile::id_at(&self.path) == self.id {
            // It may be gone this very moment; then there is nothing to do.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Listens on a unix socket. Needs a runtime.
///
/// A socket file that nobody listens on is what a server left that did not end well: it is replaced. Any other file
/// is not ours to remove.
pub(super) fn listen_on_path(path: &Path) -> io::Result<Listener> {
    let is_left_over = || {
        std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
            && std::os::unix::net::UnixStream::connect(path)
                .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    };
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_over() => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        result => result,
    };
    listener.map(|listener| Listener::Unix { listener, _file: SocketFile::new(path) }).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {}: {error}", path.display()))
    })
}

/// Listens on each address. Needs a runtime.
pub(super) fn listen(addresses: &[SocketAddr]) -> io::Result<Vec<Listener>> {
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
        listeners.push(Listener::tcp(listener));
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::carrier::Kind;

    #[tokio::test]
    async fn what_is_accepted_is_sent_without_delay() {
        let mut listeners = listen(&["127.0.0.1:0".parse().expect("an address")]).expect("a port");
        listeners.push(Listener::tcp(TcpListener::bind("127.0.0.1:0").await.expect("a port")));
        let mut of_a_kind_that_inherits_nothing =
            listen(&["127.0.0.1:0".parse().expect("an address")]).expect("a port");
        for listener in &mut of_a_kind_that_inherits_nothing {
            let Listener::Tcp { listener, is_prompt } = listener else { panic!("it is TCP") };
            SockRef::from(&*listener).set_tcp_nodelay(false).expect("TCP knows it");
            *is_prompt = false;
        }
        for listener in listeners.iter().chain(&of_a_kind_that_inherits_nothing) {
            let address = listener.local_addr().expect("it is TCP").expect("it is bound");
            let _client = std::net::TcpStream::connect(address).expect("it listens");
            let (carrier, _) = poll_fn(|context| listener.poll_accept(context)).await.expect("it came");
            let Kind::Tcp(stream) = carrier.0 else { panic!("it is TCP") };
            assert!(stream.nodelay().expect("TCP knows it"));
        }
    }
}
