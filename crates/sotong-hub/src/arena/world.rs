//! The rules: who is where, who takes which gem. Nothing happens between two ticks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::frames::{Delta, Figure, Place, u16_of};
use super::motion::{Body, HEIGHT, PLAYER_RADIUS, UNIT, Vector, WIDTH, bump};
use super::picture::Picture;
use super::player::{Direction, PlayerId, PlayerName};
use crate::dice::Dice;

/// How long a tick is, in milliseconds: twenty of them are a second.
pub const TICK_MS: u8 = 50;
/// How many may play at a time.
pub const PLAYERS_MAX: usize = 64;
/// How many gems there are, always.
pub const GEMS: usize = 12;
/// The radius of a gem.
pub const GEM_RADIUS: i32 = 9 * UNIT;
/// After so many ticks without a word, a player lets go of the keys: three seconds. Its line may be dead.
pub const SILENCE_TICKS: u32 = 60;

/// How often a place is looked for where nobody is. There may be none, and nothing breaks.
const TRIES: usize = 16;

/// The arena.
///
/// ```
/// use sotong_hub::arena::{Direction, PlayerName, World};
///
/// let mut world = World::new(7);
/// let id = world.join(PlayerName::new(b"Ada")?)?;
/// world.tick();
/// let before = world.picture().players[&id].place;
/// world.steer(id, Direction::from_bits(8).unwrap());
/// let delta = world.tick();
/// assert_ne!(world.picture().players[&id].place, before);
/// assert_eq!(delta.moved.len(), 1, "and nothing else is told");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct World {
    dice: Dice,
    players: BTreeMap<PlayerId, Player>,
    gems: [Vector; GEMS],
    /// Who has joined since the last tick.
    newcomers: BTreeSet<PlayerId>,
    /// What there was to see after the last tick, as it was told.
    told: Picture,
}

/// Nobody else may play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the arena is full: {PLAYERS_MAX} play already")
    }
}

impl std::error::Error for Full {}

#[derive(Clone, Debug)]
struct Player {
    name: PlayerName,
    body: Body,
    score: u32,
    held: Direction,
    heard_at: u32,
}

impl World {
    /// An arena with gems and without players. Any seed will do.
    pub fn new(seed: u64) -> World {
        let mut dice = Dice::new(seed);
        let gems = [(); GEMS].map(|()| anywhere(&mut dice, GEM_RADIUS));
        let told = Picture { tick: 0, gems: gems.map(place).to_vec(), players: BTreeMap::new() };
        World { dice, players: BTreeMap::new(), gems, newcomers: BTreeSet::new(), told }
    }

    /// Somebody comes in. Told at the next tick.
    ///
    /// # Errors
    /// When [`PLAYERS_MAX`] play already.
    pub fn join(&mut self, name: PlayerName) -> Result<PlayerId, Full> {
        let id = PlayerId::all().find(|id| !self.players.contains_key(id)).ok_or(Full)?;
        let free = 2 * PLAYER_RADIUS;
        let others: Vec<Vector> = self.players.values().map(|player| player.body.at).collect();
        let at = apart_from(&others, free, || anywhere(&mut self.dice, PLAYER_RADIUS));
        let (body, heard_at) = (Body::resting(at), self.told.tick);
        self.players.insert(id, Player { name, body, score: 0, held: Direction::default(), heard_at });
        self.newcomers.insert(id);
        Ok(id)
    }

    /// A player leaves. Told at the next tick.
    pub fn leave(&mut self, id: PlayerId) {
        self.players.remove(&id);
        self.newcomers.remove(&id);
    }

    /// A player holds other keys. Of several before a tick the last counts.
    pub fn steer(&mut self, id: PlayerId, held: Direction) {
        if let Some(player) = self.players.get_mut(&id) {
            player.held = held;
        }
    }

    /// A player is called something else.
    pub fn rename(&mut self, id: PlayerId, name: PlayerName) {
        if let Some(player) = self.players.get_mut(&id) {
            player.name = name;
        }
    }

    /// A player has said anything at all.
    pub fn heard(&mut self, id: PlayerId) {
        if let Some(player) = self.players.get_mut(&id) {
            player.heard_at = self.told.tick;
        }
    }

    /// How many play.
    pub fn players(&self) -> usize {
        self.players.len()
    }

    /// What there was to see after the last tick.
    pub fn picture(&self) -> &Picture {
        &self.told
    }

    /// Lets a moment go by, and says what is new.
    pub fn tick(&mut self) -> Delta {
        let now = self.told.tick.wrapping_add(1);
        for player in self.players.values_mut() {
            if now.wrapping_sub(player.heard_at) > SILENCE_TICKS {
                player.held = Direction::default();
            }
            player.body.advance(player.held);
        }
        self.bump_all();
        self.collect();
        let delta = self.news(now);
        self.told.apply(&delta);
        delta
    }

    fn bump_all(&mut self) {
        let mut bodies: Vec<&mut Body> = self.players.values_mut().map(|player| &mut player.body).collect();
        for split in 1..bodies.len() {
            let (before, from) = bodies.split_at_mut(split);
            for one in before {
                bump(one, from[0]);
            }
        }
    }

    /// Who touches a gem has it; of several the nearest. Another one appears elsewhere.
    fn collect(&mut self) {
        let reach = PLAYER_RADIUS + GEM_RADIUS;
        for gem in &mut self.gems {
            let distance = |player: &Player| player.body.at.to(*gem).square();
            let nearest = self.players.values_mut().min_by_key(|player| distance(player));
            let Some(taker) = nearest.filter(|player| distance(player) < reach * reach) else { continue };
            taker.score = taker.score.saturating_add(1);
            let players: Vec<Vector> = self.players.values().map(|player| player.body.at).collect();
            *gem = apart_from(&players, 2 * reach, || anywhere(&mut self.dice, GEM_RADIUS));
        }
    }

    /// What differs from what was told.
    fn news(&mut self, tick: u32) -> Delta {
        let newcomers = std::mem::take(&mut self.newcomers);
        let mut delta = Delta { tick, ..Delta::default() };
        for id in self.told.players.keys() {
            // Somebody may have come in the place of one who left.
            if !self.players.contains_key(id) || newcomers.contains(id) {
                delta.gone.push(*id);
            }
        }
        for (&id, player) in &self.players {
            let here = place(player.body.at);
            let known = self.told.players.get(&id).filter(|_| !newcomers.contains(&id));
            let Some(known) = known else {
                delta.came.push(Figure { id, place: here, score: player.score, name: player.name.clone() });
                continue;
            };
            if known.place != here {
                delta.moved.push((id, here));
            }
            if known.score != player.score {
                delta.scored.push((id, player.score));
            }
            if known.name != player.name {
                delta.named.push((id, player.name.clone()));
            }
        }
        for (number, (gem, known)) in (0..).zip(self.gems.iter().zip(&self.told.gems)) {
            if place(*gem) != *known {
                delta.gems.push((number, place(*gem)));
            }
        }
        delta
    }
}

fn place(at: Vector) -> Place {
    Place { x: u16_of(at.x), y: u16_of(at.y) }
}

/// A place for something of this radius.
fn anywhere(dice: &mut Dice, radius: i32) -> Vector {
    let mut below = |end: i32| {
        let room = u64::try_from(end - 2 * radius).unwrap_or(0);
        radius + i32::try_from(dice.below(room)).unwrap_or(0)
    };
    Vector { x: below(WIDTH), y: below(HEIGHT) }
}

/// A place that is so far from all of these, if one is found.
fn apart_from(others: &[Vector], distance: i32, mut anywhere: impl FnMut() -> Vector) -> Vector {
    let mut at = anywhere();
    for _ in 0..TRIES {
        if others.iter().all(|other| other.to(at).square() >= distance * distance) {
            break;
        }
        at = anywhere();
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> PlayerName {
        PlayerName::new(text.as_bytes()).unwrap()
    }

    fn held(bits: u8) -> Direction {
        Direction::from_bits(bits).unwrap()
    }

    #[test]
    fn players_at_the_limit_and_one_past_it() {
        let mut world = World::new(1);
        let ids: Vec<PlayerId> = (0..PLAYERS_MAX).map(|_| world.join(name("x")).unwrap()).collect();
        assert_eq!(world.join(name("y")), Err(Full));
        world.leave(ids[7]);
        assert_eq!(world.join(name("y")), Ok(ids[7]), "the place is free again");
        assert_eq!(world.join(name("z")), Err(Full));
        for _ in 0..200 {
            world.tick();
        }
        assert_eq!(world.players(), PLAYERS_MAX);
    }

    #[test]
    fn a_gem_is_a_point_and_another_one_appears() {
        let mut world = World::new(2);
        let id = world.join(name("Ada")).unwrap();
        world.tick();
        let before = world.picture().players[&id].score;
        world.players.get_mut(&id).unwrap().body = Body::resting(world.gems[4]);
        let delta = world.tick();
        assert_eq!(delta.scored, [(id, before + 1)]);
        assert_eq!(delta.gems.len(), 1);
        assert_eq!(delta.gems[0].0, 4);
        assert_eq!(world.picture().gems.len(), GEMS);
    }

    #[test]
    fn of_two_at_a_gem_the_nearer_has_it() {
        let mut world = World::new(2);
        let (far, near) = (world.join(name("far")).unwrap(), world.join(name("near")).unwrap());
        world.gems = world.gems.map(|_| Vector { x: 2000, y: 2000 });
        world.gems[0] = Vector { x: WIDTH / 2, y: HEIGHT / 2 };
        for (id, offset) in [(far, PLAYER_RADIUS + 20), (near, -PLAYER_RADIUS - 10)] {
            let at = Vector { x: WIDTH / 2 + offset, y: HEIGHT / 2 };
            world.players.get_mut(&id).unwrap().body = Body::resting(at);
        }
        world.collect();
        assert_eq!((world.players[&near].score, world.players[&far].score), (1, 0));
    }

    #[test]
    fn who_comes_in_the_place_of_another_is_somebody_else() {
        let mut world = World::new(3);
        let id = world.join(name("one")).unwrap();
        world.tick();
        world.leave(id);
        assert_eq!(world.join(name("two")), Ok(id));
        let delta = world.tick();
        assert_eq!(delta.gone, [id]);
        assert_eq!(delta.came[0].name, name("two"));
        assert!(delta.moved.is_empty() && delta.named.is_empty());

        // Gone before anybody heard of it.
        let brief = world.join(name("brief")).unwrap();
        world.leave(brief);
        let delta = world.tick();
        assert!(delta.gone.is_empty() && delta.came.is_empty());
    }

    #[test]
    fn who_says_nothing_for_a_while_lets_go_at_the_limit_and_not_before() {
        let mut world = World::new(4);
        let id = world.join(name("Ada")).unwrap();
        world.steer(id, held(8));
        for _ in 0..SILENCE_TICKS {
            world.tick();
        }
        assert_eq!(world.players[&id].held, held(8));
        world.tick();
        assert_eq!(world.players[&id].held, Direction::default());
        world.steer(id, held(8));
        world.heard(id);
        world.tick();
        assert_eq!(world.players[&id].held, held(8));
    }

    #[test]
    fn what_is_said_of_somebody_who_is_not_here_changes_nothing() {
        let mut world = World::new(5);
        let id = world.join(name("Ada")).unwrap();
        world.leave(id);
        world.leave(id);
        world.steer(id, held(1));
        world.rename(id, name("Bo"));
        world.heard(id);
        assert_eq!(world.tick(), Delta { tick: 1, ..Delta::default() });
    }
}
