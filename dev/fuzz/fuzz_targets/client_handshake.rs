//! Answers: however they are cut, the outcome is the same; only what RFC 6455 says is a yes; what is kept is bounded.

#![no_main]

#[path = "cuts.rs"]
mod cuts;

use libfuzzer_sys::fuzz_target;
use sotong_proto::handshake::{
    ClientHandshake, ClientProgress, ClientRequest, RefusedResponse, ResponseError,
};
use sotong_proto::{Config, Time};

type Headers = Vec<(String, Vec<u8>)>;

#[derive(Debug, PartialEq)]
enum Outcome {
    Established { protocol: Option<String>, headers: Headers, early: Vec<u8> },
    Refused(RefusedResponse),
    Failed(ResponseError),
}

fn outcome(config: &Config, pieces: &[&[u8]]) -> Outcome {
    let request =
        ClientRequest::new("a", "/").and_then(|request| request.with_protocol("p")).expect("a request");
    let mut progress =
        ClientProgress::More(ClientHandshake::new(request, *b"the sample nonce", config, Time::ZERO));
    let mut pieces = pieces.iter().copied();
    loop {
        progress = match progress {
            ClientProgress::More(more) => match pieces.next() {
                Some(piece) => more.receive(piece),
                None => more.end_of_stream(),
            },
            ClientProgress::Established { request, response, early, .. } => {
                assert_eq!(request.protocol(), response.protocol());
                assert!(matches!(request.protocol(), None | Some("p")));
                assert_eq!(response.header("sec-websocket-extensions"), None);
                return Outcome::Established {
                    protocol: response.protocol().map(str::to_owned),
                    headers: response
                        .headers()
                        .map(|(name, value)| (name.to_owned(), value.to_owned()))
                        .collect(),
                    early: [&early[..], &pieces.collect::<Vec<_>>().concat()].concat(),
                };
            }
            ClientProgress::Refused(refused) => {
                assert!(refused.status() >= 200 && refused.body().len() <= RefusedResponse::BODY_BYTES_MAX);
                assert!(refused.headers().all(|(name, _)| !name.is_empty()));
                shown(&refused.to_string());
                return Outcome::Refused(refused);
            }
            ClientProgress::Failed(error) => {
                shown(&error.to_string());
                return Outcome::Failed(error);
            }
        };
    }
}

/// What is told to a human does nothing to a terminal.
fn shown(text: &str) {
    assert!(!text.chars().any(|c| c.is_control() && c != '\t'), "{text:?}");
}

fuzz_target!(|data: &[u8]| {
    let Some((settings, stream, pieces)) = cuts::input(data) else { return };
    let config = match settings & 3 {
        0 => Config::default(),
        1 => Config::default().with_head_bytes_max(usize::from(settings >> 2)),
        2 => Config::default().with_head_bytes_max(200),
        _ => Config::default().with_headers_max(5),
    };
    let whole = outcome(&config, &[stream]);
    assert_eq!(outcome(&config, &pieces), whole);
    assert_eq!(outcome(&config, &stream.chunks(1).collect::<Vec<_>>()), whole);
});
