//! The client's part in the Autobahn test suite: ask how many cases there are, echo each, ask for the report.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use sotong::web::{Data, Options};
use sotong::{Client, CloseCode, Events, MessageRef, Sender};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

use crate::Style;

/// Under which name the report lists us.
const AGENT: &str = "sotong";
/// The slowest case takes some seconds; those about compression take minutes on a busy machine, because of the tester.
const CASE_DEADLINE: Duration = Duration::from_secs(600);

pub(crate) async fn play(client: &Client, url: &str, style: Style) -> Result<ExitCode, Box<dyn Error>> {
    let url = url.trim_end_matches('/');
    let mut counting = client.connect(&format!("{url}/getCaseCount")).await?;
    let answer = counting.recv().await?.ok_or("the fuzzing server did not say how many cases there are")?;
    let count: u32 = answer.as_text().ok_or("the number of cases came as bytes")?.parse()?;
    counting.close(CloseCode::NORMAL, "").await;
    for case in 1..=count {
        let url = format!("{url}/runCase?case={case}&agent={AGENT}");
        timeout(CASE_DEADLINE, echo(client, &url, style))
            .await
            .map_err(|_| format!("{url} does not end"))??;
    }
    let mut report = client.connect(&format!("{url}/updateReports?agent={AGENT}")).await?;
    while report.recv().await?.is_some() {}
    Ok(ExitCode::SUCCESS)
}

/// Echoes until the connection is closed. How it ended is the server's to judge: most cases break the protocol.
async fn echo(client: &Client, url: &str, style: Style) -> Result<(), Box<dyn Error>> {
    match style {
        Style::Web => {
            let socket = Options::new().with_client(client.clone()).open(url)?;
            let (tell, mut closed) = unbounded_channel();
            socket.set_on_message(|event| match event.data() {
                Data::Text(text) => event.target().send(text.clone()),
                Data::Blob(bytes) | Data::ArrayBuffer(bytes) => event.target().send(bytes.clone()),
            });
            socket.set_on_close(move |_| tell.send(()).map_err(|_| "nobody waits"));
            closed.recv().await.ok_or("no close event")?;
        }
        Style::Event => {
            let sender = client.connect_events(url, |_| Echo).await?;
            sender.closed().await;
        }
        Style::Pull => {
            let mut socket = client.connect(url).await?;
            while let Ok(Some(message)) = socket.recv().await {
                if socket.send(message).await.is_err() {
                    break;
                }
            }
            // To the very end: the next case must not meet a closing handshake that is still under way.
            socket.sender().closed().await;
        }
    }
    Ok(())
}

struct Echo;

impl Events for Echo {
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) {
        if socket.try_send(message).is_err() {
            socket.close(CloseCode::TRY_AGAIN_LATER, "too many answers wait to be read");
        }
    }
}
