//! The options of `serve` about what stands in front of it, and about how much one client may have.

use std::net::SocketAddr;

use clap::Args;
use sotong::handshake::OriginPolicy;
use sotong::{ForwardedHeader, ProxyProtocol, Rate, Server};

use super::exit::{Exit, Failure};
use super::settings::{address, wrong};
use crate::serve;

#[derive(Debug, Args)]
pub(super) struct Front {
    /// The origin that browsers show for our pages, when a proxy ends TLS
    ///
    /// Such as https://chat.example.com: pages of exactly this origin may
    /// connect then, whatever name the proxy itself uses for this server.
    /// May be given more than once.
    #[arg(long, value_name = "ORIGIN", verbatim_doc_comment)]
    public_origin: Vec<String>,
    /// A proxy in front of this server, whose word about clients counts
    ///
    /// An address (127.0.0.1) or a network (10.0.0.0/8); may be given more
    /// than once. From it alone X-Forwarded-For, -Proto and -Host are
    /// believed, so that limits and logs are about people and not about the
    /// proxy. The proxy must overwrite these headers or append to them.
    #[arg(long, value_name = "PROXY", verbatim_doc_comment)]
    trusted_proxy: Vec<String>,
    /// Which header trusted proxies write: the other one is not looked at
    #[arg(long, value_name = "x-forwarded-for|forwarded", default_value = "x-forwarded-for")]
    forwarded_header: String,
    /// Trusted proxies begin each connection with a PROXY header (v1, v2)
    ///
    /// haproxy: send-proxy or send-proxy-v2; nginx (stream): proxy_protocol
    /// on. A connection of a trusted proxy that begins without one is
    /// dropped. Needs --trusted-proxy.
    #[arg(long, verbatim_doc_comment)]
    proxy_protocol: bool,
    /// The most connections in all; one more is refused (503)
    #[arg(long, value_name = "N", default_value = "100000", allow_negative_numbers = true)]
    connections_max: String,
    /// The most connections of one address; one more is refused (429)
    ///
    /// No limit by default: a school or all phones of a city may share one
    /// address. IPv6 counts by the first 64 bits. Page requests count while
    /// they last. Behind a proxy this needs --trusted-proxy, or everybody
    /// has the proxy's address.
    #[arg(long, value_name = "N", allow_negative_numbers = true, verbatim_doc_comment)]
    connections_per_ip_max: Option<String>,
    /// How fast connections of one address may come, as 10:100
    ///
    /// That is ten per second in the long run and a hundred at once; who
    /// comes faster is refused (429) and told when to come back. Each page
    /// request is a connection, and after a restart all come back at once.
    #[arg(long, value_name = "PER_SECOND:AT_ONCE", verbatim_doc_comment)]
    connection_rate_per_ip: Option<String>,
    /// How fast one client may send messages, as 10:100; else it ends (1008)
    #[arg(long, value_name = "PER_SECOND:AT_ONCE")]
    message_rate: Option<String>,
    /// Where Prometheus gets its metrics: an IP address and a port
    ///
    /// At the path /metrics, for everybody who can reach that address:
    /// choose one that only the monitoring reaches, such as 127.0.0.1:9464.
    #[arg(long, value_name = "IP:PORT", verbatim_doc_comment)]
    metrics: Option<String>,
}

impl Front {
    /// What the server is to do, and the policy with what is known of the public origin.
    pub(super) fn check(&self, mut origins: OriginPolicy) -> Result<(serve::Front, OriginPolicy), Failure> {
        let wrong_line = |line: String| Exit::Usage.because(line);
        for origin in &self.public_origin {
            origins = origins
                .with_public_origin(origin)
                .map_err(|error| wrong_line(format!("--public-origin: {error}")))?;
        }
        // The library says best what is wrong with them.
        Server::detached()
            .with_trusted_proxies(self.trusted_proxy.iter().map(String::as_str))
            .map_err(|error| wrong_line(format!("--trusted-proxy: {error}")))?;
        if self.proxy_protocol && self.trusted_proxy.is_empty() {
            return Err(wrong_line(
                "--proxy-protocol is given without --trusted-proxy: whose headers are to be believed?"
                    .to_owned(),
            ));
        }
        let forwarded_header = match self.forwarded_header.as_str() {
            "x-forwarded-for" => ForwardedHeader::XForwardedFor,
            "forwarded" => ForwardedHeader::Forwarded,
            other => {
                return Err(wrong("--forwarded-header", other, "it is either x-forwarded-for or forwarded"));
            }
        };
        let front = serve::Front {
            trusted_proxies: self.trusted_proxy.clone(),
            forwarded_header,
            proxy_protocol: match self.proxy_protocol {
                true => ProxyProtocol::Required,
                false => ProxyProtocol::Off,
            },
            connections_max: count("--connections-max", &self.connections_max)?,
            connections_per_ip_max: optional(
                "--connections-per-ip-max",
                self.connections_per_ip_max.as_ref(),
                count,
            )?,
            connection_rate_per_ip: optional(
                "--connection-rate-per-ip",
                self.connection_rate_per_ip.as_ref(),
                rate,
            )?,
            message_rate: optional("--message-rate", self.message_rate.as_ref(), rate)?,
            metrics: optional("--metrics", self.metrics.as_ref(), metrics_address)?,
        };
        Ok((front, origins))
    }
}

fn optional<T>(
    option: &str,
    typed: Option<&String>,
    check: impl FnOnce(&str, &str) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    typed.map(|typed| check(option, typed)).transpose()
}

fn count(option: &str, typed: &str) -> Result<usize, Failure> {
    match typed.parse() {
        Ok(count) if count >= 1 => Ok(count),
        _ => Err(wrong(option, typed, "a number from 1 on is wanted")),
    }
}

fn rate(option: &str, typed: &str) -> Result<Rate, Failure> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number >= 1);
    match typed.split_once(':').map(|(per_second, at_once)| (number(per_second), number(at_once))) {
        Some((Some(per_second), Some(burst))) => Ok(Rate::new(per_second, burst)),
        _ => Err(wrong(
            option,
            typed,
            "two numbers are wanted, such as 10:100 for 10 per second and 100 at once",
        )),
    }
}

fn metrics_address(option: &str, typed: &str) -> Result<SocketAddr, Failure> {
    address(typed).map_err(|why| wrong(option, typed, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_two_numbers() {
        assert_eq!(rate("--rate", "10:100"), Ok(Rate::new(10, 100)));
        for bad in ["", "10", "10:", ":10", "0:1", "1:0", "-1:1", "1:1:1", "1/s", "4294967296:1"] {
            let failure = rate("--rate", bad).expect_err(bad);
            assert!(failure.line.contains("such as 10:100"), "{}", failure.line);
        }
    }

    #[test]
    fn counts_begin_at_one() {
        assert_eq!(count("--count", "1"), Ok(1));
        for bad in ["0", "-1", "many", "", "1.5"] {
            assert!(count("--count", bad).is_err(), "{bad}");
        }
    }
}
