//! Behind a proxy: answers each message with the address of the client, as the proxy told it, and the host that the
//! client asked for.
//!
//!     cargo run --release -p sotong --example behind_proxy -- 127.0.0.1:9001 --trusted-proxy 127.0.0.1
//!     cargo run --release -p sotong --example behind_proxy -- 127.0.0.1:9001 --trusted-proxy 127.0.0.1 --proxy-protocol
//!
//! `--public-origin https://chat.example.com` names the origin of the pages that may connect. `--tls CERT KEY` ends TLS
//! here, behind a proxy that only passes bytes on. docs/operations.md has the configuration of nginx and haproxy.
#![allow(clippy::print_stdout, reason = "a program that tells where it listens")]

use sotong::tls::ServerTls;
use sotong::{Error, ProxyProtocol, Server, WebSocket};

/// Small, so that it is easily seen that clients are counted and not the proxy.
const CONNECTIONS_PER_CLIENT_MAX: usize = 4;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let mut server = Server::bind(address).await?.with_connections_per_ip_max(CONNECTIONS_PER_CLIENT_MAX);
    let mut scheme = "ws";
    while let Some(option) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{option} needs a value"));
        server = match option.as_str() {
            "--trusted-proxy" => server.with_trusted_proxies([value()?.as_str()])?,
            "--proxy-protocol" => server.with_proxy_protocol(ProxyProtocol::Required),
            "--tls" => {
                scheme = "wss";
                server.with_tls(ServerTls::from_pem_files(value()?, value()?)?)
            }
            "--public-origin" => server.with_public_origin(&value()?)?,
            _ => return Err(format!("unknown option {option}").into()),
        };
    }
    println!("listening on {scheme}://{}", server.local_addr()?);
    server
        .serve(|socket: WebSocket| tell(socket))
        .with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
        .await?;
    Ok(())
}

async fn tell(mut socket: WebSocket) -> Result<(), Error> {
    // A peer on a unix socket has no address, unless a proxy names one.
    let client = socket.client_ip().map_or_else(|| "somebody".to_owned(), |ip| ip.to_string());
    let answer = format!("{client} asked for {}", socket.request().host());
    while socket.recv().await?.is_some() {
        socket.send(answer.as_str()).await?;
    }
    Ok(())
}
