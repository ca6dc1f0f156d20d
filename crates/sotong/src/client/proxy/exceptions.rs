//! Hosts that are reached without a proxy: `NO_PROXY`.

use std::net::IpAddr;

use ipnet::IpNet;
use url::Host;

use crate::client::endpoint::Endpoint;

/// Whether the list names the endpoint.
///
/// Nobody has written down what `NO_PROXY` looks like. Here is what either of curl and Go understands: entries between commas
/// or (as in curl) white space; a name stands for itself and for all names below it, with or without a dot or `*.` before it
/// (in Go a dot leaves the name itself out); addresses and networks stand for addresses in the URL (no name is resolved for
/// that); a port behind an entry has to be the URL's (as in Go); `*` is every host. What cannot be understood names nobody.
pub(super) fn names(list: &str, endpoint: &Endpoint) -> bool {
    list.split([',', ' ', '\t', '\r', '\n'])
        .filter(|entry| !entry.is_empty())
        .any(|entry| is_named(entry, &endpoint.host, endpoint.port))
}

fn is_named(entry: &str, host: &Host<String>, port: u16) -> bool {
    let (pattern, only_port) = split_port(entry);
    if only_port.is_some_and(|only| only != port) {
        return false;
    }
    if pattern == "*" {
        return true;
    }
    match host {
        Host::Domain(name) => is_at_or_below(name, pattern),
        Host::Ipv4(address) => has_address(pattern, IpAddr::V4(*address)),
        Host::Ipv6(address) => has_address(pattern, IpAddr::V6(*address)),
    }
}

/// The port behind an entry, if there is one. An IPv6 address has colons of its own, and a port behind it only after
/// brackets.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    let has_port = entry.contains("]:") || entry.matches(':').count() == 1;
    match entry.rsplit_once(':') {
        Some((pattern, port)) if has_port => match port.parse() {
            Ok(port) => (pattern, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

fn is_at_or_below(name: &str, pattern: &str) -> bool {
    let pattern = pattern.strip_prefix('*').unwrap_or(pattern);
    let pattern = pattern.strip_prefix('.').unwrap_or(pattern);
    // Names in a URL are ASCII in small letters already; what stands in the list is read the same way.
    let Ok(Host::Domain(pattern)) = Host::parse(pattern) else { return false };
    let bare = |name: &str| name.strip_suffix('.').unwrap_or(name).to_owned();
    let (name, pattern) = (bare(name), bare(&pattern));
    match name.strip_suffix(&pattern) {
        Some(before) => before.is_empty() || before.ends_with('.'),
        None => false,
    }
}

fn has_address(pattern: &str, address: IpAddr) -> bool {
    let pattern = pattern.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(pattern);
    let address = address.to_canonical();
    match pattern.parse::<IpAddr>() {
        Ok(only) => only.to_canonical() == address,
        Err(_) => pattern.parse::<IpNet>().is_ok_and(|network| network.contains(&address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b14_what_no_proxy_names() {
        for (list, url, expected) in [
            ("", "ws://a.example/", false),
            ("*", "ws://a.example/", true),
            ("*", "ws://[::1]/", true),
            ("*:443", "wss://a.example/", true),
            ("*:443", "wss://[2001:db8::1]/", true),
            ("*:443", "ws://a.example/", false),
            ("example", "ws://a.example/", true),
            ("a.example", "ws://a.example/", true),
            ("A.Example.", "ws://a.example/", true),
            ("a.example", "ws://a.example./", true),
            (".a.example", "ws://a.example/", true),
            ("*.a.example", "ws://b.a.example/", true),
            (".a.example", "ws://b.a.example/", true),
            ("a.example", "ws://b.a.example/", true),
            ("a.example", "ws://ba.example/", false),
            ("b.a.example", "ws://a.example/", false),
            ("소통.example", "ws://xn--9l4bo90a.example/", true),
            ("x, a.example ,y", "ws://a.example/", true),
            ("x a.example\ty", "ws://a.example/", true),
            (",,", "ws://a.example/", false),
            (".", "ws://a.example/", false),
            ("a.example:80", "ws://a.example/", true),
            ("a.example:443", "wss://a.example/", true),
            ("a.example:443", "ws://a.example/", false),
            ("a.example:x", "ws://a.example/", false),
            ("192.0.2.1", "ws://192.0.2.1/", true),
            ("192.0.2.1", "ws://192.0.2.2/", false),
            ("192.0.2.1:81", "ws://192.0.2.1/", false),
            ("192.0.2.1:81", "ws://192.0.2.1:81/", true),
            ("192.0.2.0/24", "ws://192.0.2.200/", true),
            ("192.0.2.0/24", "ws://192.0.3.1/", false),
            ("192.0.2.0/24", "ws://[::ffff:192.0.2.1]/", true),
            ("192.0.2.1", "ws://192.0.2.1.example/", false),
            ("2001:db8::1", "ws://[2001:db8::1]/", true),
            ("[2001:db8::1]", "ws://[2001:db8::1]/", true),
            ("[2001:db8::1]:9001", "ws://[2001:db8::1]:9001/", true),
            ("[2001:db8::1]:9001", "ws://[2001:db8::1]/", false),
            ("2001:db8::/32", "ws://[2001:db8:1::1]/", true),
            ("2001:db8::/32", "ws://[2001:db9::1]/", false),
        ] {
            let endpoint = Endpoint::parse(url).expect("a URL");
            assert_eq!(names(list, &endpoint), expected, "{list:?} {url}");
        }
    }
}
