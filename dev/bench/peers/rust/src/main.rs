//! Servers of others in the benchmarks, each on one thread, each by what its own documentation shows.
//!
//! `peers echo NAME` answers each message with itself; `peers fan-out NAME` publishes what is said on `/speak` to everybody
//! else. Each prints a line with its address.

mod echo;
mod fan_out;

use std::future::Future;

use tokio::net::{TcpListener, TcpStream};

/// Why a connection ended, in words.
type Ended = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Ended> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        match words[..] {
            ["echo", name] => echo::run(name).await,
            ["fan-out", name] => fan_out::run(name).await,
            _ => Err("say which: echo NAME or fan-out NAME".into()),
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
