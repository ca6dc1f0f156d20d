//! What carries a connection's bytes. A new carrier is one file here, one variant, one line in each method.
//!
//! Only the driver polls: tokio keeps one waker per direction. Everybody else wakes the driver.

mod tcp;

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use tokio::net::TcpStream;

/// A duplex stream of bytes that does not block.
pub(crate) enum Transport {
    /// TCP without TLS.
    Tcp(TcpStream),
}

impl Transport {
    /// Ready when a read is worth trying.
    pub(crate) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Transport::Tcp(stream) => stream.poll_read_ready(context),
        }
    }

    /// Ready when a write is worth trying.
    pub(crate) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Transport::Tcp(stream) => stream.poll_write_ready(context),
        }
    }

    /// Reads what is there; 0 is the end of the stream.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Tcp(stream) => tcp::try_read(stream, buffer),
        }
    }

    /// Writes what the kernel takes, in one call.
    pub(crate) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, slices) {
            (Transport::Tcp(stream), [slice]) => stream.try_write(slice),
            (Transport::Tcp(stream), slices) => stream.try_write_vectored(slices),
        }
    }

    /// Ends the sending direction.
    pub(crate) fn shutdown(&self) -> io::Result<()> {
        match self {
            Transport::Tcp(stream) => tcp::shutdown(stream),
        }
    }
}
