//! Guarantee 7: the same bytes cause the same events, however the network splits them. (The core is split at every
//! byte in its own tests; here it is the whole way, through TCP and both forms.)

mod support;

use sotong::{Config, Events, MessageRef, Sender};
use support::{BINARY, CLOSE, PING, PONG, TEXT, frame};
use tokio::io::AsyncReadExt;

struct Echo;

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        socket.try_send(message).expect("there is room");
    }
}

/// Messages of all kinds, with control frames in between, and a Close.
fn corpus() -> Vec<u8> {
    let mut bytes = Vec::new();
    for (opcode, fin, payload) in [
        (TEXT, true, "안녕하세요".as_bytes()),
        (BINARY, true, &[0xff; 300][..]),
        (TEXT, false, &"소통".as_bytes()[..4]),
        (PING, true, b"in between"),
        (0, false, b""),
        (PONG, true, b"nobody asked"),
        (0, true, &"소통".as_bytes()[4..]),
        (TEXT, true, b""),
        (BINARY, true, &[7; 70_000]),
        (CLOSE, true, b"\x03\xe9going"),
    ] {
        bytes.extend(frame(opcode, fin, payload));
    }
    bytes
}

/// Sends the corpus in pieces of these lengths, again and again, and returns all that comes back.
async fn answers(server: &support::Running, pieces: &[usize]) -> Vec<u8> {
    let mut peer = server.connect().await;
    let corpus = corpus();
    let mut rest = &corpus[..];
    for length in pieces.iter().cycle() {
        let (piece, after) = rest.split_at((*length).min(rest.len()));
        peer.raw(piece).await;
        // Lets the server have its turn before the next piece comes.
        tokio::task::yield_now().await;
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    let mut answers = Vec::new();
    support::soon(peer.stream.read_to_end(&mut answers)).await.expect("the server closes regularly");
    answers
}

#[tokio::test]
async fn through_tcp_in_both_forms() {
    let events = support::events(Config::default(), |_| Echo).await;
    let pull = support::pull_echo(Config::default()).await;
    let whole = answers(&events, &[usize::MAX]).await;
    assert!(whole.ends_with(&[0x88, 2, 3, 0xe9]), "the last answer is the close");
    for pieces in [&[1][..], &[2], &[3, 1, 4, 1, 5, 9, 2, 6], &[7], &[13, 1000], &[4096], &[65_000, 1, 1]] {
        assert!(answers(&events, pieces).await == whole, "event form, pieces of {pieces:?}");
    }
    // In pull form a Pong may overtake answers that the application has yet to give; nothing else may differ.
    let pong = [&[0x8a, 10][..], b"in between"].concat();
    let without_pong = |answers: Vec<u8>| {
        let at = answers.windows(pong.len()).position(|window| window == pong).expect("the ping is answered");
        [&answers[..at], &answers[at + pong.len()..]].concat()
    };
    let whole = without_pong(whole);
    for pieces in [&[usize::MAX][..], &[1], &[3, 1, 4, 1, 5, 9, 2, 6], &[13, 1000], &[65_000, 1, 1]] {
        assert!(without_pong(answers(&pull, pieces).await) == whole, "pull form, pieces of {pieces:?}");
    }
}
