//! Tries to listen at each address that it is given, and says how that went. From docs/guide.md.
//!
//!     cargo run -p sotong --example guide_bind -- 127.0.0.1:9001 127.0.0.1:9001 127.0.0.1:0 127.0.0.1:80
#![allow(clippy::print_stdout, reason = "a program that tells what it sees")]

// guide: bind
use sotong::Server;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut servers = Vec::new();
    for address in std::env::args().skip(1) {
        match Server::bind(&address).await {
            Ok(server) => {
                println!("{address}: bound, as {}", server.local_addr()?);
                servers.push(server); // a port is taken as long as its server is there
            }
            Err(error) => println!("{address}: {error}"),
        }
    }
    Ok(())
}
// guide: end
