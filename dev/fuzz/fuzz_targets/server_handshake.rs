//! Requests: however they are cut, the outcome is the same; what is accepted can be asked about; what is refused is a
//! refusal in the eyes of our own client.

#![no_main]

#[path = "cuts.rs"]
mod cuts;

use libfuzzer_sys::fuzz_target;
use sotong_proto::handshake::{
    Accept, ClientHandshake, ClientProgress, ClientRequest, OriginPolicy, Progress, Refusal, Request,
    ServerHandshake,
};
use sotong_proto::{Config, Time};

#[derive(Debug, PartialEq)]
enum Outcome {
    More,
    Request { target: String, headers: Vec<(String, Vec<u8>)>, response: Vec<u8>, early: Vec<u8> },
    Page(Vec<u8>),
    Refused(Vec<u8>),
}

fn outcome(config: &Config, pieces: &[&[u8]]) -> Outcome {
    let mut handshake = ServerHandshake::new(config, Time::ZERO);
    let mut pieces = pieces.iter().copied();
    while let Some(piece) = pieces.next() {
        match handshake.receive(piece) {
            Progress::More(more) => handshake = more,
            Progress::Request(offer) => {
                let request = offer.request().clone();
                ask(&request);
                let chosen = request.protocols().last().map(str::to_owned);
                let accept =
                    chosen.iter().fold(Accept::default(), |accept, protocol| accept.with_protocol(protocol));
                let accepted = offer.accept(accept).expect("the protocol was offered");
                assert_eq!(accepted.request.protocol(), chosen.as_deref());
                return Outcome::Request {
                    target: request.target().to_owned(),
                    headers: request
                        .headers()
                        .map(|(name, value)| (name.to_owned(), value.to_owned()))
                        .collect(),
                    response: accepted.response,
                    early: [&accepted.early[..], &pieces.collect::<Vec<_>>().concat()].concat(),
                };
            }
            Progress::Page(read) => {
                return Outcome::Page([&read[..], &pieces.collect::<Vec<_>>().concat()].concat());
            }
            Progress::Refused(refusal) => {
                assert_is_refused(&refusal);
                return Outcome::Refused(refusal.to_bytes());
            }
        }
    }
    Outcome::More
}

/// Every question that there is about a request.
fn ask(request: &Request) {
    assert!(request.path().starts_with('/') && !request.host().is_empty());
    let _ = (request.query(), request.origin(), request.protocol(), format!("{request:?}"));
    for extension in request.extensions() {
        assert!(!extension.name().is_empty());
        assert!(
            extension
                .parameters()
                .all(|(name, value)| !name.is_empty() && value.is_none_or(|value| !value.is_empty()))
        );
    }
    assert!(request.protocols().all(|protocol| !protocol.is_empty()));
    if let Err(refusal) = OriginPolicy::default().check(request) {
        assert_is_refused(&refusal);
    }
}

fn assert_is_refused(refusal: &Refusal) {
    let request = ClientRequest::new("a", "/").expect("a request");
    let client = ClientHandshake::new(request, [0; 16], &Config::default(), Time::ZERO);
    match client.receive(&refusal.to_bytes()) {
        ClientProgress::Refused(refused) => {
            assert_eq!((refused.status(), refused.body()), (refusal.status(), refusal.body().as_bytes()));
            assert!(refused.body_is_whole());
        }
        other => panic!("{refusal:?}: {other:?}"),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((settings, stream, pieces)) = cuts::input(data) else { return };
    let config = match settings & 3 {
        0 => Config::default(),
        1 => Config::default().with_request_line_bytes_max(20),
        2 => Config::default().with_head_bytes_max(200),
        _ => Config::default().with_headers_max(5),
    };
    let whole = outcome(&config, &[stream]);
    assert_eq!(outcome(&config, &pieces), whole);
    assert_eq!(outcome(&config, &stream.chunks(1).collect::<Vec<_>>()), whole);
});
