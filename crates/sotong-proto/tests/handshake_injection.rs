//! What an application says in a handshake, with every control character at every place (CVE-2020-35678,
//! CVE-2026-1527): none of it writes a line of its own, on either side.

use sotong_proto::handshake::{
    Accept, ClientHandshake, ClientRequest, Offer, Progress, Refusal, ServerHandshake,
};
use sotong_proto::{Config, Time};

/// Everything that could end a line, fold it, or end a string; the tab is legal in values only.
fn controls() -> impl Iterator<Item = char> {
    (0..0x20_u8).chain([0x7f]).map(char::from)
}

/// A word with each attack at its beginning, in its middle and at its end.
fn attacks() -> Vec<String> {
    let folds = ["\r\n", "\r\n ", "\r\n\t", "\n ", "\n\t", "\r ", "\r\n\r\n", "\r\nX-Evil: 1\r\n"];
    let pieces = controls().map(String::from).chain(folds.map(str::to_owned));
    pieces.flat_map(|piece| [format!("{piece}ab"), format!("a{piece}b"), format!("ab{piece}")]).collect()
}

fn request() -> ClientRequest {
    ClientRequest::new("server.example", "/chat").expect("a good request")
}

fn written(request: ClientRequest) -> Vec<u8> {
    ClientHandshake::new(request, [7; 16], &Config::default(), Time::ZERO).request_bytes().to_vec()
}

fn offer() -> Offer {
    let asked = written(request().with_protocol("ab").expect("a token"));
    match ServerHandshake::new(&Config::default(), Time::ZERO).receive(&asked) {
        Progress::Request(offer) => offer,
        other => panic!("{other:?}"),
    }
}

fn lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

#[test]
fn b4_b5_no_control_character_gets_into_a_request() {
    for attack in attacks() {
        let tab_only = attack.contains('\t') && !attack.contains(['\r', '\n']);
        assert_eq!(request().with_header("X-A", &*attack).is_ok(), tab_only, "{attack:?} as a value");
        assert!(request().with_header(&*attack, "v").is_err(), "{attack:?} as a name");
        assert!(request().with_protocol(&*attack).is_err(), "{attack:?} as a sub-protocol");
        assert!(ClientRequest::new(&*attack, "/").is_err(), "{attack:?} as a host");
        assert!(ClientRequest::new("a", format!("/{attack}")).is_err(), "{attack:?} as a target");
    }
}

#[test]
fn a12_a13_no_control_character_gets_into_an_answer() {
    for attack in attacks() {
        let tab_only = attack.contains('\t') && !attack.contains(['\r', '\n']);
        assert_eq!(Accept::default().with_header("X-A", &*attack).is_ok(), tab_only, "{attack:?}");
        assert!(Accept::default().with_header(&*attack, "v").is_err(), "{attack:?} as a name");
        assert_eq!(Refusal::new(403, "").with_header("X-A", &*attack).is_ok(), tab_only, "{attack:?}");
        assert!(Refusal::new(403, "").with_header(&*attack, "v").is_err(), "{attack:?} as a name");
        // A sub-protocol is one that was offered, and those are tokens.
        assert!(offer().accept(Accept::default().with_protocol(&*attack)).is_err(), "{attack:?}");
    }
}

/// Characters whose last byte would be CR, LF or NUL if somebody wrote one byte for each (CVE-2016-2216), and line ends
/// of Unicode.
#[test]
fn characters_are_not_cut_down_to_line_ends() {
    let (plain, answered) =
        (lines(&written(request())), lines(&offer().accept(Accept::default()).expect("yes").response));
    for attack in ["嘊", "嘍", "č", "Ċ", "Ā", "\u{85}", "\u{2028}", "a嘍嘊X-Evil:嘠1"] {
        let asked = request().with_header("X-A", attack).expect("obs-text is legal in values");
        assert_eq!(lines(&written(asked)), plain + 1, "{attack:?}");
        let accept = Accept::default().with_header("X-A", attack).expect("obs-text is legal in values");
        assert_eq!(lines(&offer().accept(accept).expect("yes").response), answered + 1, "{attack:?}");
        let refusal = |headers: Refusal| headers.to_bytes();
        let with = Refusal::new(403, "").with_header("X-A", attack).expect("obs-text is legal in values");
        assert_eq!(lines(&refusal(with)), lines(&refusal(Refusal::new(403, ""))) + 1, "{attack:?}");
        assert!(request().with_protocol(attack).is_err(), "{attack:?} is no token");
        assert!(ClientRequest::new(attack, "/").is_err(), "{attack:?} is no host");
        assert!(ClientRequest::new("a", format!("/{attack}")).is_err(), "{attack:?} is not ASCII");
    }
}
