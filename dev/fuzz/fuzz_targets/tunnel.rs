//! Answers of an HTTP proxy: however they are cut, the outcome is the same; only a 2xx opens the tunnel; what is kept is
//! bounded, and what stands behind the head is kept to the last byte.

#![no_main]

#[path = "cuts.rs"]
mod cuts;

use libfuzzer_sys::fuzz_target;
use sotong_proto::Config;
use sotong_proto::handshake::{RefusedResponse, ResponseError, TunnelHandshake, TunnelProgress};

#[derive(Debug, PartialEq)]
enum Outcome {
    Open { early: Vec<u8> },
    Refused(RefusedResponse),
    Failed(ResponseError),
}

fn outcome(config: &Config, stream: &[u8], pieces: &[&[u8]]) -> Outcome {
    let mut progress =
        TunnelProgress::More(TunnelHandshake::new("a:1", config).expect("a host and a port"));
    let mut pieces = pieces.iter().copied();
    loop {
        progress = match progress {
            TunnelProgress::More(more) => match pieces.next() {
                Some(piece) => more.receive(piece),
                None => more.end_of_stream(),
            },
            TunnelProgress::Open { early } => {
                let early = [&early[..], &pieces.collect::<Vec<_>>().concat()].concat();
                assert!(stream.ends_with(&early));
                let head = &stream[..stream.len() - early.len()];
                assert!(head.len() <= 9 * config.head_bytes_max && head.ends_with(b"\r\n\r\n"));
                return Outcome::Open { early };
            }
            TunnelProgress::Refused(refused) => {
                assert!(refused.status() >= 300 && refused.body().len() <= RefusedResponse::BODY_BYTES_MAX);
                shown(&refused.to_string());
                return Outcome::Refused(refused);
            }
            TunnelProgress::Failed(error) => {
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
    let whole = outcome(&config, stream, &[stream]);
    assert_eq!(outcome(&config, stream, &pieces), whole);
    assert_eq!(outcome(&config, stream, &stream.chunks(1).collect::<Vec<_>>()), whole);
});
