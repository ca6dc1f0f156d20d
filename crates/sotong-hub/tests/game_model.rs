//! The game played at random: whoever hears its frames knows what the world knows, whenever they came, whatever was left
//! out for them, and whoever left in between. And the same seed, with the same inputs, gives the same frames.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

use std::collections::{BTreeMap, VecDeque};

use sotong_hub::arena::{
    ClientFrame, Direction, Game, Output, PLAYERS_MAX, PlayerName, Said, SeatId, ServerFrame, Viewed, Viewer,
};

/// How many publications wait for a connection that is behind; here fewer than in earnest.
const WAITING_MAX: usize = 5;

/// splitmix64, so that a seed says it all.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// A connection, with a client at its other end.
#[derive(Default)]
struct Line {
    viewer: Viewer,
    is_subscribed: bool,
    /// While it is blocked, nothing arrives.
    is_blocked: bool,
    /// What was sent, and waits.
    sent: VecDeque<Vec<u8>>,
    /// What was published, and waits: only so many, the oldest go. What is sent may overtake it.
    published: VecDeque<Vec<u8>>,
    /// What the client says next.
    to_say: Vec<Vec<u8>>,
    gaps: usize,
}

impl Line {
    /// What waits arrives.
    fn flow(&mut self, seed: u64) {
        if self.is_blocked {
            return;
        }
        for message in self.sent.drain(..).chain(self.published.drain(..)) {
            let frame =
                ServerFrame::decode(&message).unwrap_or_else(|| panic!("seed {seed}: {message:02x?}"));
            if self.viewer.hear(&frame) == Viewed::Gap {
                self.gaps += 1;
                self.to_say.push(ClientFrame::Resync.encode());
            }
        }
    }

    fn publish(&mut self, message: Vec<u8>, flows: bool) {
        self.published.push_back(message);
        if !flows && self.published.len() > WAITING_MAX {
            self.published.pop_front();
        }
    }
}

#[derive(Default)]
struct Lines {
    lines: BTreeMap<SeatId, Line>,
    closed: BTreeMap<u16, usize>,
    gaps: usize,
    /// Everything that was said to anybody.
    transcript: Vec<Output>,
}

impl Lines {
    fn come(&mut self, game: &mut Game, chance: &mut Chance) {
        self.lines.insert(game.open(), Line { to_say: vec![name(chance)], ..Line::default() });
    }

    fn act(&mut self, outputs: Vec<Output>, seed: u64) {
        for output in outputs {
            self.transcript.push(output.clone());
            match output {
                Output::Publish(message) => {
                    for line in self.lines.values_mut().filter(|line| line.is_subscribed) {
                        line.publish(message.clone(), !line.is_blocked);
                        line.flow(seed);
                    }
                }
                Output::Subscribe(seat) => {
                    let line = self.lines.get_mut(&seat).unwrap();
                    assert!(
                        !std::mem::replace(&mut line.is_subscribed, true),
                        "seed {seed}: subscribed twice"
                    );
                }
                Output::Send(seat, message) => {
                    let line = self.lines.get_mut(&seat).unwrap();
                    line.sent.push_back(message);
                    line.flow(seed);
                }
                Output::Close { seat, code, .. } => {
                    self.gaps += self.lines.remove(&seat).unwrap().gaps;
                    *self.closed.entry(code).or_default() += 1;
                }
            }
        }
    }

    /// Whoever hears everything knows everything.
    fn check(&self, game: &Game, seed: u64) {
        for (seat, line) in &self.lines {
            let is_up_to_date = line.is_subscribed && !line.is_blocked && !line.viewer.is_behind();
            if is_up_to_date {
                let seen = line.viewer.picture.as_ref();
                assert_eq!(seen, Some(game.world().picture()), "seed {seed}: {seat:?}");
                assert!(line.viewer.you.is_none_or(|you| seen.unwrap().players.contains_key(&you)));
            }
        }
    }
}

fn name(chance: &mut Chance) -> Vec<u8> {
    let names = ["Ada", "보라", "x", "🦑🦑", "a name that has thirty-two bytes"];
    let name = names[chance.below(names.len() as u64) as usize];
    ClientFrame::Name(PlayerName::new(name.as_bytes()).unwrap()).encode()
}

fn something(chance: &mut Chance) -> Vec<u8> {
    match chance.below(40) {
        0..8 => name(chance),
        8..30 => ClientFrame::Steer(Direction::from_bits(chance.below(16) as u8).unwrap()).encode(),
        30..34 => ClientFrame::Ping(chance.below(1 << 32) as u32).encode(),
        34..39 => ClientFrame::Resync.encode(),
        // Anything.
        _ => (0..chance.below(8)).map(|_| chance.below(256) as u8).collect(),
    }
}

/// Some hundred ticks of comings, goings, messages and blocked lines.
fn play(seed: u64) -> (Game, Lines) {
    let mut chance = Chance(seed);
    let mut game = Game::new(seed);
    let mut lines = Lines::default();
    // Some arenas are nearly empty, one in eight is too small.
    let (crowd, ticks) = match seed % 8 {
        0 => (PLAYERS_MAX + 4, 80),
        1 | 2 => (20, 300),
        _ => (4, 300),
    };
    if crowd > PLAYERS_MAX {
        for _ in 0..crowd {
            lines.come(&mut game, &mut chance);
        }
    }
    for _ in 0..ticks {
        for _ in 0..chance.below(12) + crowd as u64 / 4 {
            let seats: Vec<SeatId> = lines.lines.keys().copied().collect();
            if seats.len() < crowd && chance.one_in(3) {
                lines.come(&mut game, &mut chance);
            }
            if seats.is_empty() {
                continue;
            }
            let seat = seats[chance.below(seats.len() as u64) as usize];
            let line = lines.lines.get_mut(&seat).unwrap();
            match chance.below(24) {
                0 if chance.one_in(3) => {
                    lines.gaps += lines.lines.remove(&seat).unwrap().gaps;
                    game.close(seat);
                }
                1 => line.is_blocked = true,
                2..5 => {
                    line.is_blocked = false;
                    line.flow(seed);
                }
                _ => {
                    let message = line.to_say.pop().unwrap_or_else(|| something(&mut chance));
                    let mut outputs = Vec::new();
                    let said = if chance.one_in(500) { Said::Text } else { Said::Bytes(&message) };
                    game.message(seat, said, &mut outputs);
                    lines.act(outputs, seed);
                }
            }
        }
        tick(&mut game, &mut lines, seed);
    }
    (game, lines)
}

fn tick(game: &mut Game, lines: &mut Lines, seed: u64) {
    let mut outputs = Vec::new();
    game.tick(&mut outputs);
    lines.act(outputs, seed);
    lines.check(game, seed);
    assert!(game.world().players() <= PLAYERS_MAX, "seed {seed}");
}

#[test]
fn whoever_hears_the_frames_knows_what_the_world_knows() {
    let (mut gaps, mut closed) = (0, BTreeMap::new());
    for seed in 0..20 {
        let (mut game, mut lines) = play(seed);
        // All is well again: nobody is blocked, and who has missed something asks for everything.
        for _ in 0..4 {
            let mut outputs = Vec::new();
            for (seat, line) in &mut lines.lines {
                line.is_blocked = false;
                line.flow(seed);
                for message in line.to_say.drain(..) {
                    game.message(*seat, Said::Bytes(&message), &mut outputs);
                }
            }
            lines.act(outputs, seed);
            tick(&mut game, &mut lines, seed);
        }
        for line in lines.lines.values() {
            assert!(line.is_subscribed && !line.viewer.is_behind(), "seed {seed}");
            gaps += line.gaps;
        }
        gaps += lines.gaps;
        for (code, count) in std::mem::take(&mut lines.closed) {
            *closed.entry(code).or_insert(0) += count;
        }

        // Everybody leaves, and nothing is left.
        for seat in std::mem::take(&mut lines.lines).into_keys() {
            game.close(seat);
        }
        assert!(game.is_empty());
        tick(&mut game, &mut lines, seed);
        assert!(game.world().picture().players.is_empty(), "seed {seed}");
    }
    assert!(gaps > 100, "some fell behind: {gaps}");
    assert!([1003, 1007, 1008, 1013].iter().all(|code| closed.contains_key(code)), "{closed:?}");
}

#[test]
fn the_same_seed_and_the_same_inputs_give_the_same_frames() {
    for seed in [0, 7, 9] {
        let (first, second) = (play(seed).1.transcript, play(seed).1.transcript);
        assert!(first.len() >= 80);
        assert!(first == second, "seed {seed}");
    }
    assert!(play(1).1.transcript != play(2).1.transcript, "another seed is another game");
}
