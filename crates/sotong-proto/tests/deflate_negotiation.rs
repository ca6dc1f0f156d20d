//! Which offers of permessage-deflate a server accepts, and which answers a client (RFC 7692, section 7.1). The names
//! begin with the ids of the checklist that the project keeps.

mod deflated;
mod pair;

use deflated::{agree, answer, bits, check, offer};
use sotong_proto::handshake::ResponseError;
use sotong_proto::{Compression, WindowBits};

const SHARED: Compression = Compression::shared();
const WINDOWED: Compression = Compression::windowed();

fn wide() -> Compression {
    WINDOWED.with_window_bits(WindowBits::MAX)
}

/// The header's value, if the server accepts.
fn line(compression: Compression, offers: &[&str]) -> Option<String> {
    answer(compression, offers).map(|(line, _)| line)
}

#[track_caller]
fn problem(compression: Compression, answers: &[&str]) -> &'static str {
    match check(compression, answers) {
        Err(ResponseError::Compression { problem, .. }) => problem,
        other => panic!("{answers:?}: {other:?}"),
    }
}

const BAD: [&str; 22] = [
    "unknown",
    "unknown=1",
    "Server_no_context_takeover",
    "server_no_context_takeover=1",
    "server_no_context_takeover=true",
    "client_no_context_takeover=0",
    "server_no_context_takeover; server_no_context_takeover",
    "client_no_context_takeover; client_no_context_takeover",
    "server_max_window_bits",
    "server_max_window_bits=7",
    "server_max_window_bits=16",
    "server_max_window_bits=08",
    "server_max_window_bits=+9",
    "server_max_window_bits=0x9",
    "server_max_window_bits=99999999999999999999",
    "server_max_window_bits=10; server_max_window_bits=10",
    "client_max_window_bits=7",
    "client_max_window_bits=16",
    "client_max_window_bits=1000",
    "client_max_window_bits=09",
    "client_max_window_bits; client_max_window_bits=10",
    "client_max_window_bits=10; unknown",
];

#[test]
fn d1_a_server_declines_what_is_malformed_and_tries_the_next_offer() {
    for compression in [SHARED, WINDOWED, wide()] {
        for bad in BAD {
            let bad = format!("permessage-deflate; {bad}");
            assert_eq!(line(compression, &[&bad]), None, "{bad}");
            let both = format!("{bad}, permessage-deflate; server_max_window_bits=9");
            let accepted = line(compression, &[&both]).expect("the second offer");
            assert!(accepted.contains("server_max_window_bits=9"), "{both}: {accepted}");
            // The same in lines of their own, with another extension between them.
            let lines =
                [bad.as_str(), "x-other; permessage-deflate", "permessage-deflate; server_max_window_bits=9"];
            assert_eq!(line(compression, &lines), Some(accepted));
        }
        assert_eq!(line(compression, &[]), None);
        assert_eq!(line(compression, &["x-webkit-deflate-frame", "permessage-bzip2"]), None);
    }
}

#[test]
fn d1_the_first_good_offer_counts() {
    let offers =
        "permessage-deflate; server_max_window_bits=11, permessage-deflate; server_max_window_bits=8";
    assert_eq!(line(wide(), &[offers]).as_deref(), Some("permessage-deflate; server_max_window_bits=11"));
}

#[test]
fn d2_a_client_fails_the_connection_on_an_answer_that_is_none() {
    for compression in [SHARED, WINDOWED, wide()] {
        for bad in BAD {
            let bad =
                format!("permessage-deflate; server_no_context_takeover; server_max_window_bits=12; {bad}");
            problem(compression, &[&bad]);
        }
    }
    let good = "permessage-deflate; server_no_context_takeover";
    assert_eq!(check(SHARED, &[good]).map(|deflate| deflate.is_some()), Ok(true));
    for two in [format!("{good}, {good}"), format!("{good}, x-other"), format!("x-other, {good}")] {
        problem(SHARED, &[&two]);
    }
    assert!(matches!(check(SHARED, &[good, good]), Err(ResponseError::Repeated { .. })));
    problem(SHARED, &["permessage-deflate; server_no_context_takeover; ="]);
    assert_eq!(problem(SHARED, &["x-other"]), "an extension that was not offered");
    assert_eq!(check(SHARED, &[]), Ok(None));
}

#[test]
fn d3_d4_server_no_context_takeover_is_echoed_and_obeyed() {
    for compression in [SHARED, WINDOWED, wide()] {
        let (line, deflate) =
            answer(compression, &["permessage-deflate; server_no_context_takeover"]).expect("accepted");
        assert!(line.contains("; server_no_context_takeover"), "{line}");
        assert!(!deflate.send_takeover());
    }
    // Unasked it is added where the mode wants it.
    assert!(
        line(SHARED, &["permessage-deflate"]).is_some_and(|line| line.contains("server_no_context_takeover"))
    );
    assert!(line(wide(), &["permessage-deflate"]).is_some_and(|line| !line.contains("no_context_takeover")));
    // A client must cope with it unasked, and insists on it where it has asked.
    let deflate =
        check(wide(), &["permessage-deflate; server_no_context_takeover"]).expect("fine").expect("some");
    assert!(!deflate.receive_takeover());
    assert!(offer(SHARED).contains("; server_no_context_takeover"));
    assert_eq!(
        problem(SHARED, &["permessage-deflate"]),
        "server_no_context_takeover was asked for and is missing"
    );
}

#[test]
fn d5_client_no_context_takeover_is_a_hint_and_an_order() {
    let (said, deflate) =
        answer(wide(), &["permessage-deflate; client_no_context_takeover"]).expect("accepted");
    assert_eq!(said, "permessage-deflate; client_no_context_takeover");
    assert!(!deflate.receive_takeover() && deflate.send_takeover());
    assert!(
        line(SHARED, &["permessage-deflate"]).is_some_and(|line| line.contains("client_no_context_takeover"))
    );
    let deflate =
        check(wide(), &["permessage-deflate; client_no_context_takeover"]).expect("fine").expect("some");
    assert!(!deflate.send_takeover() && deflate.receive_takeover());
}

#[test]
fn d6_server_max_window_bits_of_all_sizes() {
    for offered in 8..=15 {
        let offer = format!("permessage-deflate; server_max_window_bits={offered}");
        for wanted in 8..=15 {
            let compression = WINDOWED.with_window_bits(bits(wanted));
            let (said, deflate) = answer(compression, &[&offer]).expect("accepted");
            assert!(said.contains(&format!("; server_max_window_bits={}", offered.min(wanted))), "{said}");
            assert_eq!(deflate.send_window_bits(), bits(offered.min(wanted)));
            // Unasked, where the server wants less than the client has.
            let said = line(compression, &["permessage-deflate"]).expect("accepted");
            assert_eq!(said.contains("server_max_window_bits"), wanted < 15, "{said}");
        }
    }
    // A client that did not ask copes with any; one that did, with none above.
    for answered in 8..=15 {
        let answer = format!("permessage-deflate; server_max_window_bits={answered}");
        let deflate = check(wide(), &[&answer]).expect("fine").expect("some");
        assert_eq!(deflate.receive_window_bits(), bits(answered));
        let asked = WINDOWED.with_window_bits(bits(11));
        match check(asked, &[&answer]) {
            Ok(Some(deflate)) => assert_eq!(deflate.receive_window_bits(), bits(answered.min(11))),
            other => assert!(answered > 11, "{other:?}"),
        }
    }
    assert_eq!(
        problem(WINDOWED, &["permessage-deflate"]),
        "server_max_window_bits was asked for and is missing"
    );
}

#[test]
fn d7_client_max_window_bits_only_if_offered_and_never_above() {
    for wanted in 8..=15 {
        let compression = WINDOWED.with_window_bits(bits(wanted));
        // Not offered: not answered. What cannot be limited is not kept, if it would be more than wanted.
        let (said, deflate) = answer(compression, &["permessage-deflate"]).expect("accepted");
        assert!(!said.contains("client_max_window_bits"), "{said}");
        assert_eq!(deflate.receive_takeover(), wanted == 15);
        assert_eq!(said.contains("client_no_context_takeover"), wanted < 15);
        // Offered without a value, and with one. Not below 9 unasked: zlib has no window of 8 bits to compress with.
        let wanted = wanted.max(9);
        let (said, deflate) =
            answer(compression, &["permessage-deflate; client_max_window_bits"]).expect("accepted");
        assert_eq!(said.contains(&format!("client_max_window_bits={wanted}")), wanted < 15, "{said}");
        assert!(deflate.receive_takeover());
        for offered in 8..=15 {
            let offer = format!("permessage-deflate; client_max_window_bits={offered}");
            let (said, deflate) = answer(compression, &[&offer]).expect("accepted");
            let least = offered.min(wanted);
            assert_eq!(said.contains(&format!("client_max_window_bits={least}")), least < 15, "{said}");
            assert_eq!(deflate.receive_window_bits(), bits(least));
        }
    }
    // In an answer it has a value, which is not above the offered one.
    assert_eq!(offer(wide()), "permessage-deflate; client_max_window_bits");
    assert!(offer(WINDOWED).contains("client_max_window_bits=12"));
    let rest = "permessage-deflate; server_max_window_bits=12";
    assert_eq!(
        problem(WINDOWED, &[&format!("{rest}; client_max_window_bits")]),
        "client_max_window_bits has no value"
    );
    for answered in 8..=15 {
        match check(WINDOWED, &[&format!("{rest}; client_max_window_bits={answered}")]) {
            Ok(Some(deflate)) => assert_eq!(deflate.send_window_bits(), bits(answered.min(12))),
            other => assert!(answered > 12, "{other:?}"),
        }
    }
}

#[test]
fn d9_quoted_values() {
    let said =
        line(wide(), &["permessage-deflate; client_max_window_bits=\"10\"; server_max_window_bits=\"1\\1\""]);
    assert_eq!(
        said.as_deref(),
        Some("permessage-deflate; server_max_window_bits=11; client_max_window_bits=10")
    );
    let answer = "permessage-deflate; client_max_window_bits=\"9\"";
    let deflate = check(wide(), &[answer]).expect("fine").expect("some");
    assert_eq!(deflate.send_window_bits(), bits(9));
}

#[test]
fn what_our_ends_agree_on_is_the_same_at_both() {
    let mut settings = vec![SHARED];
    settings.extend((8..=15).map(|wanted| WINDOWED.with_window_bits(bits(wanted))));
    settings.extend((8..=15).map(|wanted| SHARED.with_window_bits(bits(wanted))));
    for client in &settings {
        for server in &settings {
            let (of_client, of_server) = agree(*client, *server);
            // A sender may do with less than the receiver keeps, never with more.
            for (sends, receives) in [(of_client, of_server), (of_server, of_client)] {
                assert!(receives.receive_takeover() || !sends.send_takeover(), "{client:?} {server:?}");
                assert!(sends.send_window_bits() <= receives.receive_window_bits(), "{client:?} {server:?}");
            }
        }
    }
}

/// CVE-2020-7662 and others: the time for a header of crafted parameters grew with its square. There is no clock here; with
/// squares these would take hours.
#[test]
fn long_values_are_read_in_linear_time() {
    let escaped = "permessage-deflate; client_max_window_bits=\"\\1\\6\", ".repeat(15_000);
    let parameters = ["permessage-deflate", &"; client_max_window_bits=15".repeat(30_000), ", "].concat();
    let long = ["permessage-deflate; x=\"", &"\\a".repeat(400_000), "\", "].concat();
    for declined in [escaped, parameters, long] {
        assert!(declined.len() > 750_000);
        assert_eq!(line(SHARED, &[&declined]), None);
        assert!(line(SHARED, &[&(declined + "permessage-deflate")]).is_some());
    }
}
