//! Which proxy the environment names.

use std::ffi::OsString;
use std::net::IpAddr;

use url::Host;

use super::{Proxy, exceptions};
use crate::client::endpoint::{Carriage, Endpoint};
use crate::client::error::ConnectError;
use crate::client::proxy::ProxyUrlError;

/// Small letters first, as elsewhere; an empty value is none.
const FOR_TLS: &[&str] = &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const FOR_PLAIN: &[&str] = &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
const EXCEPTIONS: &[&str] = &["no_proxy", "NO_PROXY"];
/// A web server's CGI program has what a stranger wrote into the header `Proxy` in this variable (CVE-2016-5385).
const WRITTEN_BY_STRANGERS: &str = "HTTP_PROXY";
/// Set in every CGI program (RFC 3875, section 4.1.12).
const CGI: &str = "REQUEST_METHOD";

/// The proxy for that endpoint. The rules are written down at `Client::with_proxy`.
///
/// A value that cannot be read is an error: to go without the proxy then could be what somebody wanted to prevent.
pub(super) fn proxy(
    endpoint: &Endpoint,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Proxy>, ConnectError> {
    if is_this_machine(&endpoint.host) {
        return Ok(None);
    }
    let is_cgi = variable(CGI).is_some();
    let first = |names: &[&'static str]| {
        names
            .iter()
            .filter(|name| !(is_cgi && **name == WRITTEN_BY_STRANGERS))
            .find_map(|name| Some((*name, variable(name).filter(|value| !value.is_empty())?)))
    };
    let named = match endpoint.carriage {
        Carriage::Tls => first(FOR_TLS),
        Carriage::Plain => first(FOR_PLAIN),
    };
    let Some((name, url)) = named else { return Ok(None) };
    // Entries that are not text name nobody.
    if first(EXCEPTIONS).is_some_and(|(_, list)| exceptions::names(&list.to_string_lossy(), endpoint)) {
        return Ok(None);
    }
    let proxy = match url.to_str() {
        Some(url) => Proxy::parse(url),
        None => Err(ProxyUrlError::Syntax { what: "it is not UTF-8".to_owned() }),
    };
    proxy.map(Some).map_err(|error| ConnectError::ProxyVariable { name, error })
}

/// Whether that is this machine whoever asks: to a proxy it would be another one, its own.
fn is_this_machine(host: &Host<String>) -> bool {
    let is_local = |address: IpAddr| {
        let address = address.to_canonical();
        address.is_loopback() || address.is_unspecified()
    };
    match host {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            // RFC 6761, section 6.3.
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::Ipv4(address) => is_local(IpAddr::V4(*address)),
        Host::Ipv6(address) => is_local(IpAddr::V6(*address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &[(&str, &str)], url: &str) -> Result<Option<String>, ConnectError> {
        let endpoint = Endpoint::parse(url).expect("a URL");
        let variable = |name: &str| {
            let (_, value) = variables.iter().find(|(set, _)| *set == name)?;
            Some(OsString::from(value))
        };
        Ok(proxy(&endpoint, variable)?.map(|proxy| proxy.to_string()))
    }

    #[test]
    fn b14_each_scheme_has_its_variables_and_the_first_that_is_set_counts() {
        let all = ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
        let port_of = |set: &[&str], url: &str| {
            let values: Vec<String> = set.iter().map(|name| port(&all, name)).collect();
            let variables: Vec<(&str, &str)> =
                set.iter().copied().zip(values.iter().map(String::as_str)).collect();
            chosen(&variables, url).expect("all can be read")
        };
        fn port(all: &[&str], name: &str) -> String {
            let index = all.iter().position(|other| *other == name).expect("it is one of them");
            format!("p:{}", index + 1)
        }
        let (ws, wss) = ("ws://a.example/", "wss://a.example/");
        for (set, url, expected) in [
            (&all[..], wss, Some("http://p:1")),
            (&all[1..], wss, Some("http://p:2")),
            (&all[2..], wss, Some("http://p:5")),
            (&["ALL_PROXY"], wss, Some("http://p:6")),
            (&["http_proxy", "HTTP_PROXY"], wss, None),
            (&all[..], ws, Some("http://p:3")),
            (&["HTTP_PROXY", "all_proxy"], ws, Some("http://p:4")),
            (&["all_proxy", "ALL_PROXY"], ws, Some("http://p:5")),
            (&["ALL_PROXY"], ws, Some("http://p:6")),
            (&["https_proxy", "HTTPS_PROXY"], ws, None),
            (&[], ws, None),
        ] {
            assert_eq!(port_of(set, url), expected.map(str::to_owned), "{set:?} {url}");
        }
        // Set to nothing is not set.
        assert_eq!(
            chosen(&[("https_proxy", ""), ("ALL_PROXY", "p:9")], wss).ok(),
            Some(Some("http://p:9".into()))
        );
    }

    #[test]
    fn b14_exceptions_and_this_machine_go_without() {
        let set = |no_proxy: (&'static str, &'static str), url: &str| {
            chosen(&[("ALL_PROXY", "socks5://p"), no_proxy], url).expect("all can be read").is_some()
        };
        assert!(set(("NO_PROXY", ""), "wss://a.example/"));
        assert!(!set(("NO_PROXY", "a.example"), "wss://a.example/"));
        assert!(!set(("no_proxy", "a.example"), "wss://a.example/"));
        assert!(set(("no_proxy", "b.example"), "wss://a.example/"));
        for here in [
            "ws://localhost/",
            "ws://LOCALHOST.:81/",
            "ws://a.localhost/",
            "ws://127.9.9.9/",
            "ws://[::1]/",
            "ws://[::ffff:127.0.0.1]/",
            "ws://0.0.0.0/",
            "ws://[::]/",
        ] {
            assert!(!set(("NO_PROXY", ""), here), "{here}");
        }
        for elsewhere in ["ws://localhost.example/", "ws://notlocalhost/", "ws://128.0.0.1/", "ws://[::2]/"] {
            assert!(set(("NO_PROXY", ""), elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn b14_a_cgi_program_does_not_believe_the_variable_that_strangers_write() {
        let cgi = ("REQUEST_METHOD", "GET");
        let url = "ws://a.example/";
        assert_eq!(chosen(&[("HTTP_PROXY", "evil:1"), cgi], url).expect("nothing to read"), None);
        let small = chosen(&[("HTTP_PROXY", "evil:1"), ("http_proxy", "good:1"), cgi], url);
        assert_eq!(small.expect("it can be read"), Some("http://good:1".into()));
        let all = chosen(&[("HTTP_PROXY", "evil:1"), ("ALL_PROXY", "good:1"), cgi], url);
        assert_eq!(all.expect("it can be read"), Some("http://good:1".into()));
        let outside = chosen(&[("HTTP_PROXY", "good:1")], url);
        assert_eq!(outside.expect("it can be read"), Some("http://good:1".into()));
    }

    #[test]
    fn b14_a_value_that_cannot_be_read_is_an_error_that_names_the_variable_only() {
        let error =
            chosen(&[("HTTPS_PROXY", "http://user:secret@")], "wss://a.example/").expect_err("no host");
        let ConnectError::ProxyVariable { name: "HTTPS_PROXY", .. } = &error else { panic!("{error:?}") };
        let shown = format!("{error} {error:?}");
        assert!(
            shown.contains("HTTPS_PROXY") && !shown.contains("secret") && !shown.contains("user"),
            "{shown}"
        );
        // For an exception nobody reads it.
        let excepted = chosen(&[("HTTPS_PROXY", "http://"), ("NO_PROXY", "a.example")], "wss://a.example/");
        assert_eq!(excepted.expect("it is not read"), None);
    }
}
