//! A stream of bytes that is to carry a WebSocket, before it does.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// How many bytes each direction of a [`memory`] pair takes before its writer waits.
const MEMORY_BYTES: usize = 64 * 1024;

/// A stream of bytes that carries a WebSocket: TCP, TLS over it, a unix socket, memory, or one of yours.
///
/// Give one to [`Handle::accept`](crate::Handle::accept), or to [`Client::connect_over`](crate::Client::connect_over).
/// It reads and writes as every tokio stream does, so a page server that gets one from
/// [`Server::with_pages`](crate::Server::with_pages) needs not know what it is.
///
/// TCP is read and written without a buffer in between; in pull form the task that sends writes by itself. All others
/// are written by their connection's own task, through a buffer that lasts as long as one write.
///
/// ```
/// use sotong::Carrier;
///
/// # fn example(tcp: tokio::net::TcpStream, unix: tokio::net::UnixStream) {
/// let over_tcp = Carrier::from(tcp);
/// let over_unix = Carrier::from(unix);
/// # }
/// // Whatever implements `AsyncRead` and `AsyncWrite`.
/// let (near, _far) = tokio::io::duplex(4096);
/// let over_mine = Carrier::new(near);
/// ```
#[derive(Debug)]
pub struct Carrier(pub(crate) Kind);

/// What it is made of.
#[derive(Debug)]
pub(crate) enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
    Stream(Box<dyn Duplex>),
}

/// What a stream of bytes can do.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

impl fmt::Debug for dyn Duplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stream")
    }
}

/// A carrier on its way from one runtime to another.
pub(crate) enum Parked {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
    /// Tells its runtime itself when it is ready, wherever that runs.
    Stream(Box<dyn Duplex>),
}

impl Parked {
    /// Goes on in the current runtime.
    pub(crate) fn resume(self) -> io::Result<Carrier> {
        Ok(Carrier(match self {
            Parked::Tcp(stream) => Kind::Tcp(TcpStream::from_std(stream)?),
            Parked::Unix(stream) => Kind::Unix(UnixStream::from_std(stream)?),
            Parked::Stream(stream) => Kind::Stream(stream),
        }))
    }
}

impl Carrier {
    /// Leaves the current runtime.
    pub(crate) fn park(self) -> io::Result<Parked> {
        Ok(match self.0 {
            Kind::Tcp(stream) => Parked::Tcp(stream.into_std()?),
            Kind::Unix(stream) => Parked::Unix(stream.into_std()?),
            Kind::Stream(stream) => Parked::Stream(stream),
        })
    }

    /// The peer's address, where the carrier has one.
    pub(crate) fn peer_addr(&self) -> io::Result<Option<SocketAddr>> {
        match &self.0 {
            Kind::Tcp(stream) => stream.peer_addr().map(Some),
            Kind::Unix(_) | Kind::Stream(_) => Ok(None),
        }
    }

    /// Whether it is a unix socket.
    pub(crate) fn is_unix(&self) -> bool {
        matches!(self.0, Kind::Unix(_))
    }

    /// Answers are gathered by us; the kernel must not hold them back to gather more (Nagle).
    pub(crate) fn set_nodelay(&self) -> io::Result<()> {
        match &self.0 {
            Kind::Tcp(stream) => stream.set_nodelay(true),
            Kind::Unix(_) | Kind::Stream(_) => Ok(()),
        }
    }

    /// Carries a WebSocket over a stream of yours.
    ///
    /// Its methods, and the wakers that they wake on the spot, must not use the [`Sender`](crate::Sender) of the same
    /// connection: the stream is written to while the connection's outbox is locked, so that would wait for itself.
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Carrier {
        Carrier(Kind::Stream(Box::new(stream)))
    }
}

/// A pair of carriers in memory: what one end writes, the other reads. For tests without a network; each direction
/// takes 64 KiB before its writer waits.
///
/// ```
/// use sotong::{Error, Server, WebSocket};
/// use std::future::IntoFuture;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let serve = Server::detached().serve(async |mut socket: WebSocket| {
///     socket.send("hello").await?;
///     Ok::<(), Error>(())
/// });
/// let (near, far) = sotong::memory();
/// serve.handle().accept(far, Vec::new())?;
/// tokio::spawn(serve.into_future());
/// # drop(near);
/// # Ok(())
/// # }
/// ```
pub fn memory() -> (Carrier, Carrier) {
    let (near, far) = tokio::io::duplex(MEMORY_BYTES);
    (Carrier::new(near), Carrier::new(far))
}

impl From<TcpStream> for Carrier {
    fn from(stream: TcpStream) -> Self {
        Carrier(Kind::Tcp(stream))
    }
}

impl From<UnixStream> for Carrier {
    fn from(stream: UnixStream) -> Self {
        Carrier(Kind::Unix(stream))
    }
}

impl Kind {
    fn stream(&mut self) -> Pin<&mut dyn Duplex> {
        match self {
            Kind::Tcp(stream) => Pin::new(stream),
            Kind::Unix(stream) => Pin::new(stream),
            Kind::Stream(stream) => Pin::new(stream),
        }
    }
}

impl AsyncRead for Carrier {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.stream().poll_read(context, buffer)
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.stream().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.stream().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Kind::Tcp(stream) => stream.is_write_vectored(),
            Kind::Unix(stream) => stream.is_write_vectored(),
            Kind::Stream(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.stream().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.stream().poll_shutdown(context)
    }
}
