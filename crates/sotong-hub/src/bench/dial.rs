//! From what was asked for to a client.

use std::time::Duration;

use sotong::tls::{self, ClientTls};
use sotong::{Client, Config, ConnectTimeouts};

use super::settings::{Exchange, Load, Settings, Target};
use crate::connect::{Trouble, TroubleKind, Trust};

/// How long a server may take to close.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// What waits to be sent on a connection, if no more is asked for.
const OUTBOX_BYTES_MIN: usize = 2 << 20;
/// Without answers there is nothing else that says how far the server is behind: what waits here counts as sent.
const OUTBOX_BYTES_PUSH: usize = 256 << 10;
/// More than that is not for one connection.
const OUTBOX_BYTES_MAX: usize = 256 << 20;
/// The longest header of a frame.
const FRAME_HEAD_BYTES_MAX: usize = 14;

/// The client with these settings.
///
/// # Errors
/// When one of them cannot be meant; nothing was sent.
pub(super) fn client(settings: &Settings, message_bytes: usize) -> Result<Client, Trouble> {
    let target = &settings.target;
    let total = target.connect_timeout;
    let timeouts = ConnectTimeouts::default()
        .with_total(total)
        .with_resolve(total)
        .with_tcp(total)
        .with_tls(total)
        .with_handshake(total);
    let mut client = Client::new()
        .with_config(config(settings, message_bytes))
        .with_timeouts(timeouts)
        // A load generator is what this is for.
        .with_simultaneous_connects()
        // What would be measured is the proxy.
        .without_proxy();
    for (name, value) in &target.headers {
        client = client.with_header(name, value).map_err(|error| usage(format_args!("--header: {error}")))?;
    }
    if let Some(origin) = &target.origin {
        client =
            client.with_header("Origin", origin).map_err(|error| usage(format_args!("--origin: {error}")))?;
    }
    client = client
        .with_protocols(&target.protocols)
        .map_err(|error| usage(format_args!("--protocol: {error}")))?;
    Ok(client.with_tls(tls(target)?))
}

fn tls(target: &Target) -> Result<ClientTls, Trouble> {
    let mut tls = ClientTls::new();
    if let Some(file) = &target.ca {
        tls = tls.with_roots_file(file).map_err(|error| usage(format_args!("--ca: {error}")))?;
    }
    Ok(match target.trust {
        Trust::Anybody => tls::danger::accept_any_certificate(tls),
        Trust::Checked => tls,
    })
}

fn config(settings: &Settings, message_bytes: usize) -> Config {
    let frame = message_bytes.saturating_add(FRAME_HEAD_BYTES_MAX);
    let outbox = match (settings.exchange, settings.load) {
        (Exchange::Push, _) => frame.max(OUTBOX_BYTES_PUSH),
        // What is due and has no room stays due.
        (_, Load::Rate(_)) => frame.max(OUTBOX_BYTES_MIN),
        (_, Load::InFlight(count)) => {
            frame.saturating_mul(count).clamp(OUTBOX_BYTES_MIN, OUTBOX_BYTES_MAX.max(frame))
        }
    };
    Config::default()
        .with_message_bytes_max(settings.target.message_bytes_max)
        .with_compression(settings.target.compression)
        .with_outbox_bytes_max(outbox)
        // Nothing but what was asked for is to be on the wire, and answers have a deadline of their own.
        .with_ping_interval(None)
        .with_message_timeout(None)
        .with_close_timeout(CLOSE_TIMEOUT)
}

fn usage(line: impl ToString) -> Trouble {
    Trouble::new(TroubleKind::Usage, line)
}
