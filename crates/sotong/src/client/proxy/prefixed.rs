//! A stream some of which was read already.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::carrier::Carrier;

/// The carrier, whose first bytes are those in `early`.
///
/// A proxy's answer is read in large pieces, and what stands behind it belongs to the server. Nearly always nothing does:
/// then the carrier stays what it was.
pub(super) fn carrier(early: Vec<u8>, carrier: Carrier) -> Carrier {
    match early.is_empty() {
        true => carrier,
        false => Carrier::new(Prefixed { early, handed_out: 0, carrier }),
    }
}

struct Prefixed {
    early: Vec<u8>,
    handed_out: usize,
    carrier: Carrier,
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = &self.early[self.handed_out..];
        if left.is_empty() {
            return Pin::new(&mut self.carrier).poll_read(context, buffer);
        }
        let count = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..count]);
        self.handed_out += count;
        if self.handed_out == self.early.len() {
            (self.early, self.handed_out) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.carrier).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.carrier).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.carrier.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.carrier).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.carrier).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn what_was_read_comes_first_and_nothing_is_lost() {
        for early in [&b""[..], b"e", b"early"] {
            for size in [1, 3, 100] {
                let (near, mut far) = tokio::io::duplex(64);
                let mut stream = carrier(early.to_vec(), Carrier::new(near));
                far.write_all(b"later").await.expect("there is room");
                stream.write_all(b"back").await.expect("there is room");
                let mut back = [0; 4];
                far.read_exact(&mut back).await.expect("it was written");
                assert_eq!(&back, b"back");
                drop(far);
                let (mut all, mut piece) = (Vec::new(), vec![0; size]);
                loop {
                    match stream.read(&mut piece).await.expect("a stream in memory") {
                        0 => break,
                        count => all.extend_from_slice(&piece[..count]),
                    }
                }
                assert_eq!(all, [early, b"later"].concat());
            }
        }
    }
}
