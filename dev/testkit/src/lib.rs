//! Tests over the sources themselves, for the rules that no compiler and no linter knows.
//!
//! | file | what it does |
//! | --- | --- |
//! | [`cuts`] | says whether the guide's snippets are what the files have that tests run |
//! | [`faults`] | a TCP proxy that resets, stalls, halves, slows and alters connections by a seed, and counts what it did in each direction; for tests of the crates |
//! | [`layers`] | reads the table in `ARCHITECTURE.md` and says who imports what it may not |
//! | [`tidiness`] | file lengths, left-overs, reasons of dependencies, machine paths, README commands |
//! | [`rust`] | finds the paths that a Rust file names |
//! | [`manifest`] | finds the dependencies that a `Cargo.toml` names |
//! | [`tree`] | the files of the workspace |
//!
//! Each check is a function from texts to complaints, so that a test can hand it a bad example and see it complain.

pub mod cuts;
pub mod faults;
pub mod layers;
pub mod manifest;
pub mod rust;
pub mod tidiness;
pub mod tree;
