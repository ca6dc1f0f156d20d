//! Redirects, where they are allowed: which are followed, and what goes along (spec.md, B13).
#![cfg(feature = "tls")]

#[path = "support/authority.rs"]
mod authority;
#[path = "support/proxies.rs"]
mod proxies;
#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::sync::Arc;
use std::time::Duration;

use authority::{Authority, LOCAL, accept, foreign_server};
use futures_util::FutureExt;
use proxies::head_of;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use scripted::{Asked, Scripted};
use sotong::tls::ClientTls;
use sotong::{
    Client, ConnectDeadline, ConnectError, ConnectTimeouts, Proxy, RedirectError, TunnelError, UrlError,
    WebSocket,
};
use support::soon;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinHandle;

const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A server that speaks `ws:` or `wss:`.
struct Station {
    scripted: Scripted,
    tls: Option<ServerConfig>,
}

impl Station {
    async fn plain() -> Station {
        Station { scripted: Scripted::start().await, tls: None }
    }

    async fn secure(authority: &Authority) -> Station {
        let tls = Some(foreign_server(&authority.issue(LOCAL)));
        Station { scripted: Scripted::start().await, tls }
    }

    fn origin(&self) -> String {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        format!("{scheme}://{}", self.scripted.address)
    }

    /// The next request, and the stream to answer it on.
    async fn asked(&self) -> (String, Box<dyn Stream>) {
        let stream = self.scripted.accept().await;
        let mut stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some(config) => Box::new(accept(config.clone(), stream).await.expect("the client trusts it")),
        };
        (head_of(&mut stream).await, stream)
    }

    /// Answers the next request, whose head it returns.
    async fn answer(&self, answer: impl AsRef<[u8]>) -> String {
        let (head, mut stream) = self.asked().await;
        stream.write_all(answer.as_ref()).await.expect("the client reads");
        stream.shutdown().await.expect("the client reads");
        head
    }

    /// Says yes to the next request, whose head it returns.
    async fn open(&self) -> (String, Box<dyn Stream>) {
        let (head, mut stream) = self.asked().await;
        let [key] = fields(&head, "Sec-WebSocket-Key")[..] else { panic!("one key: {head}") };
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            scripted::accept(key)
        );
        stream.write_all(answer.as_bytes()).await.expect("the client reads");
        (head, stream)
    }

    fn nobody_came(&self) {
        assert!(self.scripted.listener.accept().now_or_never().is_none(), "somebody came");
    }
}

fn fields<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    lines.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} x\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

/// With everything that may be a secret, and some that is not.
fn client(authority: &Authority) -> Client {
    let roots = authority.pem();
    let tls =
        ClientTls::new().without_platform_roots().with_roots_pem(roots.as_bytes()).expect("PEM of ours");
    let headers = [
        ("Authorization", "Bearer secret"),
        ("Cookie", "a=secret"),
        ("Proxy-Authorization", "Basic secret"),
        ("X-Key", "secret"),
        ("Origin", "https://page.example"),
        ("user-agent", "test"),
    ];
    let client = Client::new().with_tls(tls).with_redirects_max(3);
    headers
        .into_iter()
        .fold(client, |client, (name, value)| client.with_header(name, value).expect("a header"))
}

fn start(client: &Client, url: &str) -> JoinHandle<Result<WebSocket, ConnectError>> {
    tokio::spawn(client.connect(url))
}

async fn error(connecting: JoinHandle<Result<WebSocket, ConnectError>>) -> ConnectError {
    let error = soon(connecting).await.expect("no panic").expect_err("it is not followed");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("secret"), "{shown}");
    error
}

/// What a head shows of secrets and the rest.
fn check(head: &str, with_secrets: bool) {
    let present = |name: &str| !fields(head, name).is_empty();
    for name in ["Authorization", "Cookie", "Proxy-Authorization", "X-Key"] {
        assert_eq!(present(name), with_secrets, "{name}: {head}");
    }
    assert_eq!(head.contains("secret"), with_secrets, "{head}");
    assert!(present("Origin") && present("User-Agent"), "{head}");
}

#[tokio::test]
async fn b13_each_status_from_each_scheme_to_each_place() {
    let authority = Authority::new("ours");
    let client = client(&authority);
    for status in STATUSES {
        for from_tls in [false, true] {
            for to_tls in [false, true] {
                let station = async |tls: bool| match tls {
                    true => Station::secure(&authority).await,
                    false => Station::plain().await,
                };
                let (from, to) = (station(from_tls).await, station(to_tls).await);
                let what = format!("{status} from {} to {}", from.origin(), to.origin());

                // To another origin.
                let connecting = start(&client, &format!("{}/first", from.origin()));
                let head = from.answer(&redirect(status, &format!("{}/second?q", to.origin()))).await;
                check(&head, true);
                if from_tls && !to_tls {
                    let error = error(connecting).await;
                    let ConnectError::Redirect { host, answer, error } = &error else { panic!("{error:?}") };
                    assert_eq!((host, answer.status()), (&from.scripted.address.to_string(), status));
                    assert_eq!(*error, RedirectError::Downgrade, "{what}");
                    to.nobody_came();
                } else {
                    let (head, _stream) = to.open().await;
                    assert!(head.starts_with("GET /second?q HTTP/1.1\r\n"), "{what}: {head}");
                    assert_eq!(fields(&head, "Host"), [to.scripted.address.to_string()], "{what}");
                    check(&head, false);
                    soon(connecting).await.expect("no panic").expect("connected");
                }

                // To the same one, in each way to write that.
                for location in ["/second", "second", &format!("{}/second", from.origin())] {
                    let connecting = start(&client, &format!("{}/first", from.origin()));
                    check(&from.answer(&redirect(status, location)).await, true);
                    let (head, _stream) = from.open().await;
                    assert!(head.starts_with("GET /second HTTP/1.1\r\n"), "{what}: {head}");
                    check(&head, true);
                    soon(connecting).await.expect("no panic").expect("connected");
                }
            }
        }
    }
}

/// A server that knows of nothing but HTTP writes `http:`.
#[tokio::test]
async fn b13_http_and_https_mean_ws_and_wss() {
    let authority = Authority::new("ours");
    let client = client(&authority);
    let (plain, secure) = (Station::plain().await, Station::secure(&authority).await);
    let connecting = start(&client, &plain.origin());
    plain.answer(&redirect(301, &format!("http://{}/a", plain.scripted.address))).await;
    plain.answer(&redirect(308, &format!("https://{}/b", secure.scripted.address))).await;
    let (head, _stream) = secure.open().await;
    assert!(head.starts_with("GET /b HTTP/1.1\r\n"), "{head}");
    soon(connecting).await.expect("no panic").expect("connected");
    let connecting = start(&client, &secure.origin());
    secure.answer(&redirect(302, &format!("http://{}/a", plain.scripted.address))).await;
    let error = error(connecting).await;
    assert!(matches!(error, ConnectError::Redirect { error: RedirectError::Downgrade, .. }), "{error:?}");
}

/// A name and the address behind it are two origins, and so are two ports and a subdomain.
#[tokio::test]
async fn b13_an_origin_is_scheme_host_and_port_letter_by_letter() {
    let authority = Authority::new("ours");
    let client = client(&authority);
    let station = Station::plain().await;
    let port = station.scripted.address.port();
    let connecting = start(&client, &station.origin());
    check(&station.answer(&redirect(301, &format!("ws://localhost:{port}/"))).await, true);
    let (head, _stream) = station.open().await;
    check(&head, false);
    soon(connecting).await.expect("no panic").expect("connected");
}

/// Whoever leads back has chosen the path: secrets do not come back.
#[tokio::test]
async fn b13_secrets_do_not_come_back_when_another_origin_leads_back() {
    let authority = Authority::new("ours");
    let client = client(&authority);
    let (first, other) = (Station::plain().await, Station::plain().await);
    let url = format!("ws://user:secret@{}/", first.scripted.address);
    let connecting = start(&client, &url);
    check(&first.answer(&redirect(307, &other.origin())).await, true);
    check(&other.answer(&redirect(307, &first.origin())).await, false);
    check(&first.answer(&redirect(307, "/again")).await, false);
    let (head, _stream) = first.open().await;
    check(&head, false);
    soon(connecting).await.expect("no panic").expect("connected");
}

/// The user name in the URL stays on its origin, and a server does not choose one for us.
#[tokio::test]
async fn b13_the_users_name_of_the_url_stays_on_its_origin() {
    let client = Client::new().with_redirects_max(3);
    let (first, other) = (Station::plain().await, Station::plain().await);
    let url = format!("ws://user:p%40ss@{}/", first.scripted.address);
    let mine = "Basic dXNlcjpwQHNz"; // user:p@ss
    let connecting = start(&client, &url);
    let theirs = format!("ws://theirs:theirs@{}/x", first.scripted.address);
    assert_eq!(fields(&first.answer(&redirect(302, &theirs)).await, "Authorization"), [mine]);
    let theirs = format!("ws://theirs:theirs@{}/x", other.scripted.address);
    assert_eq!(fields(&first.answer(&redirect(302, &theirs)).await, "Authorization"), [mine]);
    let (head, _stream) = other.open().await;
    assert_eq!(fields(&head, "Authorization"), [""; 0]);
    soon(connecting).await.expect("no panic").expect("connected");
}

/// Who we are is told by a certificate as well as by a password.
#[tokio::test]
async fn b13_a_client_certificate_is_shown_to_the_first_origin_only() {
    let authority = Authority::new("ours");
    let (roots, pair) = (authority.pem(), authority.issue_client("me"));
    let tls = ClientTls::new()
        .without_platform_roots()
        .with_roots_pem(roots.as_bytes())
        .and_then(|tls| tls.with_client_certificate(pair.chain.as_bytes(), pair.key.as_bytes()))
        .expect("PEM of ours");
    let client = Client::new().with_tls(tls).with_redirects_max(5);
    let asking = asking_server(&authority);
    let (first, other) = (Scripted::start().await, Scripted::start().await);
    // Whether a certificate came with the next request.
    let answer = async |station: &Scripted, location: &str| {
        let mut stream = accept(asking.clone(), station.accept().await).await.expect("the client trusts it");
        let _head = head_of(&mut stream).await;
        let is_shown = stream.get_ref().1.peer_certificates().is_some();
        stream.write_all(redirect(302, location).as_bytes()).await.expect("the client reads");
        stream.shutdown().await.expect("the client reads");
        is_shown
    };
    let connecting = start(&client, &format!("wss://{}/", first.address));
    assert!(answer(&first, "/again").await, "it was meant for this one");
    assert!(answer(&first, &format!("wss://{}/", other.address)).await, "also after a redirect");
    assert!(!answer(&other, &format!("wss://{}/", first.address)).await, "not for that one");
    assert!(!answer(&first, "ftp://a/").await, "nor any more");
    error(connecting).await;
}

/// A server that asks for a client's certificate, and takes whoever has none.
fn asking_server(authority: &Authority) -> ServerConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority.pem().as_bytes()) {
        roots.add(certificate.expect("PEM of ours")).expect("a certificate of ours");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
        .allow_unauthenticated()
        .build()
        .expect("there is a root");
    let (chain, key) = authority.issue(LOCAL).parts();
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers for all versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .expect("a good pair")
}

#[tokio::test]
async fn b13_as_many_as_were_allowed_and_not_one_more() {
    let station = Station::plain().await;
    for max in [1, 3] {
        let client = Client::new().with_redirects_max(max);
        // As many.
        let connecting = start(&client, &station.origin());
        for _ in 0..max {
            station.answer(&redirect(302, "/")).await;
        }
        let _open = station.open().await;
        soon(connecting).await.expect("no panic").expect("connected");
        // One more, in a circle.
        let connecting = start(&client, &station.origin());
        for _ in 0..=max {
            station.answer(&redirect(302, "/")).await;
        }
        let error = error(connecting).await;
        let ConnectError::Redirect { answer, error: reason, .. } = &error else { panic!("{error:?}") };
        assert_eq!((answer.status(), reason), (302, &RedirectError::TooMany { max }));
        assert!(error.to_string().contains(&format!("more than {max} redirects")), "{error}");
        station.nobody_came();
    }
}

#[tokio::test]
async fn b13_a_location_that_leads_nowhere_is_told() {
    let client = Client::new().with_redirects_max(3);
    let reason = async |answer: &str| {
        let station = Station::plain().await;
        let connecting = start(&client, &station.origin());
        station.answer(answer).await;
        match error(connecting).await {
            ConnectError::Redirect { error, .. } => error,
            other => panic!("{answer}: {other:?}"),
        }
    };
    assert_eq!(reason("HTTP/1.1 302 x\r\nContent-Length: 0\r\n\r\n").await, RedirectError::NoLocation);
    assert_eq!(reason(&redirect(302, "")).await, RedirectError::NoLocation);
    let two = "HTTP/1.1 302 x\r\nLocation: /a\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(reason(two).await, RedirectError::Ambiguous);
    let ftp = RedirectError::Location(UrlError::Scheme { scheme: "ftp".to_owned() });
    assert_eq!(reason(&redirect(302, "ftp://secret@example.com/")).await, ftp);
    for location in
        ["https://", "ws://exa mple/", "ws://a:70000/", "ws://a:0/", "mailto:secret@a", "ws://[::1/"]
    {
        let reason = reason(&redirect(302, location)).await;
        assert!(matches!(reason, RedirectError::Location(_)), "{location}: {reason:?}");
    }
    let reason_of_tab = reason(&redirect(302, "/a\tb")).await;
    assert_eq!(reason_of_tab, RedirectError::Location(UrlError::Control { position: 2 }));
    let station = Station::plain().await;
    let connecting = start(&client, &station.origin());
    station.answer(b"HTTP/1.1 302 x\r\nLocation: /\xff\r\nContent-Length: 0\r\n\r\n").await;
    let error = error(connecting).await;
    assert!(error.to_string().contains("not UTF-8"), "{error}");
}

/// Others of the same hundred are no redirects, and are told as what they are.
#[tokio::test]
async fn b13_other_statuses_are_refusals() {
    let client = Client::new().with_redirects_max(3);
    for status in [300, 304, 305, 306, 309, 201, 401] {
        let station = Station::plain().await;
        let connecting = start(&client, &station.origin());
        station.answer(&redirect(status, "/elsewhere")).await;
        let error = error(connecting).await;
        assert!(matches!(&error, ConnectError::Refused(refused) if refused.status() == status), "{error:?}");
        station.nobody_came();
    }
}

#[tokio::test]
async fn b13_all_stations_share_the_deadline_of_the_whole() {
    let total = Duration::from_millis(150);
    let timeouts = ConnectTimeouts::default().with_total(total);
    let client = Client::new().with_redirects_max(u32::MAX).with_timeouts(timeouts);
    let station = Station::plain().await;
    let connecting = start(&client, &station.origin());
    // In a circle for as long as somebody comes.
    let ended = async {
        loop {
            station.answer(&redirect(302, "/")).await;
        }
    };
    let error = tokio::select! {
        () = ended => unreachable!("it goes on for ever"),
        error = error(connecting) => error,
    };
    let ConnectError::Timeout { deadline, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*deadline, ConnectDeadline::Total(total));
}

/// Each station is reached through the proxy anew.
#[tokio::test]
async fn b13_redirects_go_through_the_proxy_as_well() {
    let proxy = Scripted::start().await;
    let named = Proxy::parse(&format!("http://{}", proxy.address)).expect("a proxy");
    let client = Client::new().with_redirects_max(1).with_proxy(named);
    let connecting = start(&client, "ws://one.invalid/");
    let mut asked = proxy.request().await;
    assert_eq!(asked.request_line(), "CONNECT one.invalid:80 HTTP/1.1");
    asked.stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("the client reads");
    drop(Asked::read(asked.stream).await.say(redirect(302, "//two.invalid:81/x")).await);
    let asked = proxy.request().await;
    assert_eq!(asked.request_line(), "CONNECT two.invalid:81 HTTP/1.1");
    // A proxy's own redirect is none: what it says is not the server's word.
    drop(asked.say(redirect(302, "ws://three.invalid/")).await);
    let error = error(connecting).await;
    let ConnectError::Proxy { error: TunnelError::Refused(refused), .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(refused.status(), 302);
}
