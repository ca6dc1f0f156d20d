//! An axum program with pages, JSON and WebSockets on one port.
#![allow(clippy::print_stdout, reason = "a program that tells where it listens")]

fn main() {
    println!("still to come");
}
