//! tokio-tungstenite with tokio's broadcast channel, and sockudo-ws with its own topics. Both take all that waits for a
//! connection before they flush, which is the best that can be had of them.

mod sockudo;
mod tungstenite;

use crate::Ended;
use crate::listen::{self, Carrier, Serve};

/// Whoever comes to this path publishes; everybody else subscribes.
const SPEAKER: &str = "/speak";

pub(crate) async fn run(name: &str) -> Result<(), Ended> {
    match name {
        "tokio-tungstenite" => listen::run(Tungstenite(tungstenite::Hall::new())).await,
        "sockudo-ws" => listen::run(Sockudo(sockudo::Hall::default())).await,
        _ => Err("say which: tokio-tungstenite or sockudo-ws".into()),
    }
}

#[derive(Clone)]
struct Tungstenite(tungstenite::Hall);

impl Serve for Tungstenite {
    async fn serve(self, stream: impl Carrier) -> Result<(), Ended> {
        tungstenite::serve(stream, self.0).await
    }
}

#[derive(Clone)]
struct Sockudo(sockudo::Hall);

impl Serve for Sockudo {
    async fn serve(self, stream: impl Carrier) -> Result<(), Ended> {
        sockudo::serve(stream, self.0).await
    }
}
