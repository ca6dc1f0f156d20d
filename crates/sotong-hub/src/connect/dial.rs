//! From what was asked for to a connection.

use std::time::Duration;

use sotong::handshake::RefusedResponse;
use sotong::reconnect::{Backoff, Reconnect};
use sotong::tls::{self, ClientTls};
use sotong::{Client, Config, ConnectError, ConnectTimeouts, TunnelError, WebSocket};

use super::event::{Answer, Opened, Trouble, TroubleKind};
use super::{Login, Route, Settings, Trust};

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
        .with_proxy(total)
        .with_tls(total)
        .with_handshake(total);
    let mut client = Client::new()
        .with_config(config(settings))
        .with_timeouts(timeouts)
        .with_redirects_max(settings.redirects_max);
    client = match &settings.route {
        Route::Environment => client,
        Route::Direct => client.without_proxy(),
        Route::Through(proxy) => client.with_proxy(proxy.clone()),
    };
    for (name, value) in &settings.headers {
        client = client.with_header(name, value).map_err(|error| usage(format_args!("--header: {error}")))?;
    }
    if let Some(origin) = &settings.origin {
        client =
            client.with_header("Origin", origin).map_err(|error| usage(format_args!("--origin: {error}")))?;
    }
    client = match &settings.login {
        None => client,
        Some(Login::Basic { user, password }) => {
            client.with_basic_auth(user, password).map_err(|error| usage(format_args!("--auth: {error}")))?
        }
        Some(Login::Bearer(token)) => {
            client.with_bearer_token(token).map_err(|error| usage(format_args!("--auth: {error}")))?
        }
    };
    client = client
        .with_protocols(&settings.protocols)
        .map_err(|error| usage(format_args!("--protocol: {error}")))?;
    let mut tls = ClientTls::new();
    if let Some(file) = &settings.ca {
        tls = tls.with_roots_file(file).map_err(|error| usage(format_args!("--ca: {error}")))?;
    }
    // A proxy is somebody else: what is told to believe every server is not about it.
    client = client.with_proxy_tls(tls.clone());
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
    let socket = client.connect(url).await.map_err(|error| trouble(&error))?;
    let opened = Opened::of(url, &socket.sender());
    Ok((socket, opened))
}

/// The same for a connection that is made again.
pub(super) fn again(client: Client, settings: &Settings, tries_max: Option<u32>) -> Reconnect {
    Reconnect::new(&settings.url)
        .with_client(client)
        .with_backoff(Backoff::default().with_tries_max(tries_max))
        // Nothing waits to be sent when it is closed, or somebody does not want to wait for it.
        .with_close_timeout(Duration::from_millis(500))
}

fn usage(line: impl ToString) -> Trouble {
    Trouble::new(TroubleKind::Usage, line)
}

/// Why there is no connection, sorted for exit codes.
pub(crate) fn trouble(error: &ConnectError) -> Trouble {
    let kind = match error {
        ConnectError::Url(_)
        | ConnectError::Header(_)
        | ConnectError::Protocol(_)
        | ConnectError::ProxyVariable { .. } => TroubleKind::Usage,
        ConnectError::Proxy { .. } => TroubleKind::Proxy,
        ConnectError::Resolve { .. } => TroubleKind::Resolve,
        ConnectError::Tls { .. } => TroubleKind::Tls,
        ConnectError::Timeout { .. } => TroubleKind::Timeout,
        ConnectError::Refused(_) | ConnectError::Redirect { .. } => TroubleKind::Refused,
        ConnectError::Handshake(_) => TroubleKind::Handshake,
        // The network, during one step or another.
        _ => TroubleKind::Connect,
    };
    let line = match error {
        ConnectError::Url(error) => format!("URL: {error}"),
        ConnectError::Timeout { host, step, .. } => {
            format!("{host}: {step} took longer than --connect-timeout allows")
        }
        ConnectError::ProxyVariable { .. } => format!("{error}; --no-proxy goes without"),
        // Another name of the same, which is the one that can be set here.
        other => other.to_string().replace("Client::with_redirects_max", "--follow"),
    };
    let answer = match error {
        ConnectError::Refused(refused)
        | ConnectError::Redirect { answer: refused, .. }
        | ConnectError::Proxy { error: TunnelError::Refused(refused), .. } => Some(Box::new(answer(refused))),
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
