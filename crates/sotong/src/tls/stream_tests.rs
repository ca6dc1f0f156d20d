//! Our TLS against that of tokio-rustls, which keeps buffers: the same, however the bytes are cut.
#![cfg(test)]

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex, split};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::super::engine::Engine;
use super::super::provider;
use super::TlsStream;

const NAME: &str = "sotong.test";

/// A small generator of numbers (xorshift), by a seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, max: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % max as u64).expect("below max")
    }
}

/// The two ends of one certificate.
struct Pair {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Pair {
    fn new(version: &'static SupportedProtocolVersion) -> Pair {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        let certificate = CertificateDer::from(made.cert.der().to_vec());
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).expect("a root");
        let versions = [version];
        Pair {
            client: Arc::new(
                ClientConfig::builder_with_provider(provider())
                    .with_protocol_versions(&versions)
                    .expect("a version of ring's")
                    .with_root_certificates(roots)
                    .with_no_client_auth(),
            ),
            server: Arc::new(
                ServerConfig::builder_with_provider(provider())
                    .with_protocol_versions(&versions)
                    .expect("a version of ring's")
                    .with_no_client_auth()
                    .with_single_cert(vec![certificate], key)
                    .expect("key and certificate fit"),
            ),
        }
    }

    fn ours<S: AsyncRead + AsyncWrite + Unpin>(&self, side: Ours, stream: S) -> TlsStream<S> {
        let name = ServerName::try_from(NAME).expect("a name");
        let engine = match side {
            Ours::Client => Engine::client(self.client.clone(), name),
            Ours::Server => Engine::server(self.server.clone()),
        };
        TlsStream::new(engine.expect("a configuration that holds"), stream, Vec::new())
    }
}

#[derive(Clone, Copy, Debug)]
enum Ours {
    Client,
    Server,
}

trait Both: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Both for S {}

/// The other end, by tokio-rustls.
async fn theirs(pair: &Pair, ours: Ours, stream: impl Both + 'static) -> std::io::Result<Box<dyn Both>> {
    Ok(match ours {
        Ours::Server => {
            let name = ServerName::try_from(NAME).expect("a name");
            Box::new(TlsConnector::from(pair.client.clone()).connect(name, stream).await?)
        }
        Ours::Client => Box::new(TlsAcceptor::from(pair.server.clone()).accept(stream).await?),
    })
}

/// Writes all of `data` in pieces and hears as many bytes meanwhile, in pieces; then it says good-bye.
async fn talk(stream: impl Both, data: Vec<u8>, piece_max: usize, seed: u64) -> std::io::Result<Vec<u8>> {
    let (mut read, mut write) = split(stream);
    let mut pieces = Numbers(seed);
    let writing = async {
        let mut rest = &data[..];
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(1 + pieces.below(piece_max)));
            write.write_all(piece).await?;
            write.flush().await?;
            rest = more;
        }
        std::io::Result::Ok(())
    };
    let reading = async {
        let mut heard = Vec::new();
        // Small buffers and large ones take different ways.
        let mut buffer = vec![0; if seed.is_multiple_of(2) { 700 } else { 200_000 }];
        while heard.len() < data.len() {
            match read.read(&mut buffer).await? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                count => heard.extend_from_slice(&buffer[..count]),
            }
        }
        std::io::Result::Ok(heard)
    };
    let (written, heard) = tokio::join!(writing, reading);
    written?;
    let mut more = [0; 9];
    let (said, ended) = tokio::join!(write.shutdown(), read.read(&mut more));
    said?;
    assert_eq!(ended?, 0, "nothing follows");
    heard
}

fn data(length: usize, seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed | 1);
    (0..length).map(|_| numbers.below(256) as u8).collect()
}

#[tokio::test]
async fn however_bytes_are_cut_both_ends_hear_the_same() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let pair = Pair::new(version);
        for ours in [Ours::Client, Ours::Server] {
            for (seed, pipe_bytes) in [(1, 1), (2, 2), (3, 7), (4, 100), (5, 4096), (6, 16_401), (7, 1 << 20)]
            {
                let length = if pipe_bytes < 100 { 3_000 } else { 150_000 };
                let (near, far) = duplex(pipe_bytes);
                let mut near = pair.ours(ours, near);
                let (from_us, from_them) = (data(length, seed), data(length, seed + 100));
                let piece_max = if seed == 7 { 100_000 } else { 5_000 };
                let us = async {
                    near.handshake().await?;
                    talk(near, from_us.clone(), piece_max, seed).await
                };
                let them = async {
                    let far = theirs(&pair, ours, far).await?;
                    talk(far, from_them.clone(), piece_max, seed + 1).await
                };
                let (heard, theirs) = tokio::join!(us, them);
                let what = format!("{ours:?}, {version:?}, {pipe_bytes} bytes at a time");
                assert_eq!(theirs.expect("they hear us"), from_us, "{what}");
                assert_eq!(heard.expect("we hear them"), from_them, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn between_messages_there_is_no_buffer() {
    let pair = Pair::new(&rustls::version::TLS13);
    let (near, far) = duplex(1 << 20);
    let mut near = pair.ours(Ours::Server, near);
    let (shaken, far) = tokio::join!(near.handshake(), theirs(&pair, Ours::Server, far));
    shaken.expect("our handshake");
    let mut far = far.expect("their handshake");
    let mut scratch = vec![0; 1 << 19];
    for length in [1, 64, 16_384, 70_000] {
        far.write_all(&vec![7; length]).await.expect("room");
        far.flush().await.expect("room");
        let mut heard = 0;
        while heard < length {
            heard += near.read(&mut scratch).await.expect("they speak");
        }
        near.write_all(&vec![8; length]).await.expect("room");
        near.flush().await.expect("room");
        far.read_exact(&mut vec![0; length]).await.expect("we speak");
        let kept = [near.incoming.capacity(), near.plaintext.capacity(), near.outgoing.capacity()];
        assert_eq!(kept, [0, 0, 0], "after {length} bytes");
    }
}

#[tokio::test]
async fn new_keys_in_the_middle_of_it() {
    let pair = Pair::new(&rustls::version::TLS13);
    let (near, far) = duplex(1 << 20);
    let mut near = pair.ours(Ours::Server, near);
    let name = ServerName::try_from(NAME).expect("a name");
    let connector = TlsConnector::from(pair.client.clone());
    let (shaken, far) = tokio::join!(near.handshake(), connector.connect(name, far));
    shaken.expect("our handshake");
    let mut far = far.expect("their handshake");
    let mut heard = [0; 5];
    for round in 0..20 {
        far.get_mut().1.refresh_traffic_keys().expect("a handshake that is done");
        far.write_all(b"hello").await.expect("room");
        far.flush().await.expect("room");
        near.read_exact(&mut heard).await.expect("they speak");
        assert_eq!(&heard, b"hello", "round {round}");
        near.write_all(b"again").await.expect("room");
        near.flush().await.expect("room");
        far.read_exact(&mut heard).await.expect("our answer by new keys");
        assert_eq!(&heard, b"again", "round {round}");
    }
}

#[tokio::test]
async fn a_stream_that_ends_without_good_bye_is_told_apart() {
    let pair = Pair::new(&rustls::version::TLS13);
    for says_good_bye in [true, false] {
        let (near, far) = duplex(1 << 16);
        let mut near = pair.ours(Ours::Server, near);
        let (shaken, far) = tokio::join!(near.handshake(), theirs(&pair, Ours::Server, far));
        shaken.expect("our handshake");
        let mut far = far.expect("their handshake");
        far.write_all(b"last words").await.expect("room");
        far.flush().await.expect("room");
        if says_good_bye {
            far.shutdown().await.expect("room");
        }
        drop(far);
        let mut heard = Vec::new();
        let result = near.read_to_end(&mut heard).await;
        assert_eq!(heard, b"last words");
        match result {
            Ok(_) => assert!(says_good_bye),
            Err(error) => {
                assert_eq!((error.kind(), says_good_bye), (std::io::ErrorKind::UnexpectedEof, false));
            }
        }
    }
}

/// Changes one byte of what is read, and cuts it.
struct Damaged {
    stream: DuplexStream,
    until: usize,
    with: u8,
    numbers: Numbers,
}

impl AsyncRead for Damaged {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let damaged = self.get_mut();
        let room = (1 + damaged.numbers.below(600)).min(buffer.remaining());
        let mut part = vec![0; room];
        let mut part = ReadBuf::new(&mut part);
        let result = Pin::new(&mut damaged.stream).poll_read(context, &mut part);
        let filled = part.filled_mut();
        if let Some(byte) = filled.get_mut(damaged.until) {
            *byte ^= damaged.with;
            damaged.until = usize::MAX;
        } else {
            damaged.until = damaged.until.saturating_sub(filled.len());
        }
        buffer.put_slice(filled);
        result
    }
}

impl AsyncWrite for Damaged {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[tokio::test(start_paused = true)]
async fn a_byte_that_was_changed_anywhere_ends_it_or_is_no_secret_and_never_panics() {
    let mut failed = 0;
    let mut numbers = Numbers(20_261_126);
    for round in 0..300 {
        let version = if round % 2 == 0 { &rustls::version::TLS12 } else { &rustls::version::TLS13 };
        let ours = if round % 4 < 2 { Ours::Client } else { Ours::Server };
        let pair = Pair::new(version);
        let (near, far) = duplex(1 << 16);
        let near = Damaged {
            stream: near,
            until: numbers.below(1_000),
            with: 1 + numbers.below(255) as u8,
            numbers: Numbers(round + 1),
        };
        let mut near = pair.ours(ours, near);
        let (said, theirs_said) = (data(300, round), data(300, round + 1));
        let us = async {
            near.handshake().await?;
            talk(near, said.clone(), 100, round).await
        };
        let them = async {
            let far = theirs(&pair, ours, far).await?;
            talk(far, theirs_said.clone(), 100, round).await
        };
        // Whoever fails lets go of its end, so the other one does not wait. Both may wait for the rest of a record whose length
        // was changed; time passes at once then.
        let both = async { tokio::join!(us, them) };
        match tokio::time::timeout(std::time::Duration::from_secs(60), both).await {
            Ok((Ok(heard), Ok(theirs))) => assert_eq!((heard, theirs), (theirs_said, said), "round {round}"),
            _ => failed += 1,
        }
    }
    assert!(failed > 150, "only {failed} of 300 changes were noticed");
}
