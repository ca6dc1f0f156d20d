//! Sotong's hub: a realtime server that any browser page talks to with `new WebSocket(url)`, and the binary `sotong`.
//!
//! ```text
//!   cli ──► serve ──┬► core ──► wire       cli: the command line       serve: sockets and pages
//!     ├───► echo    └► arena               core: what to do about it   wire: the words
//!     ├───► connect      (pure)            connect: a client at a terminal, or in a script
//!     └───► bench ──► connect              bench: a load tester for any server
//!                                          arena: the rules of a game, and its frames
//! ```
//!
//! Nothing points back: [`core`], [`wire`] and [`arena`] know neither sockets nor clocks.
#![forbid(unsafe_code)]

pub mod arena;
pub mod bench;
pub mod cli;
pub mod connect;
pub mod core;
mod dice;
pub mod echo;
pub mod serve;
pub mod wire;
