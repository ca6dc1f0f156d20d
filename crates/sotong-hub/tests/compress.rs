//! `--compress` of `echo`, `serve` and `connect`: what is agreed on, and that nothing is lost by it.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod opposite;
mod program;

use opposite::{Opposite, TEXT, run};
use program::{Program, sotong};

fn start(arguments: &[&str]) -> Program {
    let arguments = arguments.iter().chain(&["--listen", "127.0.0.1:0", "--log", "off"]);
    Program::start(sotong().args(arguments))
}

fn input() -> String {
    (0..3000).map(|number| format!("{number} {}\n", "소통 ".repeat(number % 90))).collect()
}

/// What the server's answer says, as `--show-frames` shows it.
fn agreed(url: &str, options: &[&str]) -> Option<String> {
    let output = run(url, &[options, &["--show-frames"]].concat(), b"");
    let shown = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
    let line = shown.lines().find(|line| line.to_lowercase().contains("sec-websocket-extensions"))?;
    Some(line[line.find("permessage-deflate").unwrap()..].to_owned())
}

#[test]
fn connect_and_echo_in_all_modes() {
    let modes: [&[&str]; 4] = [
        &["--compress"],
        &["--compress=windowed"],
        &["--compress=windowed", "--compress-window-bits", "8", "--compress-from", "0"],
        &["--compress=shared", "--compress-level", "9"],
    ];
    let input = input();
    for server in modes {
        for style in ["event", "pull"] {
            let echo = start(&[&["echo", "--style", style], server].concat());
            let url = format!("ws://{}", echo.address);
            for client in modes {
                let output = run(&url, client, input.as_bytes());
                assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
                assert!(output.stdout == input.as_bytes(), "{server:?}, {client:?}");
                assert!(agreed(&url, client).is_some());
            }
            assert_eq!(agreed(&url, &[]), None);
        }
    }
    let echo = start(&["echo"]);
    assert_eq!(agreed(&format!("ws://{}", echo.address), &["--compress"]), None);
}

#[test]
fn a_client_offers_what_its_options_say() {
    let opposite = Opposite::new();
    for (options, offer) in [
        (
            &["--compress"][..],
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits",
        ),
        (
            &["--compress=windowed", "--compress-window-bits", "10"],
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10",
        ),
    ] {
        let client = opposite::Client::start(&opposite.url(), options);
        let asked = opposite.request();
        assert_eq!(asked.header("Sec-WebSocket-Extensions"), Some(offer));
        let mut server = asked.accept("");
        // What the server does not agree to is not done.
        server.send(TEXT, b"as it is");
        server.close(1000, "");
        drop(server);
        assert_eq!(client.wait().1, ["as it is"]);
    }
}

#[test]
fn a_page_that_offers_it_is_served_compressed() {
    let serve = start(&["serve", "--compress"]);
    let url = format!("ws://{}/ws?sub=chat:lobby", serve.address);
    let agreed = agreed(&url, &["--compress"]).unwrap();
    assert!(agreed.contains("server_no_context_takeover"), "{agreed}");
    assert!(run(&url, &["--compress", "--wait", "0"], b"").status.success());
}
