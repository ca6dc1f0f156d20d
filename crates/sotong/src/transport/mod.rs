//! What carries a connection's bytes. A new carrier that needs more than [`stream`] gives is one file here, one
//! variant, one line in each method.
//!
//! Only the driver polls: there is one waker per direction. Everybody else wakes the driver.

#[cfg(sotong_shuttle)]
pub(crate) mod model;
mod records;
mod stream;
mod tcp;

use std::io::{self, ErrorKind, IoSlice};
use std::task::{Context, Poll, ready};

use tokio::net::TcpStream;

use crate::carrier::{Carrier, Kind};

/// A duplex stream of bytes that does not block.
pub(crate) enum Transport {
    /// TCP without TLS.
    Tcp(TcpStream),
    /// All else: TLS, unix sockets, memory, what somebody else's server has upgraded.
    ///
    /// Behind a pointer, so that it costs the others nothing.
    Stream(Box<stream::Stream>),
    /// What a model is played on.
    #[cfg(sotong_shuttle)]
    Model(model::Wire),
}

impl From<Carrier> for Transport {
    fn from(carrier: Carrier) -> Self {
        match carrier.0 {
            Kind::Tcp(stream) => Transport::Tcp(stream),
            Kind::Unix(stream) => Transport::Stream(Box::new(stream::Stream::new(Box::new(stream)))),
            Kind::Stream(stream) => Transport::Stream(Box::new(stream::Stream::new(stream))),
        }
    }
}

impl Transport {
    /// Whether a task that is not the driver may write, by [`try_write`](Self::try_write).
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Transport::Tcp(_))
    }

    /// Reads what is there; 0 is the end of the stream.
    #[inline]
    pub(crate) fn poll_read(&self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Transport::Tcp(stream) => tcp::poll_read(stream, context, buffer),
            Transport::Stream(stream) => stream.poll_read(context, buffer),
            #[cfg(sotong_shuttle)]
            Transport::Model(wire) => wire.poll_read(context, buffer),
        }
    }

    /// Writes what the carrier takes, in one go, and tells how much the kernel has of it. While it is pending, the
    /// next call must begin with the same bytes: they may be on their way.
    pub(crate) fn poll_write(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Transport::Tcp(stream) => loop {
                match tcp::try_write(stream, slices) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        ready!(stream.poll_write_ready(context))?;
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    result => return Poll::Ready(result),
                }
            },
            Transport::Stream(stream) => stream.poll_write(context, slices),
            #[cfg(sotong_shuttle)]
            Transport::Model(wire) => wire.poll_write(context, slices),
        }
    }

    /// Writes what the kernel takes at this moment, where that is possible without the driver.
    pub(crate) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Transport::Tcp(stream) => tcp::try_write(stream, slices),
            Transport::Stream(_) => Err(ErrorKind::WouldBlock.into()),
            #[cfg(sotong_shuttle)]
            Transport::Model(wire) => wire.try_write(slices),
        }
    }

    /// Has the processor fetch what [`try_write`](Self::try_write) needs, while it does other things.
    #[inline]
    pub(crate) fn fetch(&self) {
        std::hint::black_box(self.is_shared());
    }

    /// Has the kernel take little more than it can send: what waits longer waits here, where it can still be left out.
    pub(crate) fn keep_fresh(&self) {
        if let Transport::Tcp(stream) = self {
            tcp::keep_fresh(stream);
        }
    }

    /// Ends the sending direction. Call it again until it is ready.
    pub(crate) fn poll_shutdown(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Transport::Tcp(stream) => Poll::Ready(tcp::shutdown(stream)),
            Transport::Stream(stream) => stream.poll_shutdown(context),
            #[cfg(sotong_shuttle)]
            Transport::Model(wire) => {
                wire.shutdown();
                Poll::Ready(Ok(()))
            }
        }
    }

    /// The connection is over: a last word of the carrier's own protocol, if it has one and can say it now.
    pub(crate) fn farewell(&self, context: &mut Context<'_>) {
        if let Transport::Stream(stream) = self {
            // Nobody waits for it, and the peer knows the end without it.
            let _ = stream.poll_shutdown(context);
        }
    }
}
