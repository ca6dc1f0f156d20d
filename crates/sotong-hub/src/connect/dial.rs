//! From what was asked for to a connection.

use sotong::handshake::RefusedResponse;
use sotong::tls::{self, ClientTls};
use sotong::{Client, Config, ConnectError, ConnectTimeouts, WebSocket};

use super::event::{Answer, Opened, Trouble, TroubleKind};
use super::{Settings, Trust};

/// The client with these settings.
///
/// # Errors
/// When one of them cannot be meant; nothing was sent.
pub(super) fn client(settings: &Settings) -> Result<Client, Trouble> {
    let total = settings.connect_timeout;
    let timeouts = ConnectTimeouts::default()
        .with_total(total)
        .with_resolve(total)
        .with_tcp(total)
        .with_tls(total)
        .with_handshake(total);
    let mut client = Client::new().with_config(config(settings)).with_timeouts(timeouts);
    for (name, value) in &settings.headers {
        client = client.with_header(name, value).map_err(|error| usage(format_args!("--header: {error}")))?;
    }
    if let Some(origin) = &settings.origin {
        client =
            client.with_header("Origin", origin).map_err(|error| usage(format_args!("--origin: {error}")))?;
    }
    client = client
        .with_protocols(&settings.protocols)
        .map_err(|error| usage(format_args!("--protocol: {error}")))?;
    let mut tls = ClientTls::new();
    if let Some(file) = &settings.ca {
        tls = tls.with_roots_file(file).map_err(|error| usage(format_args!("--ca: {error}")))?;
    }
    if settings.trust == Trust::Anybody {
        tls = tls::danger::accept_any_certificate(tls);
    }
    Ok(client.with_tls(tls))
}

/// The limits of the connection.
pub(super) fn config(settings: &Settings) -> Config {
    Config::default()
        .with_message_bytes_max(settings.message_bytes_max)
        .with_compression(settings.compression)
        // People and their tools may take longer than servers should.
        .with_message_timeout(None)
        .with_close_timeout(super::CLOSE_TIMEOUT)
}

/// Connects.
pub(super) async fn dial(client: &Client, url: &str) -> Result<(WebSocket, Opened), Trouble> {
    let socket = client.connect(url).await.map_err(trouble)?;
    let sender = socket.sender();
    let opened = Opened {
        url: url.to_owned(),
        peer: sender.peer_addr().map(|address| address.to_string()),
        protocol: sender.protocol().map(str::to_owned),
        headers: socket.response().map(|response| owned(response.headers())).unwrap_or_default(),
    };
    Ok((socket, opened))
}

fn usage(line: impl ToString) -> Trouble {
    Trouble::new(TroubleKind::Usage, line)
}

fn trouble(error: ConnectError) -> Trouble {
    let kind = match &error {
        ConnectError::Url(_) | ConnectError::Header(_) | ConnectError::Protocol(_) => TroubleKind::Usage,
        ConnectError::Resolve { .. } => TroubleKind::Resolve,
        ConnectError::Tls { .. } => TroubleKind::Tls,
        ConnectError::Timeout { .. } => TroubleKind::Timeout,
        ConnectError::Refused(_) => TroubleKind::Refused,
        ConnectError::Handshake(_) => TroubleKind::Handshake,
        // The network, during one step or another.
        _ => TroubleKind::Connect,
    };
    let line = match &error {
        ConnectError::Url(error) => format!("URL: {error}"),
        ConnectError::Timeout { host, step, .. } => {
            format!("{host}: {step} took longer than --connect-timeout allows")
        }
        other => other.to_string(),
    };
    let answer = match error {
        ConnectError::Refused(refused) => Some(Box::new(answer(&refused))),
        _ => None,
    };
    Trouble { kind, line, answer }
}

fn answer(refused: &RefusedResponse) -> Answer {
    Answer {
        status: refused.status(),
        headers: owned(refused.headers()),
        body: refused.body().to_vec(),
        body_is_whole: refused.body_is_whole(),
    }
}

fn owned<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<(String, Vec<u8>)> {
    headers.map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
}
