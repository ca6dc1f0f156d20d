//! tokio-tungstenite with tokio's broadcast channel, and sockudo-ws with its own topics. Both take all that waits for a
//! connection before they flush, which is the best that can be had of them.

mod sockudo;
mod tungstenite;

use crate::{Ended, listen};

/// Whoever comes to this path publishes; everybody else subscribes.
const SPEAKER: &str = "/speak";

pub(crate) async fn run(name: &str) -> Result<(), Ended> {
    match name {
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
}
