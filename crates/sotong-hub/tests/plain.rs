//! The plain end point over real sockets: what `core` decides reaches the right clients, and what ends a connection
//! ends only that one.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod program;

use program::{Heard, Peer, Program};
use serde_json::json;

#[test]
fn two_clients_chat() {
    let program = Program::serve(&[]);
    let mut a = program.peer("/ws");
    let first = a.next();
    let a_id = first["push"]["connect"]["client"].as_str().unwrap().to_owned();
    assert!(first["push"]["connect"]["version"].as_str().unwrap().starts_with("sotong "));
    assert!(first["push"]["connect"]["ping"].as_u64().unwrap() > 0);

    let subscribe =
        |name| json!({"subscribe": {"channel": "chat:lobby", "data": {"name": name}, "join_leave": true}});
    assert!(a.ask(subscribe("가람")).0["subscribe"]["epoch"].is_string());
    assert_eq!(a.next()["push"]["join"]["info"]["client"], a_id, "its own join");

    let mut b = program.peer("/ws");
    let b_id = b.next()["push"]["connect"]["client"].as_str().unwrap().to_owned();
    assert_ne!(a_id, b_id);
    b.ask(subscribe("나래"));
    assert_eq!(a.next()["push"]["join"]["info"], json!({"client": b_id, "chan_info": {"name": "나래"}}));

    let (reply, pushes) = a.ask(json!({"publish": {"channel": "chat:lobby", "data": {"text": "안녕"}}}));
    assert_eq!(reply, json!({"publish": {}}));
    assert_eq!(pushes[0]["pub"]["data"], json!({"text": "안녕"}));
    assert_eq!(b.next()["push"]["join"]["info"]["client"], b_id);
    assert_eq!(b.next()["push"], pushes[0], "the same for both");

    drop(b);
    assert_eq!(a.next()["push"]["leave"]["info"]["client"], b_id);
    let (presence, _) = a.ask(json!({"presence": {"channel": "chat:lobby"}}));
    assert_eq!(presence["presence"]["presence"].as_object().unwrap().len(), 1);
}

#[test]
fn the_url_subscribes() {
    let program = Program::serve(&[]);
    let mut peer = program.peer("/ws?sub=chat:lobby&sub=%EB%89%B4%EC%8A%A4");
    let subs = peer.next()["push"]["connect"]["subs"].clone();
    assert_eq!(subs.as_object().unwrap().keys().collect::<Vec<_>>(), ["chat:lobby", "뉴스"]);
}

#[test]
fn mistakes_end_the_connection_with_a_code_that_says_not_to_come_back() {
    let program = Program::serve(&[]);
    let mut witness = program.peer("/ws?sub=news");
    witness.next();

    for target in ["/ws?sub=%FF", "/ws?sub=", "/ws?sub=a%00b"] {
        let mut peer = program.peer(target);
        let (code, reason) = peer.close();
        assert_eq!(code, 3501, "{target}: {reason}");
    }
    assert_eq!(program.peer("/ws?sub=dm:%231").close().0, 3507);
    let many: Vec<String> = (0..33).map(|number| format!("sub=c{number}")).collect();
    assert_eq!(program.peer(&format!("/ws?{}", many.join("&"))).close().0, 3505);

    let mut peer = program.peer("/ws?sub=news");
    peer.send("hello");
    assert_eq!(peer.close(), (3501, "bad request: not a JSON object with a number as its id".to_owned()));
    let mut peer = program.peer("/ws");
    peer.frame(2, b"{}");
    assert_eq!(peer.close(), (3501, "bad request: this end point speaks text".to_owned()));

    assert_eq!(witness.ask(json!({"ping": {}})).0, json!({"ping": {}}), "nothing happened to anybody else");
}

/// At the limit a message is read (and found to be no command); one past it, it is refused by its header.
#[test]
fn message_bytes_at_the_limit_and_one_past_it() {
    let program = Program::serve(&[]);
    let limit = usize::try_from(sotong_hub::serve::MESSAGE_BYTES_MAX).unwrap();
    let mut peer = program.peer("/ws");
    peer.next();
    let command = r#"{"id":1,"ping":{}}"#;
    peer.send(&format!("{command}{}", " ".repeat(limit - command.len())));
    assert_eq!(peer.next(), json!({"id": 1, "ping": {}}));
    peer.send(&" ".repeat(limit + 1));
    assert_eq!(peer.close().0, 1009);
}

#[test]
fn other_paths_and_other_origins_are_refused() {
    let program =
        Program::serve(&["--allow-origin", "https://friend.example", "--allow-host", "chat.example"]);
    let open = |target: &str, headers: &str| Peer::open(program.address, target, headers).map(drop);
    let own = format!("Origin: http://{}\r\n", program.address);
    assert_eq!(open("/ws", ""), Ok(()));
    assert_eq!(open("/ws", &own), Ok(()));
    assert_eq!(open("/ws", "Origin: https://friend.example\r\n"), Ok(()));
    for (target, headers, status) in [
        ("/other", "", "404"),
        ("/ws/", "", "404"),
        ("/ws", "Origin: https://evil.example\r\n", "403"),
        ("/ws", "Origin: https://friend.example.evil.example\r\n", "403"),
        ("/ws", "Origin: null\r\n", "403"),
    ] {
        let answer = open(target, headers).expect_err("refused");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target} {headers}: {answer}");
    }
}

/// One client stops reading. It is disconnected with 3008 when its share of memory is full; everybody else goes on
/// and sees it leave.
#[test]
fn a_slow_reader_is_disconnected_and_nobody_else_suffers() {
    let program = Program::serve(&[]);
    let mut slow = program.peer("/ws");
    slow.ask(json!({"subscribe": {"channel": "chat:lobby", "data": {"name": "slow"}}}));
    let mut quick = program.peer("/ws");
    quick.ask(json!({"subscribe": {"channel": "chat:lobby", "data": {"name": "quick"}, "join_leave": true}}));

    let text = "a".repeat(16_000);
    let publish = json!({"publish": {"channel": "chat:lobby", "data": text}});
    let mut sent = 0_u64;
    let mut seen = 0_u64;
    let left = 'publishing: loop {
        let (reply, pushes) = quick.ask(publish.clone());
        assert_eq!(reply, json!({"publish": {}}));
        sent += 1;
        assert!(sent < 20_000, "the kernel cannot hold this much: the slow reader should be gone");
        for push in pushes {
            if push["leave"].is_object() {
                break 'publishing push;
            }
            if push["pub"].is_object() {
                seen += 1;
                assert_eq!(push["pub"]["offset"], seen, "the quick one misses nothing");
            }
        }
    };
    assert_eq!(left["leave"]["info"]["chan_info"]["name"], "slow");

    // What was accepted for it arrives, in order and without gaps; then it learns why there is no more.
    let mut received = 0;
    let (code, reason) = loop {
        match slow.hear() {
            Heard::Close(code, reason) => break (code, reason),
            Heard::Text(text) => {
                let heard: serde_json::Value = serde_json::from_str(&text).unwrap();
                if heard["push"]["pub"].is_object() {
                    received += 1;
                    assert_eq!(heard["push"]["pub"]["offset"], received);
                }
            }
        }
    };
    assert_eq!((code, &*reason), (3008, "slow"));
    assert!(received < sent);
    assert_eq!(quick.ask(json!({"ping": {}})).0, json!({"ping": {}}));
}

/// Eight clients on four threads talk at the same time: everybody hears everything, in the one order.
#[test]
fn everybody_hears_everything_in_one_order() {
    const PEERS: usize = 8;
    const WORDS: usize = 200;
    let program = Program::serve(&["--threads", "4"]);
    let everybody_is_in = std::sync::Barrier::new(PEERS);
    let heard: Vec<Vec<String>> = std::thread::scope(|scope| {
        let talking: Vec<_> = (0..PEERS)
            .map(|number| {
                let (program, everybody_is_in) = (&program, &everybody_is_in);
                scope.spawn(move || {
                    let mut peer = program.peer("/ws?sub=chat:crowd");
                    peer.next();
                    everybody_is_in.wait();
                    for word in 0..WORDS {
                        let data = format!("{number}.{word}");
                        let publish = json!({"channel": "chat:crowd", "data": data});
                        peer.send(&json!({"id": word + 1, "publish": publish}).to_string());
                    }
                    let (mut words, mut replies) = (Vec::new(), 0);
                    while words.len() < PEERS * WORDS || replies < WORDS {
                        let heard = peer.next();
                        if heard["publish"].is_object() {
                            replies += 1;
                            assert_eq!(heard["id"], replies, "replies come in the order of the commands");
                        } else {
                            let publication = &heard["push"]["pub"];
                            assert_eq!(publication["offset"], words.len() + 1, "no gap");
                            words.push(publication["data"].as_str().unwrap().to_owned());
                        }
                    }
                    words
                })
            })
            .collect();
        talking.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(heard.iter().all(|words| *words == heard[0]), "the order is the same for everybody");
    for number in 0..PEERS {
        let own: Vec<_> = heard[0].iter().filter(|word| word.starts_with(&format!("{number}."))).collect();
        let expected: Vec<String> = (0..WORDS).map(|word| format!("{number}.{word}")).collect();
        assert!(own.into_iter().eq(&expected), "each one's words are in the order in which they were said");
    }
}
