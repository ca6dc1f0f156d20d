//! The game over real sockets: the binary at one end, the library's client at the other.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod program;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use program::{DEADLINE, Peer, Program};
use sotong::{Client, CloseCode, Config, Error, Message, WebSocket};
use sotong_hub::arena::{
    ClientFrame, Delta, Direction, Malformed, PLAYERS_MAX, Picture, Place, PlayerId, PlayerName, ServerFrame,
    Viewed, Viewer, WIDTH,
};
use tokio::net::TcpSocket;
use tokio::sync::Barrier;

const LEFT: u8 = 4;
const RIGHT: u8 = 8;

fn play<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(2 * DEADLINE, test).await.expect("in time") })
}

/// Somebody at the other end.
struct Gamer {
    socket: WebSocket,
    viewer: Viewer,
}

impl Gamer {
    async fn watch(address: SocketAddr) -> Gamer {
        let socket = sotong::connect(&format!("ws://{address}/game")).await.unwrap();
        Gamer { socket, viewer: Viewer::default() }
    }

    /// Enters, and waits until it is there.
    async fn enter(address: SocketAddr, name: &str) -> Gamer {
        let mut gamer = Gamer::watch(address).await;
        gamer.say_name(name).await;
        gamer.until(|viewer| viewer.you.is_some()).await;
        gamer
    }

    async fn say(&self, frame: &ClientFrame) {
        self.socket.sender().send(frame.encode()).await.unwrap();
    }

    async fn say_name(&self, name: &str) {
        self.say(&ClientFrame::Name(PlayerName::new(name.as_bytes()).unwrap())).await;
    }

    async fn steer(&self, bits: u8) {
        self.say(&ClientFrame::Steer(Direction::from_bits(bits).unwrap())).await;
    }

    /// The next frame, and what it was to one who has heard all before it.
    async fn hear(&mut self) -> (ServerFrame, Viewed) {
        let message = self.socket.recv().await.unwrap().expect("the server does not close");
        let Message::Binary(bytes) = &message else { panic!("{message:?}") };
        let frame = ServerFrame::decode(bytes).unwrap_or_else(|| panic!("{bytes:02x?}"));
        let viewed = self.viewer.hear(&frame);
        (frame, viewed)
    }

    /// Hears the next delta, which has to follow the one before.
    async fn next_tick(&mut self) -> Delta {
        loop {
            match self.hear().await {
                (ServerFrame::Delta(delta), Viewed::Applied) => return delta,
                (ServerFrame::Delta(delta), viewed) => panic!("{viewed:?} at {}", delta.tick),
                _ => {}
            }
        }
    }

    /// Hears until something is so. Nothing may be missing.
    async fn until(&mut self, is: impl Fn(&Viewer) -> bool) {
        while !is(&self.viewer) {
            let (frame, viewed) = self.hear().await;
            assert_ne!(viewed, Viewed::Gap, "{frame:?}");
        }
    }

    fn picture(&self) -> &Picture {
        self.viewer.picture.as_ref().expect("it has heard something")
    }

    fn you(&self) -> PlayerId {
        self.viewer.you.expect("it plays")
    }

    fn place(&self, id: PlayerId) -> Place {
        self.picture().players[&id].place
    }

    /// How the server has ended it: its code and its reason.
    async fn end(mut self) -> (u16, String) {
        loop {
            match self.socket.recv().await {
                Ok(Some(_)) => {}
                Ok(None) | Err(Error::Closed(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        let closed = self.socket.close(CloseCode::NORMAL, "").await;
        let close = closed.received.as_ref().expect("the server says why");
        (close.code().map_or(1005, u16::from), close.reason().to_owned())
    }
}

/// The keys that lead away from the nearer wall.
fn inwards(place: Place) -> u8 {
    if i32::from(place.x) < WIDTH / 2 { RIGHT } else { LEFT }
}

#[test]
fn two_players_see_each_other_move_and_one_disappears() {
    let program = Program::serve(&[]);
    play(async {
        let mut ada = Gamer::enter(program.address, "Ada").await;
        let bo = Gamer::enter(program.address, "보라").await;
        assert_eq!(bo.picture().players[&ada.you()].name.as_str(), "Ada", "who joins late sees who is there");
        let id = bo.you();
        ada.until(|viewer| viewer.picture.as_ref().unwrap().players.contains_key(&id)).await;
        assert_eq!(ada.picture().players[&id].name.as_str(), "보라");

        let before = ada.place(id);
        bo.steer(inwards(before)).await;
        ada.until(|viewer| viewer.picture.as_ref().unwrap().players[&id].place.x.abs_diff(before.x) > 1600)
            .await;
        assert_eq!(ada.place(id).y, before.y, "to the side, as it was steered");

        let renamed = "Bora".to_owned();
        bo.say_name(&renamed).await;
        ada.until(|viewer| viewer.picture.as_ref().unwrap().players[&id].name.as_str() == renamed).await;

        // Without a last word.
        drop(bo);
        ada.until(|viewer| !viewer.picture.as_ref().unwrap().players.contains_key(&id)).await;
    });
}

#[test]
fn pings_are_answered_with_their_number() {
    let program = Program::serve(&[]);
    play(async {
        let mut ada = Gamer::enter(program.address, "Ada").await;
        ada.say(&ClientFrame::Ping(0x0102_0304)).await;
        while ada.hear().await.0 != ServerFrame::Pong(0x0102_0304) {}
    });
}

/// On four threads, players and one who watches. Whatever two of them know of the same tick is the same.
#[test]
fn everybody_sees_the_same_at_the_same_tick() {
    const PLAYERS: u8 = 24;
    const TICKS: u32 = 60;
    let program = Program::serve(&["--threads", "4"]);
    let address = program.address;
    let all_are_in = Arc::new((Barrier::new(usize::from(PLAYERS) + 1), AtomicU32::new(0)));
    play(async {
        let mut players = tokio::task::JoinSet::new();
        for number in 0..=PLAYERS {
            let all_are_in = all_are_in.clone();
            players.spawn(async move {
                let mut gamer = Gamer::watch(address).await;
                if number > 0 {
                    gamer.say_name(&format!("p{number}")).await;
                }
                gamer.until(|viewer| viewer.picture.is_some() && (number == 0 || viewer.you.is_some())).await;
                let (barrier, last) = &*all_are_in;
                last.fetch_max(gamer.picture().tick, Ordering::Relaxed);
                barrier.wait().await;
                let start = last.load(Ordering::Relaxed);

                let mut seen = Vec::new();
                while gamer.picture().tick < start + TICKS {
                    let tick = gamer.next_tick().await.tick;
                    if number > 0 && tick % 7 == 0 {
                        gamer.steer((number + (tick % 16) as u8) % 16).await;
                    }
                    if tick > start {
                        seen.push(gamer.picture().clone());
                    }
                }
                assert_eq!(seen.len(), TICKS as usize);
                seen
            });
        }
        let mut known = None;
        while let Some(seen) = players.join_next().await {
            let seen = seen.unwrap();
            assert!(*known.get_or_insert_with(|| seen.clone()) == seen, "they differ");
        }
        assert_eq!(known.unwrap()[0].players.len(), usize::from(PLAYERS));
    });
}

#[test]
fn what_is_no_frame_ends_its_connection_with_a_code_and_a_reason() {
    let program = Program::serve(&[]);
    play(async {
        let mut witness = Gamer::enter(program.address, "witness").await;
        let table: [(Message, Malformed); 9] = [
            (Message::text("hello"), Malformed::Text),
            (vec![].into(), Malformed::Unknown),
            (vec![0x22, 1].into(), Malformed::Unknown),
            (vec![0x13, 1].into(), Malformed::Length),
            (vec![0x12, 0x80].into(), Malformed::Direction),
            (vec![0x11, 0xff].into(), Malformed::NameNotText),
            ([&[0x11][..], &[b'x'; 33]].concat().into(), Malformed::NameTooLong),
            (vec![0x11].into(), Malformed::NameNotShown),
            (vec![0x12, 1].into(), Malformed::NotPlaying),
        ];
        for (message, malformed) in table {
            let gamer = Gamer::watch(program.address).await;
            gamer.socket.sender().send(message).await.unwrap();
            assert_eq!(gamer.end().await, (malformed.code(), malformed.reason().to_owned()));
        }
        witness.next_tick().await;
        assert_eq!(witness.picture().players.len(), 1, "nothing happened to anybody else");
    });
}

#[test]
fn the_one_past_the_limit_is_told_to_come_back_later() {
    let program = Program::serve(&[]);
    play(async {
        let mut gamers = Vec::new();
        for number in 0..PLAYERS_MAX {
            gamers.push(Gamer::enter(program.address, &format!("p{number}")).await);
        }
        let late = Gamer::watch(program.address).await;
        late.say_name("late").await;
        let (code, reason) = late.end().await;
        assert_eq!((code, &*reason), (1013, "the arena is full: 64 play already, and no more than 64 may"));

        // Whoever only watches may still come, and sees when a place is free.
        let mut watching = Gamer::watch(program.address).await;
        watching
            .until(|viewer| viewer.picture.as_ref().is_some_and(|picture| picture.players.len() == 64))
            .await;
        gamers.pop();
        watching
            .until(|viewer| viewer.picture.as_ref().is_some_and(|picture| picture.players.len() == 63))
            .await;
        watching.say_name("late").await;
        watching.until(|viewer| viewer.you.is_some()).await;
    });
}

/// One player asks for answers and reads none. Others miss nothing; it misses some ticks, asks for everything, and plays on.
#[test]
fn who_falls_behind_gets_everything_anew_and_holds_up_nobody() {
    let program = Program::serve(&[]);
    play(async {
        let mut quick = Gamer::enter(program.address, "quick").await;
        let small = TcpSocket::new_v4().unwrap();
        small.set_recv_buffer_size(4096).unwrap();
        let small = small.connect(program.address).await.unwrap();
        let config = Config::default().with_inbox_bytes_max(4096).with_outbox_bytes_max(64 * 1024);
        let client = Client::new().with_config(config);
        let socket = client.connect_over(small, &format!("ws://{}/game", program.address)).await.unwrap();
        let mut slow = Gamer { socket, viewer: Viewer::default() };
        slow.say_name("slow").await;
        slow.until(|viewer| viewer.you.is_some()).await;

        // How long it takes until it is behind by more than waits for it, the kernels decide: so it is tried with more and
        // more, up to what the server lets pass before it thinks the line dead.
        let mut ticks = 40;
        while !slow.viewer.is_behind() {
            for _ in 0..ticks {
                quick.next_tick().await;
                while slow.socket.sender().try_send(ClientFrame::Ping(7).encode()).is_ok() {}
            }
            ticks = (2 * ticks).min(320);
            let now = quick.picture().tick;
            while slow.picture().tick < now && slow.hear().await.1 != Viewed::Gap {}
        }
        slow.say(&ClientFrame::Resync).await;
        slow.until(|viewer| !viewer.is_behind()).await;
        for _ in 0..10 {
            slow.next_tick().await;
        }
        let id = slow.you();
        quick.until(|viewer| viewer.picture.as_ref().unwrap().tick >= slow.picture().tick).await;
        let before = quick.place(id);
        slow.steer(inwards(before)).await;
        quick
            .until(|viewer| viewer.picture.as_ref().unwrap().players[&id].place.x.abs_diff(before.x) > 400)
            .await;
    });
}

#[cfg(unix)]
#[test]
fn a_server_that_stops_tells_players_to_come_back() {
    let mut program = Program::serve(&[]);
    play(async {
        let ada = Gamer::enter(program.address, "Ada").await;
        program.signal("TERM");
        assert_eq!(ada.end().await.0, 1001);
    });
    assert!(program.wait().success());
}

#[test]
fn the_game_is_for_the_same_pages_as_everything_else() {
    let program = Program::serve(&["--allow-origin", "https://friend.example"]);
    let open = |headers: &str| Peer::open(program.address, "/game", headers).map(drop);
    let own = format!("Origin: http://{}\r\n", program.address);
    assert_eq!(open(&own), Ok(()));
    assert_eq!(open("Origin: https://friend.example\r\n"), Ok(()));
    for headers in ["Origin: https://evil.example\r\n", "Origin: null\r\n"] {
        let answer = open(headers).expect_err("refused");
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    let page = program.request(&format!("GET /game HTTP/1.1\r\nHost: {}\r\n\r\n", program.address));
    assert!(
        page.starts_with("HTTP/1.1 200 ") && page.contains("text/html"),
        "the page has the same address: {page}"
    );
}
