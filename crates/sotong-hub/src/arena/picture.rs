//! What somebody knows who hears the frames. The world uses it too, to know what it has told.

use std::collections::BTreeMap;

use super::frames::{Delta, Figure, Place, ServerFrame, Welcome};
use super::player::PlayerId;

/// What there is to see after a tick.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// The tick.
    pub tick: u32,
    /// The gems.
    pub gems: Vec<Place>,
    /// The players.
    pub players: BTreeMap<PlayerId, Figure>,
}

impl Picture {
    /// As it is in a frame that has everything.
    pub fn of(welcome: &Welcome) -> Picture {
        let players = welcome.players.iter().map(|figure| (figure.id, figure.clone())).collect();
        Picture { tick: welcome.tick, gems: welcome.gems.clone(), players }
    }

    /// All of it in one frame.
    pub fn welcome(&self, you: Option<PlayerId>) -> Welcome {
        let players = self.players.values().cloned().collect();
        Welcome { tick: self.tick, you, gems: self.gems.clone(), players }
    }

    /// As it is after one more tick.
    pub fn apply(&mut self, delta: &Delta) {
        self.tick = delta.tick;
        for id in &delta.gone {
            self.players.remove(id);
        }
        for figure in &delta.came {
            self.players.insert(figure.id, figure.clone());
        }
        for (id, place) in &delta.moved {
            self.change(id, |figure| figure.place = *place);
        }
        for (id, score) in &delta.scored {
            self.change(id, |figure| figure.score = *score);
        }
        for (id, name) in &delta.named {
            self.change(id, |figure| figure.name = name.clone());
        }
        for (gem, place) in &delta.gems {
            if let Some(known) = self.gems.get_mut(usize::from(*gem)) {
                *known = *place;
            }
        }
    }

    fn change(&mut self, id: &PlayerId, change: impl FnOnce(&mut Figure)) {
        if let Some(figure) = self.players.get_mut(id) {
            change(figure);
        }
    }
}

/// Somebody who hears the frames in their order, some of which may be missing.
#[derive(Clone, Debug, Default)]
pub struct Viewer {
    /// What it knows; nothing before the first frame that has everything.
    pub picture: Option<Picture>,
    /// Who it is, if it plays.
    pub you: Option<PlayerId>,
    /// Whether something is missing: what it knows is no more true, until everything comes anew.
    is_behind: bool,
}

/// What a frame was to somebody who hears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewed {
    /// It knows more.
    Applied,
    /// Nothing: it is older than what it knows, or cannot be used before everything comes anew.
    PassedOver,
    /// The one before it is missing: it has to ask for everything anew.
    Gap,
}

impl Viewer {
    /// Hears a frame.
    pub fn hear(&mut self, frame: &ServerFrame) -> Viewed {
        match (frame, &mut self.picture) {
            (ServerFrame::Welcome(welcome), picture) => {
                *picture = Some(Picture::of(welcome));
                (self.you, self.is_behind) = (welcome.you, false);
                Viewed::Applied
            }
            (ServerFrame::Delta(delta), Some(picture)) if !self.is_behind && delta.tick > picture.tick => {
                if delta.tick == picture.tick.wrapping_add(1) {
                    picture.apply(delta);
                    return Viewed::Applied;
                }
                self.is_behind = true;
                Viewed::Gap
            }
            (ServerFrame::Delta(_) | ServerFrame::Pong(_), _) => Viewed::PassedOver,
        }
    }

    /// Whether it waits for everything to come anew.
    pub fn is_behind(&self) -> bool {
        self.is_behind
    }
}
