//! A game for several players: its rules and its frames, without sockets and clocks.
//!
//! ```text
//!                open · message · close · tick
//!   serve/  ──────────────────────────────────────►  Game ── seats: who is connected
//!  (sockets,                                           │
//!   the time)  ◄──────────────────────────────────     └──── World ─┬─ Player (where, how fast, which way)
//!               outputs: a frame for all, a frame                   └─ gems
//!               for one, a subscription, an end
//!
//!   Welcome, Delta (frames of the server) ──► Picture: what a page knows, and what the world has told
//! ```
//!
//! The world stands still between two ticks: whatever comes meanwhile is noted and counts at the next one. So the same
//! seed, and the same inputs between the same ticks, give the same frames, byte by byte; numbers are whole, no
//! floating-point unit has a say.
//!
//! `docs/game.md` has the frames byte by byte.

mod frames;
mod game;
mod motion;
mod picture;
mod player;
mod wire;
mod world;

pub use frames::{Delta, Figure, Place, ServerFrame, Welcome};
pub use game::{Game, Output, Said, SeatId};
pub use motion::{HEIGHT, PLAYER_RADIUS, UNIT, WIDTH};
pub use picture::{Picture, Viewed, Viewer};
pub use player::{Direction, NAME_BYTES_MAX, PlayerId, PlayerName};
pub use wire::{ClientFrame, Malformed, VERSION};
pub use world::{Full, GEM_RADIUS, GEMS, PLAYERS_MAX, SILENCE_TICKS, TICK_MS, World};
