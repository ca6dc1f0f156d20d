//! Ends of a connection that have agreed on permessage-deflate, by handshakes of ours, and another DEFLATE to hold the
//! codec against.

#![allow(dead_code, reason = "each file of tests uses a part of it")]

use std::sync::Arc;

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};
use sotong_proto::handshake::{
    Accept, ClientHandshake, ClientProgress, ClientRequest, Progress, ResponseError, ServerHandshake,
};
use sotong_proto::{
    CodecBudget, Codecs, Compression, Config, Connection, Deflate, Outbox, Seed, Side, Time, WindowBits,
};

use crate::pair::End;
use crate::pair::wire::{self, FIN};

pub(crate) const RSV1: u8 = 0x40;

pub(crate) fn bits(bits: u8) -> WindowBits {
    WindowBits::new(bits).expect("8 to 15")
}

/// What a server with these settings answers to these offers (the values of header lines), and what it goes by.
pub(crate) fn answer(compression: Compression, offers: &[&str]) -> Option<(String, Deflate)> {
    let mut request = String::from(
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    );
    offers.iter().for_each(|offer| request.push_str(&format!("Sec-WebSocket-Extensions: {offer}\r\n")));
    request.push_str("\r\n");
    // Room for what the tests on long values need.
    let config = Config::default().with_head_bytes_max(1 << 20).with_headers_max(2000);
    let offer = match ServerHandshake::new(&config, Time::ZERO).receive(request.as_bytes()) {
        Progress::Request(offer) => offer,
        other => panic!("{offers:?}: {other:?}"),
    };
    let accept = Accept::default().with_compression(Some(compression));
    let accepted = offer.accept(accept).expect("nothing is asked that was not offered");
    let response = String::from_utf8(accepted.response).expect("a head of ASCII");
    let line = response.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    assert_eq!(line.is_some(), accepted.deflate.is_some(), "what is said is what is done");
    Some((line?.to_owned(), accepted.deflate?))
}

fn ask(compression: Compression) -> ClientHandshake {
    let request = ClientRequest::new("a", "/").expect("a request").with_compression(Some(compression));
    ClientHandshake::new(request, *b"the sample nonce", &Config::default(), Time::ZERO)
}

/// What a client with these settings offers.
pub(crate) fn offer(compression: Compression) -> String {
    let handshake = ask(compression);
    let request = std::str::from_utf8(handshake.request_bytes()).expect("a head of ASCII");
    let mut lines = request.lines().filter_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    let line = lines.next().expect("an offer").to_owned();
    assert_eq!(lines.next(), None, "one line");
    line
}

/// What such a client makes of an answer (the values of header lines).
pub(crate) fn check(compression: Compression, answers: &[&str]) -> Result<Option<Deflate>, ResponseError> {
    let mut response = String::from(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
    );
    answers.iter().for_each(|answer| response.push_str(&format!("Sec-WebSocket-Extensions: {answer}\r\n")));
    response.push_str("\r\n");
    match ask(compression).receive(response.as_bytes()) {
        ClientProgress::Established { deflate, .. } => Ok(deflate),
        ClientProgress::Failed(error) => Err(error),
        other => panic!("{other:?}"),
    }
}

/// What a client and a server agree on: each one's view.
pub(crate) fn agree(client: Compression, server: Compression) -> (Deflate, Deflate) {
    let (line, of_server) =
        answer(server, &[&offer(client)]).expect("a server accepts what a client of ours offers");
    let of_client = check(client, &[&line]).expect("a client accepts what a server of ours answers");
    (of_client.expect("there was an answer"), of_server)
}

pub(crate) fn codecs() -> Arc<Codecs> {
    Codecs::new(CodecBudget::new(CodecBudget::BYTES_MAX))
}

/// One end that has agreed.
pub(crate) fn end(side: Side, config: &Config, deflate: &Deflate, codecs: &Arc<Codecs>) -> End {
    let mut end = End::new(side, config);
    let config = Arc::new(config.clone());
    let outbox = match side {
        Side::Client => Outbox::client(config.clone(), Seed([7; 32])),
        Side::Server => Outbox::server(config.clone()),
    };
    end.outbox = outbox.with_deflate(deflate, codecs.clone());
    end.connection = Connection::new(side, config, Time::ZERO).with_deflate(deflate, codecs.clone());
    end
}

/// A server that lets its clients take over a window of 32 KiB; limits as in `config`.
pub(crate) fn windowed_server(config: &Config) -> End {
    let compression = Compression::windowed().with_window_bits(WindowBits::MAX);
    let (_, deflate) = answer(compression, &["permessage-deflate"]).expect("a plain offer");
    assert!(deflate.receive_takeover());
    end(Side::Server, &config.clone().with_compression(Some(compression)), &deflate, &codecs())
}

/// A server whose clients take over nothing.
pub(crate) fn shared_server(config: &Config) -> End {
    let compression = Compression::shared();
    let (_, deflate) = answer(compression, &["permessage-deflate"]).expect("a plain offer");
    end(Side::Server, &config.clone().with_compression(Some(compression)), &deflate, &codecs())
}

/// A whole compressed message from a client, in one frame.
pub(crate) fn compressed(opcode: u8, deflated: &[u8]) -> Vec<u8> {
    wire::frame(FIN | RSV1 | opcode, deflated, Side::Client)
}

/// The same in fragments of so many bytes of compressed payload.
pub(crate) fn fragmented(opcode: u8, deflated: &[u8], fragment_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut first = RSV1 | opcode;
    for fragment in deflated.chunks(fragment_bytes) {
        bytes.extend(wire::frame(first, fragment, Side::Client));
        first = 0;
    }
    bytes.extend(wire::frame(FIN | first, b"", Side::Client));
    bytes
}

/// A sender of another make: miniz_oxide, which always has a window of 32 KiB.
pub(crate) struct OtherSender(Compress);

impl OtherSender {
    pub(crate) fn new() -> Self {
        OtherSender(Compress::new(flate2::Compression::default(), false))
    }

    /// The payload of the next message, which may refer to those before it.
    pub(crate) fn deflate(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(plain.len() + plain.len() / 10 + 1000);
        let before = self.0.total_in();
        let status = self.0.compress_vec(plain, &mut out, FlushCompress::Sync).expect("it compresses");
        assert!(matches!(status, Status::Ok | Status::BufError));
        assert_eq!(self.0.total_in() - before, plain.len() as u64);
        let cut = out.strip_suffix(&[0, 0, 0xff, 0xff]).expect("a flush ends so");
        cut.to_vec()
    }
}

/// A payload that stands alone.
pub(crate) fn deflate(plain: &[u8]) -> Vec<u8> {
    OtherSender::new().deflate(plain)
}

/// A receiver of another make, with a window of 32 KiB.
pub(crate) struct OtherReceiver(Decompress);

impl OtherReceiver {
    pub(crate) fn new() -> Self {
        OtherReceiver(Decompress::new(false))
    }

    pub(crate) fn inflate(&mut self, deflated: &[u8]) -> Result<Vec<u8>, String> {
        let input = [deflated, &[0, 0, 0xff, 0xff]].concat();
        let (mut plain, mut used) = (Vec::new(), 0);
        loop {
            let mut chunk = vec![0; 4096];
            let (before_in, before_out) = (self.0.total_in(), self.0.total_out());
            let status = self.0.decompress(&input[used..], &mut chunk, FlushDecompress::Sync);
            let status = status.map_err(|error| error.to_string())?;
            used += (self.0.total_in() - before_in) as usize;
            let made = (self.0.total_out() - before_out) as usize;
            plain.extend_from_slice(&chunk[..made]);
            if status == Status::StreamEnd {
                return Err("a block is marked as the last".to_owned());
            }
            if made < chunk.len() && used == input.len() {
                return Ok(plain);
            }
            if made == 0 && status == Status::BufError {
                return Err(format!("no progress after {used} of {} bytes", input.len()));
            }
        }
    }
}

/// Text that compresses as JSON does.
pub(crate) fn json(length: usize, seed: u64) -> String {
    let mut random = crate::pair::random::Random(seed);
    let mut text = String::from("[");
    while text.len() < length {
        let symbol = ["ACME", "GLOBEX", "INITECH", "소통"][random.below(4)];
        text.push_str(&format!(
            "{{\"id\":{},\"symbol\":\"{symbol}\",\"price\":{}}},",
            random.below(100_000),
            random.below(5000)
        ));
    }
    text.truncate(text.floor_char_boundary(length));
    text
}

/// Bytes that do not compress.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut random = crate::pair::random::Random(seed);
    (0..length).map(|_| random.below(256) as u8).collect()
}
