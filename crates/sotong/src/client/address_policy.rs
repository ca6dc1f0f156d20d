//! Which addresses a client may connect to, for URLs that come from strangers.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};
use url::Host;

use super::endpoint;

/// Which addresses a [`Client`](crate::Client) may connect to: for programs that connect to URLs which their users write.
///
/// Without one, whoever gives a program a URL can have it talk to what only the program can reach: a database on
/// 127.0.0.1, a router, the metadata service of a cloud at 169.254.169.254 (server-side request forgery, SSRF). A check of
/// the URL does not help, because a name leads where its owner wants, and somewhere else a second later. This one is asked
/// about the address that is dialled, after the name was resolved and before anything is sent, at the first URL and at each
/// redirect. Of a name with several addresses the refused ones are left out.
///
/// [`public`](Self::public) refuses all addresses that the internet does not route: private, loopback, link-local, shared
/// (100.64.0.0/10), multicast, reserved and documentation ranges, after the registries of IANA (RFC 6890). IPv4 inside of
/// IPv6 is looked at as what it is: `::ffff:127.0.0.1`, and NAT64 at 64:ff9b::/96. 6to4, Teredo and NAT64 with prefixes of
/// a network's own for local use (64:ff9b:1::/48) are refused. Networks of yours can be
/// [allowed](Self::with_allowed) or [refused](Self::with_refused) besides.
///
/// What it cannot see: a network that translates public addresses to private ones (NAT64 with a prefix from its own public
/// range, a firewall's NAT), and, with [`connect_over`](crate::Client::connect_over), a stream that was connected elsewhere.
///
/// # Proxies
///
/// A proxy that you or the environment named is dialled wherever it is. Behind it, an address in the URL is looked at
/// as always. A name is resolved at the proxy, so nobody here knows where it leads: it is refused, unless
/// [`with_names_for_proxies`](Self::with_names_for_proxies) says that the proxy has rules of its own.
///
/// ```
/// use sotong::{AddressPolicy, Client};
///
/// let policy = AddressPolicy::public().with_allowed(["10.20.0.0/16"])?;
/// assert!(policy.allows("192.0.46.9".parse()?) && policy.allows("10.20.1.1".parse()?));
/// assert!(!policy.allows("127.0.0.1".parse()?) && !policy.allows("::ffff:10.0.0.1".parse()?));
/// let client = Client::new().with_address_policy(policy);
/// # let _ = client;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressPolicy {
    allowed: Vec<IpNet>,
    refused: Vec<IpNet>,
    names_behind_proxies: NamesBehindProxies,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamesBehindProxies {
    Refused,
    Allowed,
}

impl AddressPolicy {
    /// Only addresses that the whole internet can reach.
    pub fn public() -> Self {
        AddressPolicy {
            allowed: Vec::new(),
            refused: Vec::new(),
            names_behind_proxies: NamesBehindProxies::Refused,
        }
    }

    /// Allows these, too: addresses (`10.1.2.3`) and networks (`10.0.0.0/8`, `fd00::/8`).
    ///
    /// # Errors
    /// When one of them is neither.
    pub fn with_allowed<N: AsRef<str>>(
        mut self,
        networks: impl IntoIterator<Item = N>,
    ) -> Result<Self, AddressPolicyError> {
        for each in networks {
            self.allowed.push(network(each.as_ref())?);
        }
        Ok(self)
    }

    /// Refuses these, too, also where [`with_allowed`](Self::with_allowed) allows them: servers of your own with public
    /// addresses, say.
    ///
    /// # Errors
    /// When one of them is neither an address nor a network.
    pub fn with_refused<N: AsRef<str>>(
        mut self,
        networks: impl IntoIterator<Item = N>,
    ) -> Result<Self, AddressPolicyError> {
        for each in networks {
            self.refused.push(network(each.as_ref())?);
        }
        Ok(self)
    }

    /// Lets a proxy resolve names and connect to whatever they lead to: for a proxy that refuses private addresses itself.
    /// Default: such a connect is refused.
    #[must_use]
    pub fn with_names_for_proxies(mut self) -> Self {
        self.names_behind_proxies = NamesBehindProxies::Allowed;
        self
    }

    /// Whether a client with this policy may connect to that address.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let inside = match address {
            IpAddr::V6(address) => nat64(address).map(IpAddr::V4),
            IpAddr::V4(_) => None,
        };
        let is_in = |networks: &[IpNet]| {
            networks.iter().any(|network| {
                network.contains(&address) || inside.is_some_and(|inside| network.contains(&inside))
            })
        };
        let is_public = || match address {
            IpAddr::V4(address) => is_public_v4(address),
            IpAddr::V6(address) => is_public_v6(address),
        };
        !is_in(&self.refused) && (is_in(&self.allowed) || is_public())
    }

    /// Leaves in `addresses` what may be dialled, in its order, and returns the rest.
    ///
    /// # Errors
    /// When nothing is left.
    pub(super) fn sift(&self, addresses: &mut Vec<SocketAddr>) -> Result<Vec<IpAddr>, AddressError> {
        let refused = addresses.extract_if(.., |address| !self.allows(address.ip()));
        let refused: Vec<IpAddr> = refused.map(|address| address.ip()).collect();
        if addresses.is_empty() { Err(AddressError::Refused { addresses: refused }) } else { Ok(refused) }
    }

    /// Whether a proxy may be asked for that host.
    pub(super) fn check_behind_proxy(&self, host: &Host<String>) -> Result<(), AddressError> {
        match endpoint::address(host) {
            Some(address) if self.allows(address) => Ok(()),
            Some(address) => Err(AddressError::Refused { addresses: vec![address] }),
            None if self.names_behind_proxies == NamesBehindProxies::Allowed => Ok(()),
            None => Err(AddressError::BehindProxy),
        }
    }
}

fn network(text: &str) -> Result<IpNet, AddressPolicyError> {
    let error = || AddressPolicyError { text: text.to_owned() };
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(IpNet::from(address.to_canonical())),
        Err(_) => match text.parse::<IpNet>() {
            // What has bits behind its prefix was meant otherwise, one way or the other.
            Ok(network) if network.addr() == network.network() => Ok(canonical(network)),
            _ => Err(error()),
        },
    }
}

/// A network of IPv4-mapped addresses (RFC 4291, section 2.5.5.2) as the IPv4 network that it is: addresses are looked at in
/// that form.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let inside = mapped.addr().to_ipv4_mapped().zip(mapped.prefix_len().checked_sub(96));
    inside.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok()).map_or(network, IpNet::V4)
}

/// The IPv4 address inside of a well-known NAT64 address (RFC 6052, section 2.1).
fn nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            let [.., a, b, c, d] = address.octets();
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

/// The IPv4 Special-Purpose Address Registry of IANA, what is not "globally reachable" in it; and multicast.
fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127 | 224..=255, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

/// What IANA has given out for the internet, 2000::/3, without the special ranges in it.
fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inside) = nat64(address) {
        return is_public_v4(inside);
    }
    match address.segments() {
        // Protocol assignments, Teredo among them; documentation, twice; 6to4.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] | [0x2002, ..] => false,
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

/// A text that is neither an address nor a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressPolicyError {
    text: String,
}

impl fmt::Display for AddressPolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is neither an address (192.0.2.1) nor a network (10.0.0.0/8, fd00::/8)", self.text)
    }
}

impl std::error::Error for AddressPolicyError {}

/// Why an [`AddressPolicy`] lets nothing be sent.
///
/// It shows where a name leads: not for whoever wrote the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressError {
    /// None of the host's addresses is allowed.
    Refused {
        /// All of them.
        addresses: Vec<IpAddr>,
    },
    /// A proxy would resolve the name, so nobody here knows the address.
    BehindProxy,
}

/// How many addresses an error shows: a name may stand for very many.
const SHOWN_MAX: usize = 8;

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddressError::Refused { addresses } => {
                f.write_str("the address policy refuses ")?;
                for (index, address) in addresses.iter().take(SHOWN_MAX).enumerate() {
                    write!(f, "{}{address}", if index == 0 { "" } else { ", " })?;
                }
                match addresses.len().saturating_sub(SHOWN_MAX) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
            AddressError::BehindProxy => f.write_str(
                "the address policy refuses a name that a proxy would resolve \
                 (AddressPolicy::with_names_for_proxies lets it)",
            ),
        }
    }
}

impl std::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap_or_else(|_| panic!("an address: {text}"))
    }

    #[test]
    fn of_a_mixed_list_what_is_public_is_left_in_its_order() {
        let at = |text: &str| SocketAddr::new(ip(text), 443);
        let mut addresses: Vec<SocketAddr> =
            ["10.0.0.1", "2001:4860::1", "::1", "8.8.8.8", "::ffff:127.0.0.1", "9.9.9.9", "fe80::1"]
                .map(at)
                .into();
        let policy = AddressPolicy::public();
        let refused = policy.sift(&mut addresses).expect("some are public");
        assert_eq!(addresses, ["2001:4860::1", "8.8.8.8", "9.9.9.9"].map(at));
        assert_eq!(refused, ["10.0.0.1", "::1", "::ffff:127.0.0.1", "fe80::1"].map(ip));
        let mut addresses = vec![at("192.168.0.1"), at("fd00::1")];
        let error = policy.sift(&mut addresses).expect_err("none is");
        assert!(addresses.is_empty());
        assert_eq!(error.to_string(), "the address policy refuses 192.168.0.1, fd00::1");
    }

    #[test]
    fn an_error_shows_some_of_very_many_addresses() {
        let of = |count: u8| AddressError::Refused {
            addresses: (1..=count).map(|last| IpAddr::from([10, 0, 0, last])).collect(),
        };
        let eight = of(8).to_string();
        assert!(eight.ends_with("10.0.0.7, 10.0.0.8"), "{eight}");
        assert_eq!(of(200).to_string(), format!("{eight} and 192 more"));
    }

    #[test]
    fn a_network_of_mapped_addresses_is_the_network_inside() {
        let policy = AddressPolicy::public().with_refused(["::ffff:8.8.8.0/120"]).expect("a network");
        for (text, is_allowed) in [
            ("8.8.8.0", false),
            ("8.8.8.255", false),
            ("::ffff:8.8.8.1", false),
            ("8.8.7.255", true),
            ("8.8.9.0", true),
        ] {
            assert_eq!(policy.allows(ip(text)), is_allowed, "{text}");
        }
    }

    /// Both ends of each range, and what is beside them.
    #[test]
    fn ranges_end_where_the_registries_say() {
        let policy = AddressPolicy::public();
        for (first, last, before, after) in [
            ("0.0.0.0", "0.255.255.255", None, Some("1.0.0.0")),
            ("10.0.0.0", "10.255.255.255", Some("9.255.255.255"), Some("11.0.0.0")),
            ("100.64.0.0", "100.127.255.255", Some("100.63.255.255"), Some("100.128.0.0")),
            ("127.0.0.0", "127.255.255.255", Some("126.255.255.255"), Some("128.0.0.0")),
            ("169.254.0.0", "169.254.255.255", Some("169.253.255.255"), Some("169.255.0.0")),
            ("172.16.0.0", "172.31.255.255", Some("172.15.255.255"), Some("172.32.0.0")),
            ("192.0.0.0", "192.0.0.255", Some("191.255.255.255"), Some("192.0.1.0")),
            ("192.0.2.0", "192.0.2.255", Some("192.0.1.255"), Some("192.0.3.0")),
            ("192.88.99.0", "192.88.99.255", Some("192.88.98.255"), Some("192.88.100.0")),
            ("192.168.0.0", "192.168.255.255", Some("192.167.255.255"), Some("192.169.0.0")),
            ("198.18.0.0", "198.19.255.255", Some("198.17.255.255"), Some("198.20.0.0")),
            ("198.51.100.0", "198.51.100.255", Some("198.51.99.255"), Some("198.51.101.0")),
            ("203.0.113.0", "203.0.113.255", Some("203.0.112.255"), Some("203.0.114.0")),
            ("224.0.0.0", "255.255.255.255", Some("223.255.255.255"), None),
            ("::", "1fff:ffff::", None, Some("2000::")),
            ("2001::", "2001:1ff:ffff::", Some("2000:ffff::"), Some("2001:200::")),
            ("2001:db8::", "2001:db8:ffff::", Some("2001:db7:ffff::"), Some("2001:db9::")),
            ("2002::", "2002:ffff::", Some("2001:ffff::"), Some("2003::")),
            ("3fff::", "3fff:fff:ffff::", Some("3ffe:ffff::"), Some("3fff:1000::")),
            ("4000::", "ffff:ffff::", Some("3fff:ffff::"), None),
        ] {
            for inside in [first, last] {
                assert!(!policy.allows(ip(inside)), "{inside}");
            }
            for beside in [before, after].into_iter().flatten() {
                assert!(policy.allows(ip(beside)), "{beside}");
            }
        }
    }

    #[test]
    fn every_way_to_write_a_private_address_is_one() {
        let policy = AddressPolicy::public();
        for address in [
            "::1",
            "::",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2002:7f00:1::",
            "2001:0:7f00:1::",
            "100::1",
            "5f00::1",
        ] {
            assert!(!policy.allows(ip(address)), "{address}");
        }
        for address in ["8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2606:4700::1111", "2a00::1"] {
            assert!(policy.allows(ip(address)), "{address}");
        }
    }

    #[test]
    fn networks_are_allowed_and_refused_besides_and_refusing_wins() {
        let policy = AddressPolicy::public()
            .with_allowed(["10.1.0.0/16", "127.0.0.1", "fd00::/8"])
            .and_then(|policy| policy.with_refused(["10.1.2.0/24", "8.8.8.8"]))
            .expect("networks");
        for address in ["10.1.0.1", "::ffff:10.1.0.1", "64:ff9b::10.1.0.1", "127.0.0.1", "fd01::1", "9.9.9.9"]
        {
            assert!(policy.allows(ip(address)), "{address}");
        }
        for address in ["10.2.0.1", "10.1.2.3", "127.0.0.2", "8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
        {
            assert!(!policy.allows(ip(address)), "{address}");
        }
        for text in ["", "x", "10.0.0.0/33", "10.0.0.1/8", "example.com", "10.0.0"] {
            let error = AddressPolicy::public().with_allowed([text]).expect_err(text);
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
            assert_eq!(AddressPolicy::public().with_refused([text]), Err(error));
        }
    }
}
