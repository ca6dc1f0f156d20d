//! Sotong's hub: a realtime server that any browser page talks to with `new WebSocket(url)`, and the binary `sotong`.
//!
//! ```text
//!   cli ──► serve ──► core ──► wire        cli: the command line       serve: sockets and pages
//!     ├───► echo        (pure)             core: what to do about it   wire: the words
//!     └───► connect                        connect: a client at a terminal, or in a script
//! ```
//!
//! Nothing points back: [`core`] and [`wire`] know neither sockets nor clocks.

pub mod cli;
pub mod connect;
pub mod core;
pub mod echo;
pub mod serve;
pub mod wire;
