//! Guarantee 8: where the RFC says MUST, a connection ends with the code that belongs to it; each leniency is an
//! option. (Every rule is tested in the core, and by Autobahn; here it is the whole way.)

mod support;

use sotong::{Config, NonMinimalLengths};
use support::{CLOSE, TEXT, frame};

#[tokio::test]
async fn what_breaks_the_protocol_ends_with_its_code_and_the_answers_before_it_are_delivered() {
    let cases: [(&str, Vec<u8>, u16); 9] = [
        ("reserved bit", vec![0xc1, 0x80, 0, 0, 0, 0], 1002),
        ("reserved opcode", vec![0x83, 0x80, 0, 0, 0, 0], 1002),
        ("no mask", vec![0x81, 0x01, b'a'], 1002),
        ("fragmented ping", frame(9, false, b""), 1002),
        ("continuation of nothing", frame(0, true, b"x"), 1002),
        ("long length for little", vec![0x82, 0xfe, 0, 1, 0, 0, 0, 0, 7], 1002),
        ("bad UTF-8", frame(TEXT, true, b"\xff"), 1007),
        ("close code 1005", frame(CLOSE, true, &1005u16.to_be_bytes()), 1002),
        ("close with one byte", frame(CLOSE, true, b"x"), 1002),
    ];
    let server = support::pull_echo(Config::default()).await;
    for (what, bad, code) in cases {
        let mut peer = server.connect().await;
        let mut bytes = frame(TEXT, true, b"good before");
        bytes.extend(bad);
        bytes.extend(frame(TEXT, true, b"never looked at"));
        peer.raw(&bytes).await;
        peer.expect_text("good before").await;
        assert_eq!(peer.expect_close().await.0, code, "{what}");
    }
}

#[tokio::test]
async fn a_leniency_is_a_named_option() {
    let config = Config::default().with_non_minimal_lengths(NonMinimalLengths::Accept);
    let server = support::pull_echo(config).await;
    let mut peer = server.connect().await;
    peer.raw(&[0x82, 0xfe, 0, 1, 0, 0, 0, 0, 7]).await;
    assert_eq!(peer.next().await.expect("an echo").payload, [7]);
    peer.close().await;
}
