//! tokio-tungstenite with tokio's broadcast channel, and sockudo-ws with its own topics, in the fan-out benchmark: each on
//! one thread. Both take all that waits for a connection before they flush, which is the best that can be had of them.

mod sockudo;
mod tungstenite;

use std::future::Future;

use tokio::net::{TcpListener, TcpStream};

/// Why a connection ended, in words.
type Ended = Box<dyn std::error::Error>;

/// Whoever comes to this path publishes; everybody else subscribes.
const SPEAKER: &str = "/speak";

fn main() -> Result<(), Ended> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        match name.as_str() {
            "tokio-tungstenite" => {
                let hall = tungstenite::Hall::new();
                listen(|stream| tungstenite::serve(stream, hall.clone())).await
            }
            "sockudo-ws" => {
                let hall = sockudo::Hall::default();
                listen(|stream| sockudo::serve(stream, hall.clone())).await
            }
            _ => Err("say which: tokio-tungstenite or sockudo-ws".into()),
        }
    })
}

async fn listen<F: Future<Output = Result<(), Ended>> + 'static>(
    serve: impl Fn(TcpStream) -> F,
) -> Result<(), Ended> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection = serve(stream);
        tokio::task::spawn_local(async move {
            // A connection that was cut at the end of a round is no news.
            let _ = connection.await;
        });
    }
}
