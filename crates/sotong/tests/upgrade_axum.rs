//! The extractor for axum: a real server of axum's, asked by hand.
#![cfg(feature = "axum")]

#[path = "support/plain.rs"]
mod plain;
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use sotong::axum::{UpgradeError, WebSocketUpgrade};
use sotong::{Accept, Closed, Config, Error, Events, MessageRef, Request, Sender, Server, WebSocket};
use support::{Peer, TEXT, frame, handshake, read_head, soon};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

async fn echo(mut socket: WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

struct Echo;

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        socket.try_send(message).expect("there is room");
    }
}

/// axum at work on a port of its own.
struct App {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl App {
    async fn start(app: Router) -> App {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.expect("axum serves") });
        App { address, task }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn echoes() -> Router {
    Router::new()
        .route("/pull", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo)))
        .route("/events", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade_events(Echo)))
}

async fn connect(address: SocketAddr, target: &str, headers: &str) -> Peer {
    let peer = Peer::request(address, target, headers).await;
    assert!(peer.head.starts_with("HTTP/1.1 101 "), "{}", peer.head);
    peer
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let looking = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(support::SOON, looking).await.is_ok(), "not in time: {what}");
}

async fn both_forms_echo(address: SocketAddr) {
    for target in ["/pull", "/events"] {
        let mut peer = connect(address, target, "").await;
        peer.text("hello").await;
        peer.expect_text("hello").await;
        let large = vec![7; 1 << 20];
        peer.send(support::BINARY, &large).await;
        assert!(peer.next().await.expect("an answer").payload == large);
        peer.send(support::PING, b"are you there").await;
        assert_eq!(peer.next().await.expect("a pong").payload, b"are you there");
        peer.close().await;
    }
}

#[tokio::test]
async fn both_forms_echo_on_one_thread() {
    let app = App::start(echoes()).await;
    both_forms_echo(app.address).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_forms_echo_on_many_threads() {
    let app = App::start(echoes()).await;
    let peers: Vec<_> = (0..8).map(|_| tokio::spawn(both_forms_echo(app.address))).collect();
    for peer in peers {
        soon(peer).await.expect("each is served");
    }
}

#[tokio::test]
async fn the_answer_is_the_one_of_the_rfc() {
    let app = App::start(echoes()).await;
    let peer = connect(app.address, "/pull", "").await;
    let head = peer.head.to_ascii_lowercase();
    assert!(head.contains("upgrade: websocket\r\n") && head.contains("connection: upgrade\r\n"), "{head}");
    assert!(peer.head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    assert!(!head.contains("content-length") && !head.contains("content-type"), "{head}");
}

#[tokio::test]
async fn frames_in_the_packet_of_the_request_are_kept() {
    let app = App::start(echoes()).await;
    for target in ["/pull", "/events"] {
        let mut bytes = handshake(app.address, target, "").into_bytes();
        bytes.extend(frame(TEXT, true, b"first"));
        let second = frame(TEXT, true, b"second");
        bytes.extend(&second[..3]);
        let mut stream = TcpStream::connect(app.address).await.expect("it listens");
        stream.write_all(&bytes).await.expect("it reads");
        let head = read_head(&mut stream).await;
        let mut peer = Peer { stream, head };
        peer.expect_text("first").await;
        peer.raw(&second[3..]).await;
        peer.expect_text("second").await;
        peer.close().await;
    }
}

#[tokio::test]
async fn the_connection_gets_the_socket_itself() {
    let (report, mut reports) = mpsc::unbounded_channel();
    let app = Router::new().route(
        "/",
        any(async move |upgrade: WebSocketUpgrade| {
            upgrade.on_upgrade(async move |socket: WebSocket| {
                report.send(socket.sender()).expect("the test listens");
                echo(socket).await
            })
        }),
    );
    // No `ConnectInfo` here: only the socket knows the address.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a listener has an address");
    let served = tokio::spawn(async move { axum::serve(listener, app).await });
    let peer = connect(address, "/", "").await;
    let sender = soon(reports.recv()).await.expect("a connection opened");
    assert_eq!(sender.peer_addr(), Some(peer.stream.local_addr().expect("it is connected")));
    peer.close().await;
    served.abort();
}

/// What is refused, and what the answer says, in one form: names in lower case, sorted, without what axum adds.
fn answer_of(answer: &plain::Answer) -> (u16, String, Vec<String>) {
    let mut fields: Vec<String> = answer
        .head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .filter(|(name, _)| name != "date")
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    fields.sort();
    (answer.status, answer.body.clone(), fields)
}

#[tokio::test]
async fn a13_what_is_refused_is_refused_as_by_a_server_of_ours() {
    let (server, address) = support::server(Config::default()).await;
    let ours = support::Running::start(address, server.serve(echo));
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let app = App::start(Router::new().fallback(async move |upgrade: WebSocketUpgrade| {
        count.fetch_add(1, Ordering::Relaxed);
        upgrade.on_upgrade(echo)
    }))
    .await;
    let good = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let edits = [
        ("Upgrade: websocket\r\n", "", 426),
        ("Upgrade: websocket", "Upgrade: h2c", 426),
        ("Connection: Upgrade", "Connection: keep-alive", 400),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8", 426),
        ("Sec-WebSocket-Version: 13\r\n", "", 426),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", 400),
        ("GET", "POST", 405),
        ("\r\n\r\n", "\r\nOrigin: http://evil.example\r\n\r\n", 403),
        ("\r\n\r\n", "\r\nOrigin: null\r\n\r\n", 403),
        ("Host: 127.0.0.1\r\n", "Host: evil.example\r\nOrigin: http://evil.example\r\n", 403),
        ("\r\n\r\n", "\r\nSec-WebSocket-Protocol: a, a\r\n\r\n", 400),
        ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: ;\r\n\r\n", 400),
        ("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello", 400),
        ("\r\n\r\n", &format!("\r\nCookie: {}\r\n\r\n", "c".repeat(16 * 1024)), 431),
        ("GET /", &format!("GET /{}", "a".repeat(8 * 1024)), 414),
    ];
    for (old, new, status) in edits {
        assert!(good.contains(old), "{old:?}");
        let request = good.replacen(old, new, 1);
        let theirs = plain::ask(app.address, &request).await;
        assert_eq!(theirs.status, status, "{new:?}: {theirs:?}");
        let ours = plain::ask(address, &request).await;
        assert_eq!(answer_of(&theirs), answer_of(&ours), "{new:?}");
    }
    // Answered in its own version by hyper.
    let old = good.replacen("HTTP/1.1", "HTTP/1.0", 1);
    let mut stream = TcpStream::connect(app.address).await.expect("it listens");
    stream.write_all(old.as_bytes()).await.expect("it reads");
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.0 400 "), "{head}");
    assert_eq!(seen.load(Ordering::Relaxed), 0, "the handler sees nothing that is refused");
    ours.stop().await;
}

/// What hyper does not tell, nobody can refuse: docs/decisions/0006-upgrades.md names both.
#[tokio::test]
async fn what_hyper_hides_is_known() {
    let app = App::start(echoes()).await;
    let twice = "Content-Length: 0\r\nContent-Length: 0\r\n";
    connect(app.address, "/pull", twice).await.close().await;
    connect(app.address, "/pull#fragment", "").await.close().await;
}

#[tokio::test]
async fn the_settings_are_those_of_a_server() {
    let upgrades = Server::detached()
        .with_allowed_origins(["https://good.example"])
        .expect("an origin")
        .with_allowed_hosts(["chat.example"])
        .expect("a name")
        .with_paths(["/pull"])
        .with_hook(|request: &Request| match request.query() {
            Some("no") => Err(sotong::Refusal::new(401, "who are you\n")),
            _ => Ok(Accept::default().with_header("X-Hook", "was here")?),
        })
        .upgrades();
    let app = App::start(echoes().layer(Extension(upgrades))).await;
    let peer = connect(app.address, "/pull", "Origin: https://good.example\r\n").await;
    assert!(peer.head.contains("x-hook: was here"), "{}", peer.head);
    let refused = async |target: &str, headers: &str| {
        plain::ask(app.address, handshake(app.address, target, headers)).await.status
    };
    assert_eq!(refused("/pull", "Origin: https://evil.example\r\n").await, 403);
    assert_eq!(refused("/events", "").await, 404);
    assert_eq!(refused("/pull?no", "").await, 401);
}

#[tokio::test]
async fn one_route_serves_a_page_or_a_websocket() {
    let app = Router::new()
        .route(
            "/both",
            any(async |upgrade: Option<WebSocketUpgrade>| match upgrade {
                Some(upgrade) => upgrade.on_upgrade(echo),
                None => "a page".into_response(),
            }),
        )
        .route(
            "/looks",
            any(async |upgrade: Result<WebSocketUpgrade, UpgradeError>| match upgrade {
                Ok(upgrade) => upgrade.on_upgrade(echo),
                Err(error) => (StatusCode::IM_A_TEAPOT, error.to_string()).into_response(),
            }),
        );
    let app = App::start(app).await;
    for target in ["/both", "/looks"] {
        let mut peer = connect(app.address, target, "").await;
        peer.text("hello").await;
        peer.expect_text("hello").await;
        peer.close().await;
    }
    let ask = async |head: String| plain::ask(app.address, head).await;
    let page = ask("GET /both HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned()).await;
    assert_eq!((page.status, &*page.body), (200, "a page"));
    // A WebSocket that is refused is no page.
    assert_eq!(ask(handshake(app.address, "/both", "Origin: http://evil.example\r\n")).await.status, 403);
    let looked = ask("GET /looks HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned()).await;
    assert_eq!((looked.status, &*looked.body), (418, "no WebSocket was asked for"));
}

#[tokio::test]
async fn sub_protocols_are_chosen_by_the_route() {
    let app = Router::new().route(
        "/",
        any(async |upgrade: WebSocketUpgrade| {
            let upgrade = upgrade.protocols(["chat.v2", "chat.v1"]);
            let chosen = upgrade.protocol().map(str::to_owned);
            upgrade.on_upgrade(async move |socket: WebSocket| {
                assert_eq!(socket.sender().protocol().map(str::to_owned), chosen);
                socket.send(chosen.unwrap_or_default()).await
            })
        }),
    );
    let app = App::start(app).await;
    for (offer, chosen) in [
        ("Sec-WebSocket-Protocol: chat.v1, chat.v2\r\n", "chat.v2"),
        ("Sec-WebSocket-Protocol: chat.v1\r\n", "chat.v1"),
        ("Sec-WebSocket-Protocol: soap\r\n", ""),
        ("", ""),
    ] {
        let mut peer = connect(app.address, "/", offer).await;
        let told = peer.head.to_ascii_lowercase().contains("sec-websocket-protocol:");
        assert_eq!(told, !chosen.is_empty(), "{}", peer.head);
        peer.expect_text(chosen).await;
        assert_eq!(peer.expect_close().await.0, 1000);
    }
}

#[tokio::test]
async fn a_choice_that_was_not_offered_is_a_500_and_not_an_upgrade() {
    let upgrades = Server::detached().with_hook(|_| Ok(Accept::default().with_protocol("mine"))).upgrades();
    let app = App::start(echoes().layer(Extension(upgrades.clone()))).await;
    let answer = plain::ask(app.address, handshake(app.address, "/pull", "")).await;
    assert_eq!(answer.status, 500, "{answer:?}");
    until("it holds nothing", || upgrades.stats().connections == 0).await;
}

#[tokio::test]
async fn a_route_may_have_limits_of_its_own() {
    let app = Router::new().route(
        "/",
        any(async |upgrade: WebSocketUpgrade| {
            upgrade.with_config(Config::default().with_message_bytes_max(4)).on_upgrade(echo)
        }),
    );
    let app = App::start(app).await;
    let mut peer = connect(app.address, "/", "").await;
    peer.text("four").await;
    peer.expect_text("four").await;
    peer.text("fives").await;
    assert_eq!(peer.expect_close().await.0, 1009);
}

#[tokio::test]
async fn nested_routers_do_not_cut_the_path_that_the_peer_asked_for() {
    let told = async |upgrade: WebSocketUpgrade| {
        let target = upgrade.request().target().to_owned();
        upgrade.on_upgrade(async move |socket: WebSocket| socket.send(target).await)
    };
    let app = App::start(Router::new().nest("/outer", Router::new().route("/inner", any(told)))).await;
    let mut peer = connect(app.address, "/outer/inner?a=%20", "").await;
    peer.expect_text("/outer/inner?a=%20").await;
}

async fn panics(mut socket: WebSocket) {
    let _ = socket.recv().await;
    panic!("as asked");
}

struct Panics;

impl Events for Panics {
    fn message(&mut self, _socket: &Sender, _message: MessageRef<'_>) {
        panic!("as asked");
    }
}

#[tokio::test]
async fn g11_a_handler_that_panics_takes_down_its_own_connection_only() {
    let before = async |upgrade: WebSocketUpgrade| -> Response {
        #[expect(unreachable_code, reason = "the closure is to return a future, if it returned")]
        upgrade.on_upgrade(|_socket: WebSocket| {
            panic!("before there is a future");
            async {}
        })
    };
    let app = echoes()
        .route("/before", any(before))
        .route("/within", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(panics)))
        .route(
            "/error",
            any(async |upgrade: WebSocketUpgrade| {
                upgrade.on_upgrade(async |_socket: WebSocket| Err::<(), _>("something of my own"))
            }),
        )
        .route("/call", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade_events(Panics)));
    let app = App::start(app).await;
    let mut bystander = connect(app.address, "/pull", "").await;
    for target in ["/before", "/within", "/error", "/call"] {
        let mut peer = connect(app.address, target, "").await;
        peer.text("now").await;
        assert_eq!(peer.expect_close().await.0, 1011, "{target}");
    }
    bystander.text("still here").await;
    bystander.expect_text("still here").await;
    bystander.close().await;
}

struct Tells(mpsc::UnboundedSender<u16>);

impl Events for Tells {
    fn message(&mut self, _socket: &Sender, _message: MessageRef<'_>) {}
    fn close(&mut self, closed: &Arc<Closed>) {
        self.0.send(closed.code()).expect("the test listens");
    }
}

#[tokio::test]
async fn a_shutdown_closes_with_1001_and_waits_for_handlers() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (end, mut ended) = mpsc::unbounded_channel();
    let upgrades = Server::detached().upgrades();
    let app = Router::new()
        .route("/events", any(async move |upgrade: WebSocketUpgrade| upgrade.on_upgrade_events(Tells(tell))))
        .route(
            "/pull",
            any(async move |upgrade: WebSocketUpgrade| {
                upgrade.on_upgrade(async move |mut socket: WebSocket| {
                    while socket.recv().await?.is_some() {}
                    tokio::task::yield_now().await;
                    end.send(()).expect("the test listens");
                    Ok::<(), Error>(())
                })
            }),
        )
        .layer(Extension(upgrades.clone()));
    let app = App::start(app).await;
    let peers = [connect(app.address, "/events", "").await, connect(app.address, "/pull", "").await];
    until("both count", || upgrades.stats().connections == 2).await;
    let shutdown = {
        let upgrades = upgrades.clone();
        tokio::spawn(async move { upgrades.shutdown(Duration::ZERO).await })
    };
    for mut peer in peers {
        assert_eq!(peer.expect_close().await.0, 1001);
    }
    soon(shutdown).await.expect("it did not panic");
    assert_eq!(told.try_recv(), Ok(1001));
    assert_eq!(ended.try_recv(), Ok(()), "it waited for the handler");
    assert_eq!(upgrades.stats().connections, 0);
    let answer = plain::ask(app.address, handshake(app.address, "/pull", "")).await;
    assert_eq!((answer.status, &*answer.body), (503, "the server shuts down\n"));
    // Once more changes nothing.
    soon(upgrades.shutdown(Duration::ZERO)).await;
}

#[tokio::test]
async fn an_upgrade_that_never_comes_about_holds_nothing() {
    let (called, mut calls) = mpsc::unbounded_channel::<()>();
    let config = Config::default().with_handshake_timeout(Duration::from_millis(50));
    let upgrades = Server::detached().with_config(config).upgrades();
    let route = any(async move |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async move |_socket: WebSocket| {
            called.send(()).expect("the test listens");
        })
    });
    // A middleware that makes another response of it, on a connection that stays open.
    let replaced = map_response(async |_: Response| "not today");
    let app = Router::new()
        .route("/replaced", route.layer(replaced))
        .route("/dropped", get(async |upgrade: WebSocketUpgrade| drop(upgrade)))
        .layer(Extension(upgrades.clone()));
    let app = App::start(app).await;
    for target in ["/replaced", "/dropped"] {
        let peer = Peer::request(app.address, target, "").await;
        assert!(peer.head.starts_with("HTTP/1.1 200 "), "{}", peer.head);
        until("it holds nothing", || upgrades.stats().connections == 0).await;
        drop(peer);
    }
    soon(upgrades.shutdown(Duration::ZERO)).await;
    calls.try_recv().expect_err("no handler was called");
}

#[tokio::test]
async fn what_has_gone_leaves_no_task_behind() {
    let config = Config::default().with_handshake_timeout(Duration::from_millis(100));
    let upgrades = Server::detached().with_config(config).upgrades();
    let app = echoes().route(
        "/replaced",
        any(async |upgrade: WebSocketUpgrade| {
            drop(upgrade.on_upgrade(echo));
            "not today"
        }),
    );
    let app = App::start(app.layer(Extension(upgrades.clone()))).await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    tokio::task::yield_now().await;
    let before = tasks();
    for round in 0..50 {
        for target in ["/pull", "/events"] {
            let mut peer = connect(app.address, target, "").await;
            peer.text("hello").await;
            peer.expect_text("hello").await;
            // Some say good-bye, some just go.
            if round % 2 == 0 {
                peer.close().await;
            }
        }
        drop(Peer::request(app.address, "/replaced", "").await);
        let refused = handshake(app.address, "/pull", "Origin: http://evil.example\r\n");
        assert_eq!(plain::ask(app.address, refused).await.status, 403);
    }
    until("nothing is left", || upgrades.stats().connections == 0 && tasks() == before).await;
    assert_eq!(upgrades.stats().buffered_bytes, 0);
}

#[tokio::test]
async fn there_are_no_more_connections_than_the_settings_allow() {
    let upgrades = Server::detached().with_connections_max(1).upgrades();
    let app = App::start(echoes().layer(Extension(upgrades.clone()))).await;
    let first = connect(app.address, "/pull", "").await;
    let answer = plain::ask(app.address, handshake(app.address, "/pull", "")).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    first.close().await;
    until("there is room again", || upgrades.stats().connections == 0).await;
    connect(app.address, "/pull", "").await.close().await;
}

#[tokio::test]
async fn limits_per_address_and_trusted_proxies_go_by_the_connect_info() {
    let upgrades = Server::detached()
        .with_connections_per_ip_max(1)
        .with_trusted_proxies(["127.0.0.1"])
        .expect("an address")
        .upgrades();
    let app = Router::new()
        .route(
            "/",
            any(async |upgrade: WebSocketUpgrade| {
                upgrade.on_upgrade(async |socket: WebSocket| {
                    let client = socket.sender().client_ip().map(|ip| ip.to_string());
                    socket.send(client.unwrap_or_default()).await?;
                    echo(socket).await
                })
            }),
        )
        .layer(Extension(upgrades));
    let app = App::start(app).await;
    let mut first = connect(app.address, "/", "X-Forwarded-For: 192.0.2.1\r\n").await;
    first.expect_text("192.0.2.1").await;
    let mut second = connect(app.address, "/", "X-Forwarded-For: 192.0.2.2\r\n").await;
    second.expect_text("192.0.2.2").await;
    let again = handshake(app.address, "/", "X-Forwarded-For: 192.0.2.1\r\n");
    assert_eq!(plain::ask(app.address, again).await.status, 429);
}

/// axum answers HTTP/2 on the same port, and tells clients that it knows extended CONNECT.
#[tokio::test]
async fn a_websocket_over_http_2_is_refused_with_a_clear_text() {
    use http_body_util::{BodyExt, Empty};
    use hyper::body::Bytes;
    use hyper::ext::Protocol;
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let app = App::start(echoes().route(
        "/both",
        any(async |upgrade: Option<WebSocketUpgrade>| match upgrade {
            Some(upgrade) => upgrade.on_upgrade(echo),
            None => "a page".into_response(),
        }),
    ))
    .await;
    let stream = TcpStream::connect(app.address).await.expect("it listens");
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2 is spoken");
    let connection = tokio::spawn(connection);
    for (method, path, status, says) in [
        ("CONNECT", "/pull", 505, "RFC 8441"),
        ("GET", "/pull", 505, "HTTP/1.1"),
        ("CONNECT", "/both", 505, "RFC 8441"),
        ("GET", "/both", 200, "a page"),
    ] {
        let mut request = hyper::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", app.address))
            .header("sec-websocket-version", "13")
            .body(Empty::<Bytes>::new())
            .expect("a request");
        if method == "CONNECT" {
            request.extensions_mut().insert(Protocol::from_static("websocket"));
        }
        soon(client.ready()).await.expect("it is open");
        let response = soon(client.send_request(request)).await.expect("an answer");
        assert_eq!(response.status(), status, "{method} {path}");
        let body = soon(response.into_body().collect()).await.expect("a body").to_bytes();
        assert!(String::from_utf8_lossy(&body).contains(says), "{method} {path}: {body:?}");
    }
    connection.abort();
}
