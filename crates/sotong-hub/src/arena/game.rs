//! Who is connected, and what has to be said to whom.

use std::collections::{BTreeMap, BTreeSet};

use super::frames::ServerFrame;
use super::player::{Direction, PlayerId, PlayerName};
use super::wire::{ClientFrame, Malformed};
use super::world::{PLAYERS_MAX, World};

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeatId(u64);

/// What came in a message.
#[derive(Clone, Copy, Debug)]
pub enum Said<'a> {
    /// Text, which nobody understands here.
    Text,
    /// Bytes.
    Bytes(&'a [u8]),
}

/// What has to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Everybody who is subscribed gets this.
    Publish(Vec<u8>),
    /// From now on this one gets what is published.
    Subscribe(SeatId),
    /// This one gets this.
    Send(SeatId, Vec<u8>),
    /// This connection ends.
    Close {
        /// Which one. It is forgotten already.
        seat: SeatId,
        /// With this code,
        code: u16,
        /// and this reason.
        reason: String,
    },
}

/// The game: a world, and those who are connected.
///
/// Whoever is connected sees everything from the next tick on; who says a name plays, as long as there is room.
#[derive(Clone, Debug)]
pub struct Game {
    world: World,
    seats: BTreeMap<SeatId, Seat>,
    seats_made: u64,
    /// Those for whom something has to be done at the next tick.
    due: BTreeSet<SeatId>,
}

#[derive(Clone, Debug, Default)]
struct Seat {
    player: Option<PlayerId>,
    is_subscribed: bool,
    /// To be called this at the next tick, and to play, if it does not yet.
    name: Option<PlayerName>,
    /// What is held by somebody who will play at the next tick.
    held: Direction,
    /// Whether it gets everything at the next tick.
    wants_everything: bool,
}

impl Game {
    /// A game with nobody in it. Any seed will do.
    pub fn new(seed: u64) -> Game {
        Game { world: World::new(seed), seats: BTreeMap::new(), seats_made: 0, due: BTreeSet::new() }
    }

    /// The world.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Whether nobody is connected: then ticks are not needed.
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// Somebody has connected.
    pub fn open(&mut self) -> SeatId {
        self.seats_made += 1;
        let seat = SeatId(self.seats_made);
        self.seats.insert(seat, Seat { wants_everything: true, ..Seat::default() });
        self.due.insert(seat);
        seat
    }

    /// Somebody has said something. What cannot be understood ends its connection.
    pub fn message(&mut self, seat: SeatId, said: Said<'_>, outputs: &mut Vec<Output>) {
        let frame = match said {
            Said::Text => Err(Malformed::Text),
            Said::Bytes(message) => ClientFrame::decode(message),
        };
        if let Err(malformed) = frame.and_then(|frame| self.act(seat, frame, outputs)) {
            self.end(seat, malformed.code(), malformed.reason().to_owned(), outputs);
        }
    }

    fn act(&mut self, id: SeatId, frame: ClientFrame, outputs: &mut Vec<Output>) -> Result<(), Malformed> {
        // What was on its way when the connection was ended.
        let Some(seat) = self.seats.get_mut(&id) else { return Ok(()) };
        if let Some(player) = seat.player {
            self.world.heard(player);
        }
        match frame {
            ClientFrame::Name(name) => {
                seat.name = Some(name);
                self.due.insert(id);
            }
            ClientFrame::Steer(direction) => match seat.player {
                Some(player) => self.world.steer(player, direction),
                None if seat.name.is_some() => seat.held = direction,
                None => return Err(Malformed::NotPlaying),
            },
            ClientFrame::Ping(number) => outputs.push(Output::Send(id, ServerFrame::pong(number))),
            ClientFrame::Resync => {
                seat.wants_everything = true;
                self.due.insert(id);
            }
        }
        Ok(())
    }

    /// A connection is over, however it ended.
    pub fn close(&mut self, seat: SeatId) {
        self.due.remove(&seat);
        if let Some(Seat { player: Some(player), .. }) = self.seats.remove(&seat) {
            self.world.leave(player);
        }
    }

    fn end(&mut self, seat: SeatId, code: u16, reason: String, outputs: &mut Vec<Output>) {
        if self.seats.contains_key(&seat) {
            self.close(seat);
            outputs.push(Output::Close { seat, code, reason });
        }
    }

    /// Lets a moment go by.
    ///
    /// What is new is published before newcomers are subscribed, and they get everything as it is after it: so the next
    /// thing they hear is what follows.
    pub fn tick(&mut self, outputs: &mut Vec<Output>) {
        let due = std::mem::take(&mut self.due);
        for &id in &due {
            self.take_in(id, outputs);
        }
        outputs.push(Output::Publish(self.world.tick().encode()));
        for id in due {
            let Some(seat) = self.seats.get_mut(&id) else { continue };
            if !std::mem::replace(&mut seat.is_subscribed, true) {
                outputs.push(Output::Subscribe(id));
            }
            if std::mem::take(&mut seat.wants_everything) {
                let everything = self.world.picture().welcome(seat.player);
                outputs.push(Output::Send(id, everything.encode()));
            }
        }
    }

    /// Gives somebody the name that it has said, and a place among the players if it has none.
    fn take_in(&mut self, id: SeatId, outputs: &mut Vec<Output>) {
        let Some(seat) = self.seats.get_mut(&id) else { return };
        let Some(name) = seat.name.take() else { return };
        if let Some(player) = seat.player {
            self.world.rename(player, name);
            return;
        }
        match self.world.join(name) {
            Ok(player) => {
                seat.player = Some(player);
                // Now it is told who it is.
                seat.wants_everything = true;
                self.world.steer(player, seat.held);
            }
            Err(full) => {
                // "try again later" (IANA's registry of close codes)
                let reason = format!("{full}, and no more than {PLAYERS_MAX} may");
                self.end(id, 1013, reason, outputs);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::picture::Viewer;
    use super::*;

    fn named(text: &str) -> Vec<u8> {
        ClientFrame::Name(PlayerName::new(text.as_bytes()).unwrap()).encode()
    }

    fn say(game: &mut Game, seat: SeatId, message: &[u8]) -> Vec<Output> {
        let mut outputs = Vec::new();
        game.message(seat, Said::Bytes(message), &mut outputs);
        outputs
    }

    fn tick(game: &mut Game) -> Vec<Output> {
        let mut outputs = Vec::new();
        game.tick(&mut outputs);
        outputs
    }

    fn decoded(output: &Output) -> ServerFrame {
        let (Output::Publish(message) | Output::Send(_, message)) = output else { panic!("{output:?}") };
        ServerFrame::decode(message).unwrap()
    }

    #[test]
    fn who_connects_sees_everything_and_who_says_a_name_plays() {
        let mut game = Game::new(1);
        let watching = game.open();
        let outputs = tick(&mut game);
        assert_eq!(outputs[1], Output::Subscribe(watching));
        let ServerFrame::Welcome(welcome) = decoded(&outputs[2]) else { panic!("{outputs:?}") };
        assert_eq!((welcome.tick, welcome.you, welcome.players.len()), (1, None, 0));

        let ada = game.open();
        assert_eq!(say(&mut game, ada, &named("Ada")), []);
        assert_eq!(say(&mut game, ada, &[0x12, 8]), [], "it may hold a key at once");
        let outputs = tick(&mut game);
        assert_eq!(outputs.len(), 3, "the delta, and for the newcomer a subscription and everything");
        let ServerFrame::Delta(delta) = decoded(&outputs[0]) else { panic!("{outputs:?}") };
        let ServerFrame::Welcome(welcome) = decoded(&outputs[2]) else { panic!("{outputs:?}") };
        assert_eq!(delta.came[0].name.as_str(), "Ada");
        assert_eq!((welcome.tick, welcome.you), (delta.tick, Some(delta.came[0].id)));
        let ServerFrame::Delta(delta) = decoded(&tick(&mut game)[0]) else { panic!("a delta") };
        assert_eq!(delta.moved.len(), 1, "and it moves");

        say(&mut game, ada, &named("아다"));
        let outputs = tick(&mut game);
        let ServerFrame::Delta(delta) = decoded(&outputs[0]) else { panic!("a delta") };
        assert_eq!((delta.named.len(), outputs.len()), (1, 1), "a new name is told to all at once");
    }

    #[test]
    fn pings_come_back_at_once_and_a_flood_of_directions_is_one() {
        let mut game = Game::new(1);
        let ada = game.open();
        say(&mut game, ada, &named("Ada"));
        tick(&mut game);
        let outputs = say(&mut game, ada, &[0x13, 1, 2, 3, 4]);
        assert_eq!(outputs, [Output::Send(ada, vec![0x1a, 1, 2, 3, 4])]);
        let mut calm = game.clone();
        for bits in 0..16 {
            assert_eq!(say(&mut game, ada, &[0x12, bits]), []);
        }
        say(&mut game, ada, &[0x12, 2]);
        say(&mut calm, ada, &[0x12, 2]);
        assert_eq!(tick(&mut game), tick(&mut calm));
    }

    #[test]
    fn everything_comes_anew_once_a_tick_however_often_it_is_asked_for() {
        let mut game = Game::new(1);
        let ada = game.open();
        tick(&mut game);
        for _ in 0..100 {
            assert_eq!(say(&mut game, ada, &[0x14]), []);
        }
        assert_eq!(tick(&mut game).len(), 2);
        assert_eq!(tick(&mut game).len(), 1);
    }

    #[test]
    fn what_is_no_frame_ends_its_connection_and_no_other() {
        for (message, code) in [
            (&b""[..], 1003),
            (b"\x00", 1003),
            (b"\x19", 1003),
            (b"\x12", 1007),
            (b"\x12\x10", 1007),
            (b"\x13\0\0\0", 1007),
            (b"\x14\0", 1007),
            (b"\x11\xff", 1007),
            (b"\x11", 1008),
            (b"\x11\x07", 1008),
        ] {
            let mut game = Game::new(1);
            let (ada, bo) = (game.open(), game.open());
            for seat in [ada, bo] {
                say(&mut game, seat, &named("x"));
            }
            tick(&mut game);
            let outputs = say(&mut game, ada, message);
            let [Output::Close { seat, code: seen, .. }] = &outputs[..] else { panic!("{outputs:?}") };
            assert_eq!((*seat, *seen), (ada, code), "{message:02x?}");
            assert_eq!(say(&mut game, ada, message), [], "what was on its way is nobody's");
            let ServerFrame::Delta(delta) = decoded(&tick(&mut game)[0]) else { panic!("a delta") };
            assert_eq!((delta.gone.len(), game.world().players()), (1, 1));
        }
        let mut game = Game::new(1);
        let watching = game.open();
        let outputs = say(&mut game, watching, &[0x12, 1]);
        assert!(matches!(outputs[..], [Output::Close { code: 1008, .. }]), "it does not play");
    }

    #[test]
    fn the_one_past_the_limit_is_told_to_come_back_later() {
        let mut game = Game::new(1);
        let seats: Vec<SeatId> = (0..=PLAYERS_MAX).map(|_| game.open()).collect();
        for &seat in &seats {
            say(&mut game, seat, &named("x"));
        }
        let outputs = tick(&mut game);
        let Output::Close { seat, code, reason } = &outputs[0] else { panic!("{outputs:?}") };
        assert_eq!((*seat, *code), (seats[PLAYERS_MAX], 1013));
        assert_eq!(reason, "the arena is full: 64 play already, and no more than 64 may");
        assert_eq!(game.world().players(), PLAYERS_MAX);
        game.close(seats[0]);
        let next = game.open();
        say(&mut game, next, &named("next"));
        assert!(!tick(&mut game).iter().any(|output| matches!(output, Output::Close { .. })));
    }

    #[test]
    fn a_late_viewer_knows_what_an_early_one_knows() {
        let mut game = Game::new(9);
        let mut viewers = Vec::new();
        for round in 0..40_u8 {
            let seat = game.open();
            say(&mut game, seat, &named(&format!("p{round}")));
            say(&mut game, seat, &[0x12, round % 16]);
            viewers.push((seat, false, Viewer::default()));
            for output in tick(&mut game) {
                let heard = |seat: SeatId, subscribed: bool| match &output {
                    Output::Publish(_) => subscribed,
                    Output::Send(to, _) => *to == seat,
                    _ => false,
                };
                for (seat, is_subscribed, viewer) in &mut viewers {
                    if output == Output::Subscribe(*seat) {
                        *is_subscribed = true;
                    }
                    if heard(*seat, *is_subscribed) {
                        viewer.hear(&decoded(&output));
                    }
                }
            }
        }
        for (_, _, viewer) in &viewers {
            assert_eq!(viewer.picture.as_ref(), Some(game.world().picture()));
        }
    }
}
