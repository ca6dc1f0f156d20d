//! The codec alone, on one core: what a message costs it that lies whole in the read buffer, and how much one pass saves
//! that unmasks and checks at once.
//!
//! Both ways take turns, some hundred microseconds each, because a virtual machine's speed moves within seconds; criterion
//! (`cargo bench -p sotong-bench`), which measures one after the other, is for the history of each.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sotong_proto::{Config, Connection, Event, Outbox, Side, Time};

use crate::cores::{self, Pinning};
use crate::failure::Result;
use crate::frame::{self, Opcode};
use crate::machine;
use crate::page::{self, Part, Section};
use crate::plot::{Bar, Plot};
use crate::settings::CodecSettings;
use crate::spread::Spread;

/// How long one turn lasts, about.
const TURN: Duration = Duration::from_micros(300);
/// Small messages come many in one read.
const SMALL_IN_ONE_READ: usize = 100;

/// Some frames in a buffer, to be read again and again: their key is zero, which is as much work as any other, and leaves
/// the text as it is.
struct Reader {
    connection: Connection,
    /// For the core's answers. Nothing in these frames is answered.
    outbox: Outbox,
    frames: Vec<u8>,
    count: usize,
    /// Look at the payload again, as a reader does whose unmasking does not.
    checks: bool,
}

impl Reader {
    fn new(opcode: Opcode, text: &str, count: usize) -> Reader {
        let mut frames = Vec::new();
        for _ in 0..count {
            frame::write_masked(&mut frames, opcode, [0; 4], text.as_bytes());
        }
        let config = Arc::new(Config::default());
        let connection = Connection::new(Side::Server, config.clone(), Time::ZERO);
        Reader { connection, outbox: Outbox::server(config), frames, count, checks: opcode == Opcode::Binary }
    }

    /// Nanoseconds for one message.
    fn turn(&mut self, rounds: usize) -> f64 {
        let begin = Instant::now();
        for _ in 0..rounds {
            let mut received = self.connection.receive(black_box(&mut self.frames), Time::ZERO);
            let mut messages = 0;
            while let Some(event) = received.next(&mut self.outbox) {
                let Event::Message(message) = black_box(event) else { panic!("a message was sent") };
                if self.checks {
                    assert!(simdutf8::basic::from_utf8(message.as_bytes()).is_ok(), "text was sent");
                }
                messages += 1;
            }
            assert_eq!(messages, self.count);
        }
        begin.elapsed().as_nanos() as f64 / (rounds * self.count) as f64
    }
}

/// What is read.
struct Work {
    name: &'static str,
    text: String,
    in_one_read: usize,
}

fn works() -> Vec<Work> {
    let ascii =
        |bytes: usize| (0..bytes).map(|index| char::from(b' ' + (index % 89) as u8)).collect::<String>();
    let korean = |bytes: usize| "소통은서로통하는것이다".repeat(bytes / 33);
    vec![
        Work { name: "40 bytes of ASCII", text: ascii(40), in_one_read: SMALL_IN_ONE_READ },
        Work { name: "1 KiB of ASCII", text: ascii(1024), in_one_read: 1 },
        Work { name: "64 KiB of ASCII", text: ascii(65_536), in_one_read: 1 },
        Work { name: "1 KiB of Korean", text: korean(1024), in_one_read: 1 },
        Work { name: "64 KiB of Korean", text: korean(65_536), in_one_read: 1 },
    ]
}

/// A work's figures in all rounds.
struct Line {
    name: &'static str,
    /// Nanoseconds from the read buffer to a text message that is borrowed from it.
    one_pass: Spread,
    /// What unmasking and then checking takes, in parts of that; the frame around it, as an empty message has it, is not
    /// counted in either.
    two_passes: Spread,
}

/// The subcommand `codec`.
pub(crate) fn run(settings: &CodecSettings) -> Result<()> {
    if let Pinning::Cores { server, .. } = settings.pinning {
        cores::pin(server)?;
    }
    println!("{}", machine::facts());
    println!("{} rounds; a message from the read buffer to text that is borrowed from it", settings.runs);
    println!("{:<20} {:>24} {:>24}", "message", "ns in one pass", "two passes, times one");
    let lines: Vec<Line> = works().iter().filter_map(|work| measure(settings, work)).collect();
    for line in &lines {
        println!("{:<20} {:>24} {:>24}", line.name, line.one_pass.show(), line.two_passes.show());
    }
    settings.page.as_ref().map_or(Ok(()), |page| section(settings, &lines)?.write(page))
}

fn measure(settings: &CodecSettings, work: &Work) -> Option<Line> {
    let mut one = Reader::new(Opcode::Text, &work.text, work.in_one_read);
    let mut two = Reader::new(Opcode::Binary, &work.text, work.in_one_read);
    let mut empty = Reader::new(Opcode::Text, "", work.in_one_read);
    let rounds = (TURN.as_nanos() as f64 / one.turn(100) / work.in_one_read as f64).ceil() as usize;
    let mut turns = Vec::with_capacity(settings.runs);
    for _ in 0..settings.runs {
        turns.push([one.turn(rounds), two.turn(rounds), empty.turn(rounds)]);
    }
    Some(Line {
        name: work.name,
        one_pass: middle(turns.iter().map(|[one, ..]| *one))?,
        two_passes: middle(turns.iter().map(|[one, two, empty]| (two - empty) / (one - empty)))?,
    })
}

/// The middle half: of hundreds of short turns some are always disturbed.
fn middle(values: impl Iterator<Item = f64>) -> Option<Spread> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let quarter = values.len() / 4;
    Spread::of(values[quarter..values.len() - quarter].iter().copied())
}

/// For the documentation.
fn section(settings: &CodecSettings, lines: &[Line]) -> Result<Section> {
    let how = format!("{} rounds, medians (first–third quartile)", settings.runs);
    let facts = page::facts(how, &[])?;
    let part = Part {
        heads: vec!["message".into(), "ns in one pass".into(), "two passes, times one".into()],
        rows: lines
            .iter()
            .map(|line| vec![line.name.into(), line.one_pass.show(), line.two_passes.show()])
            .collect(),
        plot: Plot {
            name: "codec".into(),
            title: "Unmask, then simdutf8: times as long as both in one pass".into(),
            bars: lines
                .iter()
                .map(|line| Bar { label: line.name.into(), spread: line.two_passes, is_ours: false })
                .collect(),
        },
    };
    Ok(Section { name: "codec".into(), facts, parts: vec![part] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_work_is_read_as_what_it_is() {
        for work in works() {
            for opcode in [Opcode::Text, Opcode::Binary] {
                assert!(Reader::new(opcode, &work.text, work.in_one_read).turn(2) > 0.0);
            }
        }
        let lengths: Vec<usize> = works().iter().map(|work| work.text.len()).collect();
        assert_eq!(lengths, [40, 1024, 65_536, 1023, 65_505], "three bytes a character");
    }
}
