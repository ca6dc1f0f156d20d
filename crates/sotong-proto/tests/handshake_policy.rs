//! A8: who may connect. Cross-site WebSocket hijacking and DNS rebinding.

use sotong_proto::handshake::{
    HostPolicy, OriginPolicy, PolicyError, Progress, Refusal, Request, ServerHandshake, danger,
};
use sotong_proto::{Config, Time};

fn request_to(target: &str, host: &str, origin: Option<&str>) -> Request {
    let origin = origin.map_or(String::new(), |origin| format!("Origin: {origin}\r\n"));
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\n{origin}Upgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    match ServerHandshake::new(&Config::default(), Time::ZERO).receive(head.as_bytes()) {
        Progress::Request(offer) => offer.request().clone(),
        other => panic!("{head}: {other:?}"),
    }
}

fn check(policy: &OriginPolicy, host: &str, origin: &str) -> Result<(), Refusal> {
    policy.check(&request_to("/", host, Some(origin)))
}

#[track_caller]
fn assert_refused(policy: &OriginPolicy, host: &str, origin: &str, says: &str) {
    let refusal = check(policy, host, origin).expect_err(&format!("{origin} must not reach {host}"));
    assert_eq!(refusal.status(), 403);
    assert!(refusal.body().contains(says), "{refusal}");
}

#[test]
fn a8_without_origin_it_is_not_a_browser() {
    for host in ["localhost", "evil.example", "10.0.0.1:80"] {
        assert_eq!(OriginPolicy::default().check(&request_to("/", host, None)), Ok(()));
    }
}

#[test]
fn a8_own_pages_at_a_known_host_pass() {
    let policy = OriginPolicy::default().with_allowed_host("Chat.Example").expect("a name");
    for (host, origin) in [
        ("localhost:8000", "http://localhost:8000"),
        ("LocalHost:8000", "HTTP://LOCALHOST:8000"),
        ("app.localhost", "http://app.localhost"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("192.168.1.7", "http://192.168.1.7"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("[2001:DB8::1]", "https://[2001:db8::1]"),
        ("chat.example", "https://chat.example"),
        // Default ports, written or not, of the scheme that the browser sees.
        ("chat.example:443", "https://chat.example"),
        ("chat.example", "https://chat.example:443"),
        ("chat.example:80", "http://chat.example"),
        ("chat.example:", "http://chat.example:80"),
    ] {
        assert_eq!(check(&policy, host, origin), Ok(()), "{origin} to {host}");
    }
}

#[test]
fn a8_pages_of_others_are_refused() {
    let policy = OriginPolicy::default().with_allowed_host("example.com").expect("a name");
    for (host, origin) in [
        ("example.com", "http://evil-example.com"),
        ("example.com", "http://example.com.evil"),
        ("example.com", "http://evil.example.com"),
        ("example.com", "http://example.co"),
        ("example.com", "http://xample.com"),
        ("example.com", "http://example.com."),
        ("example.com.", "http://example.com"),
        // ports
        ("example.com", "http://example.com:8080"),
        ("example.com:8080", "http://example.com"),
        ("example.com:80", "https://example.com"),
        ("example.com:443", "http://example.com"),
        ("localhost:8000", "http://localhost:3000"),
        ("localhost:8000", "http://127.0.0.1:8000"),
        ("127.0.0.1", "http://[::1]"),
        ("[::1]", "http://[::2]"),
        // what is no origin
        ("example.com", "null"),
        ("null", "null"),
        ("example.com", ""),
        ("example.com", "example.com"),
        ("example.com", "//example.com"),
        ("example.com", "://example.com"),
        ("example.com", "http://example.com/"),
        ("example.com", "http://example.com?"),
        ("example.com", "http://example.com#"),
        ("example.com", "http://example.com@evil.example"),
        ("example.com", "http://evil.example@example.com"),
        ("example.com", "http://user:pw@example.com"),
        ("example.com", "http://example.com:80:80"),
        ("example.com", "http://example.com\\.evil.example"),
        ("example.com", "http://example.com http://evil.example"),
        ("example.com", "http://example.com, http://evil.example"),
        // other schemes
        ("example.com", "file://example.com"),
        ("example.com", "ws://example.com"),
        ("localhost", "chrome-extension://localhost"),
    ] {
        assert_refused(&policy, host, origin, "--allow-origin");
    }
}

#[test]
fn a8_dns_rebinding_is_refused() {
    // The page's own name points to our address: origin and host agree, on a name that is not ours.
    let policy = OriginPolicy::default().with_allowed_host("example.com").expect("a name");
    for name in [
        "evil.example",
        "evil.example:8000",
        "localhost.",
        "localhost.evil.example",
        "evil-localhost",
        "127.0.0.1.evil.example",
        "127.0.0.1.",
        "2130706433",
        "0x7f.1",
        "evil-example.com",
        "example.com.evil",
        "sub.example.com",
        "example.com.",
        ".example.com",
    ] {
        assert_refused(&policy, name, &format!("http://{name}"), "--allow-host");
    }
}

#[test]
fn a8_the_host_of_an_absolute_target_is_the_one_that_counts() {
    // RFC 9112, section 3.2.2: the Host header is ignored then.
    let policy = OriginPolicy::default();
    let request = request_to("http://evil.example/", "localhost", Some("http://localhost"));
    assert_eq!(request.host(), "evil.example");
    assert_eq!(policy.check(&request).map_err(|refusal| refusal.status()), Err(403));
    let request = request_to("http://localhost:8000/", "localhost:8000", Some("http://localhost:8000"));
    assert_eq!(policy.check(&request), Ok(()));
}

#[test]
fn a8_an_allowed_origin_passes_whatever_the_host() {
    let policy = OriginPolicy::default()
        .with_allowed_origin("https://Example.com")
        .and_then(|policy| policy.with_allowed_origin("http://dev.example:3000"))
        .and_then(|policy| policy.with_allowed_origin("moz-extension://0a1b"))
        .expect("origins");
    for origin in [
        "https://example.com",
        "https://example.com:443",
        "HTTPS://EXAMPLE.COM",
        "http://dev.example:3000",
        "moz-extension://0a1b",
    ] {
        assert_eq!(check(&policy, "anything.example", origin), Ok(()), "{origin}");
    }
    for origin in [
        "http://example.com",
        "https://example.com:444",
        "https://evil-example.com",
        "https://example.com.evil",
        "https://example.com.",
        "https://a.example.com",
        "https://x@example.com",
        "http://dev.example",
        "moz-extension://0a1b:80",
        "chrome-extension://0a1b",
        "null",
    ] {
        assert_refused(&policy, "anything.example", origin, "--allow-origin");
    }
}

#[test]
fn a8_null_only_if_it_is_named() {
    let policy = OriginPolicy::default().with_allowed_origin("null").expect("a special case");
    assert_eq!(check(&policy, "example.com", "null"), Ok(()));
    assert_refused(&policy, "example.com", "http://null", "--allow-origin");
    assert_refused(&policy, "example.com", "", "--allow-origin");
}

#[test]
fn a8_any_origin_is_a_danger() {
    for origin in ["http://evil.example", "null", "nonsense", ""] {
        assert_eq!(check(&danger::any_origin(), "example.com", origin), Ok(()));
    }
}

#[test]
fn a8_the_refusal_shows_what_came_escaped() {
    let refusal = check(&OriginPolicy::default(), "localhost", "http://<b>\"").expect_err("not an origin");
    assert_eq!(
        refusal.body(),
        "origin \"http://\\x3cb\\x3e\\\"\" is not allowed here; \
         it can be allowed with with_allowed_origin (--allow-origin)\n"
    );
}

#[test]
fn options_that_are_none_are_told() {
    for origin in
        ["", "*", "example.com", "https://", "https://example.com/", "https://*.example.com", "https://a b"]
    {
        let error = OriginPolicy::default().with_allowed_origin(origin);
        assert_eq!(error, Err(PolicyError::Origin { origin: origin.to_owned() }));
    }
    for host in
        ["", "*", "*.example.com", "example.com:80", "example.com:", "http://example.com", "a b", "a/b"]
    {
        assert_eq!(
            HostPolicy::default().with_allowed_host(host),
            Err(PolicyError::Host { host: host.to_owned() })
        );
    }
}

#[test]
fn hosts_can_be_asked_for_alone() {
    let policy = HostPolicy::default().with_allowed_host("example.com").expect("a name");
    for host in ["example.com", "EXAMPLE.com:80", "localhost", "10.0.0.1:1", "[::1]"] {
        assert!(policy.is_allowed(host), "{host}");
    }
    for host in ["", "evil.example", "example.com.", "a@example.com", "::1"] {
        assert!(!policy.is_allowed(host), "{host}");
    }
}

#[test]
fn a8_a_public_origin_is_the_own_one_and_no_other() {
    let policy =
        OriginPolicy::default().with_public_origin("https://Chat.Example.com:443").expect("an origin");
    for host in ["chat.example.com", "127.0.0.1:8000", "upstream", "evil.example"] {
        for origin in ["https://chat.example.com", "HTTPS://CHAT.example.com:443"] {
            assert_eq!(check(&policy, host, origin), Ok(()), "{origin} to {host}");
        }
        for origin in [
            "http://chat.example.com",
            "https://chat.example.com:8443",
            "https://chat.example.com:80",
            "https://evil-chat.example.com",
            "https://chat.example.com.evil.example",
            "https://chat.example.com.",
            "https://example.com",
            "https://a.chat.example.com",
            "https://chat.example.com@evil.example",
            "https://evil.example#https://chat.example.com",
            "wss://chat.example.com",
            "null",
            "https://127.0.0.1:8000",
            "http://127.0.0.1:8000",
            "https://upstream",
            "https://evil.example",
            "http://evil.example",
            "",
        ] {
            assert_refused(&policy, host, origin, "is not allowed here");
        }
    }
    let policy = policy.with_allowed_origin("http://127.0.0.1:8000").expect("an origin");
    assert_eq!(check(&policy, "127.0.0.1:8000", "http://127.0.0.1:8000"), Ok(()));
}

#[test]
fn a8_a_public_origin_has_a_web_scheme_and_no_path() {
    for text in [
        "chat.example.com",
        "wss://chat.example.com",
        "https://a/b",
        "null",
        "https://*.a",
        "",
        "https://u@a",
    ] {
        let error = OriginPolicy::default().with_public_origin(text).expect_err(text);
        assert_eq!(error, PolicyError::Origin { origin: text.to_owned() });
    }
}

#[test]
fn a8_what_a_trusted_proxy_saw_counts_instead_of_host() {
    let policy = OriginPolicy::default().with_allowed_host("chat.example.com").expect("a name");
    let seen = |origin: &str, host: Option<&str>, scheme: Option<&str>| {
        let request = request_to("/", "127.0.0.1:8000", Some(origin));
        policy.check_seen_as(&request, host, scheme).map_err(|refusal| refusal.status())
    };
    let own = "https://chat.example.com";
    assert_eq!(seen(own, None, None), Err(403), "the proxy wrote its own Host");
    assert_eq!(seen(own, Some("chat.example.com"), Some("https")), Ok(()));
    assert_eq!(seen(own, Some("chat.example.com"), None), Ok(()), "the scheme is not known");
    assert_eq!(seen("http://chat.example.com", Some("chat.example.com"), Some("https")), Err(403));
    assert_eq!(seen(own, Some("chat.example.com"), Some("http")), Err(403));
    assert_eq!(seen("https://chat.example.com:8443", Some("chat.example.com:8443"), Some("https")), Ok(()));
    assert_eq!(seen("https://chat.example.com:8443", Some("chat.example.com"), Some("https")), Err(403));
    // A name that is not ours stays one, whoever says it.
    assert_eq!(seen("https://evil.example", Some("evil.example"), Some("https")), Err(403));
    assert_eq!(seen("null", Some("chat.example.com"), Some("https")), Err(403));
    assert_eq!(seen(own, Some("not a host"), Some("https")), Err(403));
    // The scheme alone makes `Host` strict.
    assert_eq!(seen("http://127.0.0.1:8000", None, Some("https")), Err(403));
    assert_eq!(seen("https://127.0.0.1:8000", None, Some("https")), Ok(()));
}
