//! The server of the fan-out benchmark, on the public API of the library alone: whoever comes to `/` is subscribed, and what
//! somebody says on `/speak` is published.

use std::io::Write;

use sotong::{
    Compression, Config, Error, Events, MessageRef, Refusal, Request, Sender, Server, Topics, WebSocket,
};

use crate::failure::{Failure, Result, While};
use crate::settings::FanOutServerSettings;

const TOPIC: &str = "all";
const SPEAKER: &str = "/speak";

/// Which form of the library serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Style {
    Event,
    Pull,
}

struct Member {
    topics: Topics,
    is_speaker: bool,
}

impl Events for Member {
    fn open(&mut self, socket: &Sender) {
        if !self.is_speaker {
            socket.subscribe(TOPIC).expect("a new connection of a server");
        }
    }

    fn message(&mut self, _socket: &Sender, message: MessageRef<'_>) {
        self.topics.publish(TOPIC, message);
    }
}

/// The subcommand `fan-out-server`.
pub(crate) fn run(settings: &FanOutServerSettings) -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().during("making a runtime")?;
    runtime.block_on(async {
        let config = Config::default().with_compression(settings.compress.then(Compression::shared));
        let server = Server::bind(settings.listen).await.during("listening")?.with_config(config);
        let address = server.local_addr().during("listening")?;
        let mut stdout = std::io::stdout();
        writeln!(stdout, "listening on {address}")
            .and_then(|()| stdout.flush())
            .during("telling the address")?;
        let topics = server.topics();
        // One thread is this one; several are threads of the library's own.
        let threads = if settings.threads == 1 { 0 } else { settings.threads };
        let serve = match settings.style {
            Style::Event => server.serve_events(move |request: &Request| {
                Ok::<_, Refusal>(Member { topics: topics.clone(), is_speaker: request.path() == SPEAKER })
            }),
            Style::Pull => server.serve(move |mut socket: WebSocket| {
                let topics = topics.clone();
                async move {
                    if socket.request().path() != SPEAKER {
                        socket.subscribe(TOPIC).expect("a new connection of a server");
                    }
                    while let Some(message) = socket.recv().await? {
                        topics.publish(TOPIC, message);
                    }
                    Ok::<(), Error>(())
                }
            }),
        };
        serve.with_threads(threads).await.map_err(|error| Failure::new(format!("serving: {error}")))
    })
}
