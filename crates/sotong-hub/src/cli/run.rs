//! Carries out a command.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::exit::{Exit, Failure};
use super::say;
use super::settings::{Command, Echo, Settings};
use super::signals::Signals;
use super::tls;
use crate::echo;
use crate::serve::{self, Service};

pub(super) fn run(settings: Settings) -> Result<(), Failure> {
    log(settings.log);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        match settings.command {
            Command::Serve(settings) => serve(*settings).await,
            Command::Echo(settings) => echo(settings).await,
            Command::Connect(settings) => super::connect::run(*settings).await,
            Command::Bench(settings) => super::bench::run(*settings).await,
        }
    })
}

async fn serve(settings: serve::Settings) -> Result<(), Failure> {
    let signals = Signals::listen().map_err(failed)?;
    let scheme = tls::scheme(&settings.tls, "http", "https");
    tls::reload_at_signal(settings.tls.as_ref()).map_err(failed)?;
    let service = Service::bind(settings).await.map_err(|error| not_listening(&error))?;
    let mut lines = String::new();
    for address in service.local_addrs().map_err(failed)? {
        let _ = write!(lines, "sotong serve: open {scheme}://{}/", reachable(address));
        let _ = match address.ip().is_unspecified() {
            true => writeln!(lines, " (listening on {address})"),
            false => writeln!(lines),
        };
    }
    if let Some(address) = service.metrics_addr().map_err(failed)? {
        let _ = writeln!(lines, "sotong serve: metrics at http://{}/metrics", reachable(address));
    }
    say(&lines)?;
    service.run(signals.stop()).await.map_err(failed)
}

async fn echo(settings: Echo) -> Result<(), Failure> {
    let signals = Signals::listen().map_err(failed)?;
    let Echo { listen, tls, threads, style, compression, message_bytes_max } = settings;
    let scheme = tls::scheme(&tls, "ws", "wss");
    tls::reload_at_signal(tls.as_ref()).map_err(failed)?;
    let bound = echo::bind(&listen, message_bytes_max, compression).await;
    let mut server = bound.map_err(|error| not_listening(&error))?;
    if let Some(tls) = tls {
        server = server.with_tls(tls);
    }
    let mut lines = String::new();
    for address in server.local_addrs().map_err(failed)? {
        let _ = writeln!(lines, "sotong echo: listening on {scheme}://{}", reachable(address));
    }
    say(&lines)?;
    let serve = match style {
        super::settings::Style::Event => echo::by_events(server),
        super::settings::Style::Pull => echo::by_pull(server),
    };
    serve.with_threads(threads).with_graceful_shutdown(signals.stop()).await.map_err(failed)
}

/// An address that can be opened on this machine: "all addresses" is where one listens, not where one goes.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn log(filter: Targets) {
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        // Otherwise a closed stderr would be reported on stderr, by a macro that panics.
        .log_internal_errors(false)
        .with_filter(filter);
    tracing_subscriber::registry().with(layer).init();
}

fn failed(error: io::Error) -> Failure {
    Exit::Failed.because(error)
}

/// The library's error names the address; here comes what can be done about it.
fn not_listening(error: &io::Error) -> Failure {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program listens there: stop it, or choose another port with --listen (0: any free one)"
        }
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need a right that this user does not have: choose one from 1024 to 65535"
        }
        io::ErrorKind::AddrNotAvailable => "; this machine does not have that address",
        _ => "",
    };
    Exit::Address.because(format_args!("{error}{advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_not_to_listen_has_its_advice() {
        for (kind, advice) in [
            (io::ErrorKind::AddrInUse, "another program listens there"),
            (io::ErrorKind::PermissionDenied, "ports below 1024"),
            (io::ErrorKind::AddrNotAvailable, "does not have that address"),
        ] {
            let failure = not_listening(&io::Error::new(kind, "cannot listen on 127.0.0.1:80"));
            assert_eq!(failure.exit, Exit::Address);
            assert!(failure.line.starts_with("cannot listen on 127.0.0.1:80; "), "{}", failure.line);
            assert!(failure.line.contains(advice), "{}", failure.line);
        }
    }

    #[test]
    fn all_addresses_are_opened_by_the_local_one() {
        for (listening, open) in [
            ("0.0.0.0:8000", "127.0.0.1:8000"),
            ("[::]:8000", "[::1]:8000"),
            ("192.0.2.1:8000", "192.0.2.1:8000"),
        ] {
            assert_eq!(reachable(listening.parse().unwrap()).to_string(), open);
        }
    }
}
