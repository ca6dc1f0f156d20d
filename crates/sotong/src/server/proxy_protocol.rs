//! The PROXY protocol, versions 1 and 2: one header before everything else, by which a proxy that only passes bytes
//! on says whom it passes them on for.
//!
//! The header is taken off exactly, to its last byte and not one further, so that what follows it (a TLS handshake,
//! an HTTP request) is left to whoever reads it. The specification is haproxy's `doc/proxy-protocol.txt`.

use std::io;
use std::net::SocketAddr;

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};

/// What a header of version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The shortest header of all: `PROXY UNKNOWN`, with its line end.
const SHORTEST: usize = 15;
/// The longest of version 1, with its line end (section 2.1).
const V1_BYTES_MAX: usize = 107;
/// The part of version 2 that tells the length of the rest.
const V2_FIXED_BYTES: usize = 16;
/// The longest of version 2 that we take. The format allows 64 KiB; addresses take 36 bytes, and what proxies add
/// (names, a checksum, the subject of a certificate) a few hundred.
const V2_BYTES_MAX: usize = 4096;

/// Whether trusted proxies speak the PROXY protocol; see [`Server::with_proxy_protocol`](crate::Server::with_proxy_protocol).
///
/// ```
/// # fn example(server: sotong::Server) -> Result<(), sotong::ProxyError> {
/// use sotong::ProxyProtocol;
///
/// let server = server.with_trusted_proxies(["10.0.0.0/8"])?.with_proxy_protocol(ProxyProtocol::Required);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyProtocol {
    /// Nobody does: connections begin with TLS or with an HTTP request.
    #[default]
    Off,
    /// Every connection of a trusted proxy begins with a header, of version 1 or 2. One that does not is dropped.
    Required,
}

/// Takes the header off the stream, first from what was `read` already. `None` if the proxy speaks for itself (a
/// health check) or does not know for whom it speaks.
pub(super) async fn take_header<R: AsyncRead + Unpin>(
    stream: &mut R,
    read: &mut Vec<u8>,
) -> io::Result<Option<SocketAddr>> {
    let mut header = Header { stream, read, bytes: Vec::new() };
    header.fill_to(SHORTEST).await?;
    if header.bytes[0] == SIGNATURE[0] {
        header.fill_to(V2_FIXED_BYTES).await?;
        let length = u16::from_be_bytes([header.bytes[14], header.bytes[15]]);
        let end = V2_FIXED_BYTES + usize::from(length);
        if end > V2_BYTES_MAX {
            return Err(invalid("it is too long"));
        }
        header.fill_to(end).await?;
    } else {
        while !header.bytes.ends_with(b"\r\n") {
            if header.bytes.len() == V1_BYTES_MAX {
                return Err(invalid("it is too long"));
            }
            header.fill_to(header.bytes.len() + 1).await?;
        }
    }
    source(&header.bytes)
}

/// A header that grows to its end.
struct Header<'a, R> {
    stream: &'a mut R,
    read: &'a mut Vec<u8>,
    bytes: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Header<'_, R> {
    /// Takes until there are `count` bytes, but stops at the first one that cannot be part of a header: a peer that
    /// sends something else is not waited for.
    async fn fill_to(&mut self, count: usize) -> io::Result<()> {
        while self.bytes.len() < count {
            let missing = count - self.bytes.len();
            let before = self.bytes.len();
            if self.read.is_empty() {
                let limit = u64::try_from(missing).unwrap_or(u64::MAX);
                if (&mut *self.stream).take(limit).read_buf(&mut self.bytes).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            } else {
                self.bytes.extend(self.read.drain(..missing.min(self.read.len())));
            }
            if before < SHORTEST && !begins_a_header(&self.bytes) {
                return Err(invalid("something else came"));
            }
        }
        Ok(())
    }
}

/// Whether this can be the beginning of a header.
fn begins_a_header(bytes: &[u8]) -> bool {
    [&SIGNATURE[..], b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN"]
        .iter()
        .any(|beginning| bytes.iter().zip(*beginning).all(|(seen, wanted)| seen == wanted))
}

/// Whom a whole header names.
fn source(header: &[u8]) -> io::Result<Option<SocketAddr>> {
    let (parsed, length) =
        ProxyHeader::parse(header, ParseConfig::default()).map_err(|_| invalid("it is malformed"))?;
    if length != header.len() {
        return Err(invalid("it is malformed"));
    }
    match parsed.proxied_address() {
        None => Ok(None),
        Some(address) if address.protocol == Protocol::Stream => Ok(Some(address.source)),
        // Nothing that comes by a stream was sent as datagrams.
        Some(_) => Err(invalid("it speaks of datagrams")),
    }
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no valid PROXY header: {why}"))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::{AsyncWriteExt, ReadBuf};

    use super::*;

    /// A stream that gives at most one piece per read.
    struct Pieces(VecDeque<Vec<u8>>);

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.0.retain(|piece| !piece.is_empty());
            if let Some(piece) = self.0.front_mut() {
                let count = piece.len().min(buffer.remaining());
                buffer.put_slice(&piece[..count]);
                piece.drain(..count);
            }
            Poll::Ready(Ok(()))
        }
    }

    /// What a stream of these pieces says, of which some were `read` before, and what is left of it.
    async fn take(pieces: &[&[u8]], read: &[u8]) -> (io::Result<Option<SocketAddr>>, Vec<u8>) {
        let mut stream = Pieces(pieces.iter().map(|piece| piece.to_vec()).collect());
        let mut rest = read.to_vec();
        let taken = take_header(&mut stream, &mut rest).await;
        stream.read_to_end(&mut rest).await.expect("the rest is there");
        (taken, rest)
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        header.extend([0x20 | command, family]);
        header.extend(u16::try_from(rest.len()).expect("a short header").to_be_bytes());
        header.extend(rest);
        header
    }

    /// 192.0.2.1:4000 to 192.0.2.9:443.
    const INET: [u8; 12] = [192, 0, 2, 1, 192, 0, 2, 9, 0x0f, 0xa0, 1, 187];

    fn inet6() -> Vec<u8> {
        let mut addresses = Vec::new();
        addresses.extend("2001:db8::1".parse::<std::net::Ipv6Addr>().expect("an address").octets());
        addresses.extend("2001:db8::9".parse::<std::net::Ipv6Addr>().expect("an address").octets());
        addresses.extend([0x0f, 0xa0, 1, 187]);
        addresses
    }

    fn good() -> Vec<(Vec<u8>, Option<&'static str>)> {
        let tlvs = [&INET[..], &[0x02, 0, 3], b"a.b", &[0x04, 0, 0], &[0xe0, 0, 1, 9]].concat();
        let unix = vec![b'/'; 216];
        vec![
            (b"PROXY TCP4 192.0.2.1 192.0.2.9 4000 443\r\n".to_vec(), Some("192.0.2.1:4000")),
            (b"PROXY TCP6 2001:db8::1 2001:db8::9 4000 443\r\n".to_vec(), Some("[2001:db8::1]:4000")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 whatever 65535 65535\r\n".to_vec(), None),
            (v2(1, 0x11, &INET), Some("192.0.2.1:4000")),
            (v2(1, 0x21, &inet6()), Some("[2001:db8::1]:4000")),
            (v2(1, 0x11, &tlvs), Some("192.0.2.1:4000")),
            // LOCAL: whatever else it says, the connection is the proxy's own (section 2.2).
            (v2(0, 0x11, &INET), None),
            (v2(0, 0x00, &[]), None),
            (v2(0, 0x00, &[0x04, 0, 2, 0, 0]), None),
            (v2(1, 0x00, &[]), None),
            (v2(1, 0x31, &unix), None),
        ]
    }

    #[tokio::test]
    async fn a_header_is_taken_to_its_last_byte_and_not_one_further() {
        for (header, source) in good() {
            let stream = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            let (taken, rest) = take(&[&stream], b"").await;
            let taken = taken.unwrap_or_else(|error| panic!("{header:?}: {error}"));
            assert_eq!(taken.map(|source| source.to_string()).as_deref(), source, "{header:?}");
            assert_eq!(rest, b"GET / HTTP/1.1\r\n", "{header:?}");
        }
    }

    #[tokio::test]
    async fn wherever_a_header_is_cut_it_says_the_same() {
        for (header, source) in good() {
            let stream = [&header[..], b"\x16\x03\x01"].concat();
            for cut in 0..=stream.len() {
                let (first, second) = stream.split_at(cut);
                for (pieces, read) in [(&[first, second][..], &b""[..]), (&[second][..], first)] {
                    let (taken, rest) = take(pieces, read).await;
                    let taken = taken.unwrap_or_else(|error| panic!("{header:?} at {cut}: {error}"));
                    assert_eq!(taken.map(|source| source.to_string()).as_deref(), source);
                    assert_eq!(rest, b"\x16\x03\x01", "{header:?} at {cut}");
                }
            }
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            let (taken, rest) = take(&bytes, b"").await;
            let taken = taken.expect("byte by byte it is the same");
            assert_eq!(taken.map(|source| source.to_string()).as_deref(), source);
            assert_eq!(rest, b"\x16\x03\x01");
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        let too_long_v1 = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 92], b"\r\n".to_vec()].concat();
        assert_eq!(too_long_v1.len(), V1_BYTES_MAX + 1);
        let bad: Vec<Vec<u8>> = vec![
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            b"\x16\x03\x01\x02\x00\x01\x00".to_vec(),
            b"\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_vec(),
            b"proxy TCP4 192.0.2.1 192.0.2.9 4000 443\r\n".to_vec(),
            b"PROXY-TCP4 192.0.2.1 192.0.2.9 4000 443\r\n".to_vec(),
            b"PROXY TCP5 192.0.2.1 192.0.2.9 4000 443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 192.0.2.9 4000\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.256 192.0.2.9 4000 443\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 192.0.2.9 4000 443\r\n".to_vec(),
            b"PROXY TCP6 192.0.2.1 192.0.2.9 4000 443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 192.0.2.9 65536 443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 192.0.2.9 4000 443 \r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1  192.0.2.9 4000 443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1\r\n".to_vec(),
            too_long_v1,
            [b"PROXY TCP4 ".to_vec(), vec![b'1'; 200]].concat(),
            // Version 1 of the binary form, an unknown command, an unknown family, datagrams.
            [&SIGNATURE[..], &[0x11, 0x11, 0, 12], &INET].concat(),
            v2(2, 0x11, &INET),
            v2(1, 0x41, &INET),
            v2(1, 0x13, &INET),
            v2(1, 0x12, &INET),
            // Shorter than its addresses, with more behind it.
            [&v2(1, 0x11, &INET[..11])[..], &[0; 64]].concat(),
            [&v2(1, 0x31, &[0; 215])[..], &[0; 64]].concat(),
            v2(1, 0x11, &[0; V2_BYTES_MAX]),
        ];
        for header in bad {
            let (taken, _) = take(&[&header], b"").await;
            let error = taken.expect_err(&format!("{:?}", String::from_utf8_lossy(&header)));
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{header:?}: {error}");
        }
    }

    #[tokio::test]
    async fn a_stream_that_ends_inside_a_header_is_an_end() {
        for (header, _) in good() {
            for end in 0..header.len() {
                let (taken, _) = take(&[&header[..end]], b"").await;
                let error = taken.expect_err("it is not whole");
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{header:?} to {end}");
            }
        }
    }

    #[tokio::test]
    async fn the_first_wrong_byte_is_enough() {
        // A peer that says something else and then nothing is not waited for.
        for first in ["G", "PROXX", "PROXY TCP7", "\r\n\r\n\0\r\nQUIX"] {
            let (mut ours, mut theirs) = tokio::io::duplex(64);
            theirs.write_all(first.as_bytes()).await.expect("there is room");
            let error = take_header(&mut ours, &mut Vec::new()).await.expect_err("it is none");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{first:?}");
        }
    }
}
