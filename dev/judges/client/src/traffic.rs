//! Random messages from a seed; the same ones as `dev/judges/compression/traffic.py` and `traffic.mjs` make from it, and played
//! against an echo server.
#![allow(clippy::print_stdout, reason = "the line is for the judge")]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use sotong::{Client, CloseCode, Message};
use tokio::time::timeout;

use crate::Style;
use crate::link::Link;

const LARGEST: usize = 1 << 20;
const IN_FLIGHT_BYTES: usize = 32 * 1024;
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);
const ASCII: [&str; 16] = [
    "{\"symbol\":\"",
    "KRW",
    "USD",
    "\",\"price\":",
    "1398.5",
    ",\"volume\":",
    "120000",
    ",\"time\":\"2026-11-26T",
    "09:00:0",
    "\"}",
    " ",
    "bid",
    "ask",
    "null",
    "true",
    "false",
];
const KOREAN: [&str; 16] = [
    "소통",
    "안녕하세요",
    "시세",
    "거래량",
    "서울",
    "부산",
    "메시지",
    "연결",
    "되었습니다",
    "보냈습니다",
    "받았습니다",
    "오늘",
    "내일",
    "값",
    "가격",
    "표",
];
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What to play.
#[derive(Debug, Args)]
pub(crate) struct Play {
    /// Which traffic
    #[arg(long)]
    seed: u32,
    /// How many messages
    #[arg(long)]
    messages: usize,
}

impl Play {
    /// Prints one line of JSON for the judge.
    pub(crate) async fn run(
        &self,
        client: &Client,
        url: &str,
        style: Style,
    ) -> Result<ExitCode, Box<dyn Error>> {
        let mut link = Link::open(client, url, style).await?;
        let mut traffic = Traffic { state: self.seed.max(1), made: 0 };
        let mut bytes = 0;
        let mut answered = 0;
        while traffic.made < self.messages {
            let batch = traffic.batch(self.messages);
            for message in &batch {
                link.send(message.clone()).await?;
            }
            for message in batch {
                let received = timeout(ANSWER_DEADLINE, link.next())
                    .await
                    .map_err(|_| format!("message {answered}: no answer within {ANSWER_DEADLINE:?}"))??
                    .ok_or_else(|| format!("message {answered}: closed instead of an answer"))?;
                if received != message {
                    let lengths = (message.as_bytes().len(), received.as_bytes().len());
                    return Err(format!(
                        "message {answered}: {} bytes came back as {}",
                        lengths.0, lengths.1
                    )
                    .into());
                }
                bytes += message.as_bytes().len();
                answered += 1;
            }
        }
        link.close(Some(CloseCode::NORMAL), "").await?;
        println!("{{\"messages\":{answered},\"bytes\":{bytes},\"state\":{}}}", traffic.state);
        Ok(ExitCode::SUCCESS)
    }
}

struct Traffic {
    state: u32,
    made: usize,
}

impl Traffic {
    /// Xorshift: small, and alike in every language.
    fn next(&mut self) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        self.state
    }

    fn below(&mut self, bound: u32) -> usize {
        (self.next() % bound) as usize
    }

    /// Messages that are in flight together: each batch is read back before the next is sent.
    fn batch(&mut self, count: usize) -> Vec<Message> {
        let mut batch = Vec::new();
        let mut left = 1 + self.below(16);
        let mut size = 0;
        while left > 0 && size < IN_FLIGHT_BYTES && self.made < count {
            let message = self.message();
            size += message.as_bytes().len();
            batch.push(message);
            left -= 1;
        }
        batch
    }

    fn message(&mut self) -> Message {
        let size = self.size();
        let kind = self.below(3);
        let compressible = self.below(4) != 0;
        // How many fragments it would have; the library sends each message whole.
        if self.below(4) == 0 {
            self.next();
        }
        self.made += 1;
        match (kind, compressible) {
            (1, true) => Message::from(self.words(&KOREAN, size / 3)),
            (1, false) => Message::from(self.syllables(size / 3)),
            (2, true) => Message::from(self.words(&ASCII, size).into_bytes()),
            (2, false) => Message::from(self.noise(size)),
            (_, true) => Message::from(self.words(&ASCII, size)),
            (_, false) => Message::from(self.letters(size)),
        }
    }

    /// The first message is empty and the second as large as any; of the others most are small.
    fn size(&mut self) -> usize {
        if self.made < 2 {
            return self.made * LARGEST;
        }
        match self.below(400) {
            0..20 => 0,
            20..240 => self.below(128),
            240..352 => self.below(4096),
            352..392 => self.below(65_536),
            392..399 => self.below(262_144),
            _ => self.below(1 + (1 << 20)),
        }
    }

    /// So many characters of words.
    fn words(&mut self, words: &[&str; 16], size: usize) -> String {
        let mut text = String::new();
        let mut left = size;
        while left > 0 {
            let word = words[self.below(16)];
            text.extend(word.chars().take(left));
            left = left.saturating_sub(word.chars().count());
        }
        text
    }

    fn letters(&mut self, size: usize) -> String {
        let mut text = String::with_capacity(size + 5);
        while text.len() < size {
            let drawn = self.next();
            text.extend([0, 6, 12, 18, 24].map(|shift| char::from(ALPHABET[(drawn >> shift) as usize & 63])));
        }
        text.truncate(size);
        text
    }

    fn syllables(&mut self, size: usize) -> String {
        let mut text = String::new();
        let mut left = size;
        while left > 0 {
            let drawn = self.next();
            let two = [drawn & 0xFFFF, drawn >> 16];
            text.extend(two.iter().take(left).filter_map(|half| char::from_u32(0xAC00 + half % 11_172)));
            left = left.saturating_sub(2);
        }
        text
    }

    fn noise(&mut self, size: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(size + 4);
        while bytes.len() < size {
            bytes.extend(self.next().to_le_bytes());
        }
        bytes.truncate(size);
        bytes
    }
}
