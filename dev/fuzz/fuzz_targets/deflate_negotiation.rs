//! Offers of permessage-deflate to a server and answers to a client, in all settings.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sotong_proto::handshake::{
    Accept, ClientHandshake, ClientProgress, ClientRequest, Progress, ServerHandshake,
};
use sotong_proto::{Compression, Config, Deflate, Time, WindowBits};

fn client(compression: Compression) -> ClientHandshake {
    let request = ClientRequest::new("a", "/").expect("a request").with_compression(Some(compression));
    ClientHandshake::new(request, *b"the sample nonce", &Config::default(), Time::ZERO)
}

fn answer(compression: Compression, offer: &[u8]) -> Option<(Vec<u8>, Deflate)> {
    let request = [
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: ",
        offer,
        b"\r\n\r\n",
    ]
    .concat();
    let handshake = ServerHandshake::new(&Config::default(), Time::ZERO);
    let Progress::Request(offer) = handshake.receive(&request) else { return None };
    let accepted = offer.accept(Accept::default().with_compression(Some(compression))).expect("no protocol");
    Some((accepted.response, accepted.deflate?))
}

fn check(compression: Compression, answer: &[u8]) -> Option<Deflate> {
    match client(compression).receive(answer) {
        ClientProgress::Established { deflate, .. } => deflate,
        ClientProgress::Failed(error) => {
            assert!(!error.to_string().contains(['\r', '\n', '\x1b']));
            None
        }
        _ => None,
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&settings, value)) = data.split_first() else { return };
    let bits = WindowBits::new(8 + (settings >> 1 & 7)).expect("8 to 15");
    let mode = if settings & 1 == 0 { Compression::shared() } else { Compression::windowed() };
    let compression = mode.with_window_bits(bits);
    if let Some((response, deflate)) = answer(compression, value) {
        assert!(deflate.send_window_bits() <= bits);
        assert!(!deflate.receive_takeover() || deflate.receive_window_bits() <= bits.max(WindowBits::new(9).expect("9")));
        assert!(String::from_utf8_lossy(&response).contains("permessage-deflate"));
    }
    let response = [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Extensions: ",
        value,
        b"\r\n\r\n",
    ]
    .concat();
    if let Some(deflate) = check(compression, &response) {
        assert!(deflate.send_window_bits() <= bits);
        let shared = settings & 1 == 0;
        assert!(!shared || !deflate.send_takeover() && !deflate.receive_takeover());
    }
});
