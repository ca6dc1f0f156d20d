//! Servers of others in the benchmarks, each on one thread, each by what its own documentation shows.
//!
//! `peers echo NAME` answers each message with itself; `peers fan-out NAME` publishes what is said on `/speak` to everybody
//! else; `peers receive NAME` counts texts and tells the count when it is asked by a binary message; `peers send NAME` sends one
//! text again and again. Each prints a line with its address.

mod accept;
mod echo;
mod fan_out;
mod listen;
mod message;
mod one_way;

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
            ["receive", name] => one_way::receive(name).await,
            ["send", name] => one_way::send(name).await,
            _ => Err("say which: echo NAME, fan-out NAME, receive NAME or send NAME".into()),
        }
    })
}
