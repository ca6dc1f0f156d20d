//! Which peers are proxies of ours, and what they may say about their clients.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use sotong_proto::handshake::Request;

use super::forwarded;

/// Which header field tells whom a trusted proxy speaks for; see
/// [`Server::with_forwarded_header`](crate::Server::with_forwarded_header).
///
/// One of them is believed and the other is not looked at, even where the two contradict each other: a proxy that
/// writes one of them passes on what the client wrote in the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, with `X-Forwarded-Proto` and `X-Forwarded-Host`: what nearly every proxy writes.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239), with its `for`, `proto` and `host`.
    Forwarded,
}

/// The peers whose word counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies {
    networks: Vec<IpNet>,
    /// Peers that have no address.
    unix: bool,
    header: ForwardedHeader,
}

/// What a trusted proxy says about a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Claims<'a> {
    /// Whose request it is.
    pub(super) client: Option<IpAddr>,
    /// Under which name the client asked for the server, with its port.
    pub(super) host: Option<Cow<'a, str>>,
    /// `https` or `http`.
    pub(super) scheme: Option<&'static str>,
}

/// What a proxy said cannot be understood; where, for the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// Something that is neither a proxy's address nor a network of proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyError {
    proxy: String,
    why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    NoNetwork,
    HostBits { network: IpNet },
    Everybody,
}

impl Proxies {
    /// Adds an address, a network or `unix`.
    pub(super) fn add(&mut self, proxy: &str) -> Result<(), ProxyError> {
        let error = |why| ProxyError { proxy: proxy.to_owned(), why };
        if proxy == "unix" {
            self.unix = true;
            return Ok(());
        }
        let network = match proxy.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address.to_canonical()),
            Err(_) => proxy.parse::<IpNet>().map_err(|_| error(Why::NoNetwork))?,
        };
        if network.prefix_len() == 0 {
            return Err(error(Why::Everybody));
        }
        if network.addr() != network.network() {
            return Err(error(Why::HostBits { network: network.trunc() }));
        }
        self.networks.push(network);
        Ok(())
    }

    pub(super) fn set_header(&mut self, header: ForwardedHeader) {
        self.header = header;
    }

    /// Whether nobody is trusted.
    pub(super) fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether a peer with this address, or without one, is a proxy of ours.
    pub(super) fn trusts(&self, address: Option<IpAddr>) -> bool {
        match address.map(|address| address.to_canonical()) {
            None => self.unix,
            Some(address) => self.networks.iter().any(|network| network.contains(&address)),
        }
    }

    /// What a trusted proxy says about the request that it passes on.
    ///
    /// The rightmost address that is no proxy of ours is the client: each proxy writes to the right of what it was
    /// given, so what stands further left is a stranger's word. If all of them are proxies, the leftmost one is.
    pub(super) fn claims<'a>(&self, request: &'a Request) -> Result<Claims<'a>, Malformed> {
        match self.header {
            ForwardedHeader::XForwardedFor => self.x_forwarded(request),
            ForwardedHeader::Forwarded => self.forwarded(request),
        }
    }

    fn x_forwarded<'a>(&self, request: &'a Request) -> Result<Claims<'a>, Malformed> {
        let lines: Vec<&[u8]> = values(request, "X-Forwarded-For").collect();
        let addresses = lines.iter().rev().flat_map(|line| line.rsplit(|&byte| byte == b','));
        let client = self.client(addresses.map(|text| {
            let text = std::str::from_utf8(text).ok()?.trim_ascii();
            // Nobody has written down what this field looks like. Most proxies write a bare address.
            text.parse::<IpAddr>()
                .ok()
                .map(|address| address.to_canonical())
                .or_else(|| forwarded::address(text))
        }));
        let client = client.map_err(|()| Malformed("X-Forwarded-For"))?;
        // Of several values the last one is the proxy's next to us.
        let last = |name| {
            let line = values(request, name).last()?;
            let text = std::str::from_utf8(line).ok()?;
            text.rsplit(',').next().map(str::trim_ascii).filter(|text| !text.is_empty())
        };
        // A proxy that does not write this field may pass on the client's, which must not spoil what the proxy does say.
        let scheme = last("X-Forwarded-Proto").and_then(web_scheme);
        Ok(Claims { client, host: last("X-Forwarded-Host").map(Cow::Borrowed), scheme })
    }

    fn forwarded<'a>(&self, request: &'a Request) -> Result<Claims<'a>, Malformed> {
        const NAME: &str = "Forwarded";
        let lines: Vec<&[u8]> = values(request, NAME).collect();
        // From the right, and no further than to the client: what stands before is whatever the client wrote.
        let hops = lines.iter().rev().flat_map(|line| match forwarded::hops(line) {
            Some(hops) => hops.into_iter().rev().map(Some).collect(),
            None => vec![None],
        });
        let mut last = None;
        let client = self.client(hops.map(|hop| {
            let hop = hop?;
            let address = forwarded::address(hop.asked_by.as_deref()?);
            last.get_or_insert(hop);
            address
        }));
        let client = client.map_err(|()| Malformed(NAME))?;
        let Some(last) = last else { return Ok(Claims::default()) };
        let scheme = match last.scheme {
            None => None,
            Some(text) => Some(web_scheme(&text).ok_or(Malformed(NAME))?),
        };
        Ok(Claims { client, host: last.host, scheme })
    }

    /// The first address, from the right, that is no proxy's, or the last one; an error when it comes to something
    /// that is no address.
    fn client(&self, addresses: impl Iterator<Item = Option<IpAddr>>) -> Result<Option<IpAddr>, ()> {
        let mut client = None;
        for address in addresses {
            let address = address.ok_or(())?;
            client = Some(address);
            if !self.trusts(client) {
                break;
            }
        }
        Ok(client)
    }
}

/// The values of all fields of that name.
fn values<'a>(request: &'a Request, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    request.headers().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn web_scheme(text: &str) -> Option<&'static str> {
    // Some proxies name the protocol that they pass on: `wss`.
    match text.to_ascii_lowercase().as_str() {
        "https" | "wss" => Some("https"),
        "http" | "ws" => Some("http"),
        _ => None,
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ProxyError { proxy, why } = self;
        match why {
            Why::NoNetwork => write!(
                f,
                "{proxy:?} is no proxy, which is an address (192.0.2.1), a network (10.0.0.0/8, fd00::/8) or unix"
            ),
            Why::HostBits { network } => {
                write!(f, "{proxy:?} is neither an address nor a network; did you mean {network}?")
            }
            Why::Everybody => {
                write!(
                    f,
                    "{proxy:?} is everybody, and everybody could then claim any address; name your proxies"
                )
            }
        }
    }
}

impl std::error::Error for ProxyError {}

#[cfg(test)]
mod tests {
    use sotong_proto::handshake::{Progress, ServerHandshake};
    use sotong_proto::{Config, Time};

    use super::*;

    fn proxies(list: &[&str]) -> Proxies {
        let mut proxies = Proxies::default();
        for proxy in list {
            proxies.add(proxy).unwrap_or_else(|error| panic!("{error}"));
        }
        proxies
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn request(fields: &str) -> Request {
        let head = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{fields}\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        let handshake = ServerHandshake::new(&Config::default(), Time::ZERO);
        match handshake.receive(head.as_bytes()) {
            Progress::Request(offer) => offer.request().clone(),
            other => panic!("{fields:?}: {other:?}"),
        }
    }

    #[test]
    fn addresses_networks_and_unix_are_trusted() {
        let proxies = proxies(&["127.0.0.1", "10.0.0.0/8", "fd00::/8", "::ffff:192.0.2.7"]);
        for trusted in ["127.0.0.1", "10.255.0.1", "fd12::1", "192.0.2.7", "::ffff:10.0.0.1"] {
            assert!(proxies.trusts(Some(ip(trusted))), "{trusted}");
        }
        for stranger in ["127.0.0.2", "11.0.0.1", "fe00::1", "::1", "::10.0.0.1", "192.0.2.8"] {
            assert!(!proxies.trusts(Some(ip(stranger))), "{stranger}");
        }
        assert!(!proxies.trusts(None));
        let mut with_unix = Proxies::default();
        assert!(with_unix.is_empty());
        with_unix.add("unix").expect("it is a word of the list");
        assert!(with_unix.trusts(None) && !with_unix.trusts(Some(ip("127.0.0.1"))) && !with_unix.is_empty());
    }

    #[test]
    fn what_is_no_proxy_is_told_why() {
        for (text, why) in [
            ("", "is no proxy"),
            ("localhost", "is no proxy"),
            ("10.0.0.0/33", "is no proxy"),
            ("10.0.0", "is no proxy"),
            ("Unix", "is no proxy"),
            ("127.0.0.1:80", "is no proxy"),
            ("10.1.2.3/8", "did you mean 10.0.0.0/8?"),
            ("fd00::1/8", "did you mean fd00::/8?"),
            ("0.0.0.0/0", "everybody"),
            ("::/0", "everybody"),
        ] {
            let error = Proxies::default().add(text).expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    fn client(proxies: &Proxies, fields: &str) -> Result<Option<String>, Malformed> {
        Ok(proxies.claims(&request(fields))?.client.map(|address| address.to_string()))
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_is_the_client() {
        let proxies = proxies(&["10.0.0.0/8", "fd00::/8"]);
        for (values, wanted) in [
            (&["192.0.2.1"][..], Some("192.0.2.1")),
            // What the client wrote itself stands on the left.
            (&["127.0.0.1, 192.0.2.1"], Some("192.0.2.1")),
            (&["garbage, , 10.0.0.1, 192.0.2.1"], Some("192.0.2.1")),
            (&["203.0.113.1, 192.0.2.1, 10.0.0.1,fd00::1"], Some("192.0.2.1")),
            (&["203.0.113.1", "192.0.2.1", "10.0.0.1"], Some("192.0.2.1")),
            // A request from inside.
            (&["10.0.0.5, 10.0.0.6"], Some("10.0.0.5")),
            (&["2001:db8::1"], Some("2001:db8::1")),
            (&["[2001:db8::1]"], Some("2001:db8::1")),
            (&["[2001:db8::1]:4711"], Some("2001:db8::1")),
            (&["192.0.2.1:4711"], Some("192.0.2.1")),
            (&["::ffff:192.0.2.1"], Some("192.0.2.1")),
            (&["192.0.2.1, ::ffff:10.0.0.1"], Some("192.0.2.1")),
            (&[], None),
        ] {
            let fields: String = values.iter().map(|value| format!("X-Forwarded-For: {value}\r\n")).collect();
            assert_eq!(client(&proxies, &fields).as_ref().map(Option::as_deref), Ok(wanted), "{values:?}");
        }
    }

    #[test]
    fn what_a_trusted_proxy_cannot_have_meant_is_malformed() {
        let proxies = proxies(&["10.0.0.0/8"]);
        for value in [
            "",
            ",",
            "192.0.2.1,",
            "unknown",
            "192.0.2.1, garbage",
            "192.0.2.1 10.0.0.1",
            "192.0.2.256",
            "0x7f.1",
            "garbage, 10.0.0.1",
            "\"192.0.2.1\"",
        ] {
            let fields = format!("X-Forwarded-For: {value}\r\n");
            assert_eq!(client(&proxies, &fields), Err(Malformed("X-Forwarded-For")), "{value:?}");
        }
    }

    #[test]
    fn what_a_client_wrote_does_not_hide_what_its_proxy_says() {
        let mut proxies = proxies(&["10.0.0.0/8"]);
        let told = Ok(Some("192.0.2.1".to_owned()));
        for scheme in ["gopher", "\"", ",,"] {
            let fields = format!("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: {scheme}\r\n");
            assert_eq!(client(&proxies, &fields), told, "{scheme:?}");
        }
        proxies.set_header(ForwardedHeader::Forwarded);
        for line in ["for=\"evil", "for=a for=b", "proto=gopher", "="] {
            let fields = format!("Forwarded: {line}\r\nForwarded: for=192.0.2.1, for=10.0.0.1\r\n");
            assert_eq!(client(&proxies, &fields), told, "{line:?}");
        }
        let nothing_before = "Forwarded: for=\"evil\r\nForwarded: for=10.0.0.1\r\n";
        assert_eq!(client(&proxies, nothing_before), Err(Malformed("Forwarded")));
    }

    #[test]
    fn one_field_is_believed_and_the_other_is_not_looked_at() {
        let both = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: x.example\r\n\
                    Forwarded: for=192.0.2.2;proto=https;host=f.example\r\n";
        let mut proxies = proxies(&["10.0.0.0/8"]);
        let parts = |proxies: &Proxies| {
            let request = request(both);
            let claims = proxies.claims(&request).expect("well-formed");
            (claims.client.map(|ip| ip.to_string()), claims.host.map(Cow::into_owned), claims.scheme)
        };
        let told =
            |client: &str, host: &str, scheme| (Some(client.to_owned()), Some(host.to_owned()), Some(scheme));
        assert_eq!(parts(&proxies), told("192.0.2.1", "x.example", "http"));
        proxies.set_header(ForwardedHeader::Forwarded);
        assert_eq!(parts(&proxies), told("192.0.2.2", "f.example", "https"));
        let malformed_other = "X-Forwarded-For: garbage\r\nForwarded: for=192.0.2.2\r\n";
        assert_eq!(client(&proxies, malformed_other), Ok(Some("192.0.2.2".to_owned())));
    }

    #[test]
    fn forwarded_is_read_from_the_right_too() {
        let mut proxies = proxies(&["10.0.0.0/8"]);
        proxies.set_header(ForwardedHeader::Forwarded);
        for (fields, wanted) in [
            ("Forwarded: for=127.0.0.1, for=192.0.2.1, for=10.0.0.1\r\n", Ok(Some("192.0.2.1"))),
            ("Forwarded: for=127.0.0.1\r\nForwarded: for=\"[2001:db8::1]:80\"\r\n", Ok(Some("2001:db8::1"))),
            ("Forwarded: for=unknown, for=192.0.2.1\r\n", Ok(Some("192.0.2.1"))),
            ("Forwarded: for=192.0.2.1, for=unknown\r\n", Err(())),
            ("Forwarded: for=192.0.2.1, proto=https\r\n", Err(())),
            ("Forwarded: for=\"evil, for=192.0.2.1\r\n", Err(())),
            ("Forwarded: for=192.0.2.1;proto=gopher\r\n", Err(())),
            ("", Ok(None)),
        ] {
            let client = client(&proxies, fields).map_err(|Malformed(name)| assert_eq!(name, "Forwarded"));
            assert_eq!(
                client.as_ref().map(Option::as_deref),
                wanted.as_ref().map(|wanted| *wanted),
                "{fields}"
            );
        }
    }

    #[test]
    fn of_several_schemes_and_hosts_the_last_one_counts() {
        let proxies = proxies(&["10.0.0.0/8"]);
        let request = request(
            "X-Forwarded-Proto: http, WSS\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Host: a, b.example:8443\r\n",
        );
        let claims = proxies.claims(&request).expect("well-formed");
        assert_eq!((claims.scheme, claims.host.as_deref()), (Some("https"), Some("b.example:8443")));
    }
}
