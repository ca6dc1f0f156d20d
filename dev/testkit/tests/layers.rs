//! `ARCHITECTURE.md` says which layer may import what; the sources keep to it.

use sotong_testkit::layers::Table;
use sotong_testkit::manifest::{Dependencies, dependencies};
use sotong_testkit::tree::{self, File};
use std::collections::BTreeSet;

fn table() -> Table {
    let architecture = tree::read("ARCHITECTURE.md").expect("ARCHITECTURE.md is there");
    Table::parse(&architecture).expect("its table can be read")
}

/// Every crate that a source file can name: what the root `Cargo.toml` lists.
fn external_crates() -> BTreeSet<String> {
    let manifest = tree::read("Cargo.toml").expect("the workspace has a Cargo.toml");
    let names = dependencies(&manifest.replace("[workspace.dependencies]", "[dependencies]")).normal;
    assert!(names.contains("tokio") && names.contains("sotong_proto"), "the list is read: {names:?}");
    names
}

fn sources() -> Vec<File> {
    let sources: Vec<File> = tree::files("crates")
        .into_iter()
        .filter(|file| file.path.ends_with(".rs") && file.path.contains("/src/"))
        .collect();
    assert!(sources.len() > 10, "the sources are found");
    sources
}

#[test]
fn each_file_imports_only_what_its_layer_may() {
    let (table, external) = (table(), external_crates());
    let complaints: Vec<String> =
        sources().iter().flat_map(|file| table.check_file(file, &external)).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn each_crate_depends_on_what_its_rows_name() {
    let table = table();
    let complaints: Vec<String> = tree::files("crates")
        .into_iter()
        .filter(|file| file.path.ends_with("/Cargo.toml"))
        .flat_map(|file| {
            table.check_dependencies(file.path.trim_end_matches("/Cargo.toml"), &dependencies(&file.text))
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn each_row_is_about_something() {
    let sources = sources();
    let paths: Vec<&str> = sources.iter().map(|file| file.path.as_str()).collect();
    let complaints = table().check_rows(&paths);
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

// The rest shows, on examples in memory, that the checks above can fail.

const EXAMPLE: &str = "
| layer | where | may import | keeps out |
| --- | --- | --- | --- |
| core | `crates/low/src` | `bytes`, `std::net::IpAddr` | `std::net`, `std::time::Instant` |
| driver | `crates/high/src/driver` | `low`, `tokio` | |
| rest | `crates/high/src` | `low`, `tokio` | `low::Connection` |
| pure | `crates/high/src/pure` | `bytes`, `crate::wire` | `crate` |
";

fn example(path: &str, text: &str) -> Vec<String> {
    let external = ["bytes", "tokio", "low", "high", "serde"].map(str::to_string).into();
    let file = File { path: path.to_string(), text: text.to_string() };
    Table::parse(EXAMPLE).expect("the example is a table").check_file(&file, &external)
}

#[test]
fn a_forbidden_import_is_seen() {
    let seen =
        example("crates/low/src/frame.rs", "use bytes::Bytes;\nuse std::{fmt, time::{Duration, Instant}};\n");
    assert_eq!(seen, ["crates/low/src/frame.rs:2: `std::time::Instant` is not for the layer \"core\""]);
}

#[test]
fn a_forbidden_path_without_an_import_is_seen() {
    assert_eq!(example("crates/low/src/a.rs", "fn f(s: std::net::TcpStream) {}").len(), 1);
    assert_eq!(example("crates/low/src/a.rs", "fn f() { tokio::spawn(g()) }").len(), 1);
}

#[test]
fn an_exception_holds() {
    assert!(example("crates/low/src/a.rs", "use std::net::IpAddr;").is_empty());
    assert_eq!(example("crates/low/src/a.rs", "use std::net::{IpAddr, UdpSocket};").len(), 1);
}

#[test]
fn a_glob_import_brings_in_what_is_forbidden() {
    assert_eq!(example("crates/low/src/a.rs", "use std::time::*;").len(), 1);
}

#[test]
fn a_crate_that_no_row_names_is_forbidden() {
    assert_eq!(example("crates/low/src/a.rs", "use serde::Serialize;").len(), 1);
    assert!(example("crates/low/src/a.rs", "use std::collections::BTreeMap;").is_empty());
}

#[test]
fn the_longest_place_decides() {
    assert!(example("crates/high/src/driver/loop.rs", "use low::Connection;").is_empty());
    assert_eq!(example("crates/high/src/server.rs", "use low::{Config, Connection};").len(), 1);
}

#[test]
fn own_modules_can_be_kept_out() {
    assert!(
        example("crates/high/src/pure/a.rs", "use super::b::C; use crate::wire::D; use self::e::F;").len()
            == 2
    );
    assert_eq!(example("crates/high/src/pure/a.rs", "use crate::server::Server;").len(), 1);
    assert!(example("crates/high/src/pure/a.rs", "use crate::wire::Command;").is_empty());
}

#[test]
fn a_file_without_a_row_is_seen() {
    assert_eq!(example("crates/new/src/lib.rs", "").len(), 1);
}

#[test]
fn a_dependency_that_points_back_is_seen() {
    let table = Table::parse(EXAMPLE).expect("the example is a table");
    let named = |normal: &[&str], dev: &[&str]| Dependencies {
        normal: normal.iter().map(ToString::to_string).collect(),
        dev: dev.iter().map(ToString::to_string).collect(),
    };
    assert!(table.check_dependencies("crates/low", &named(&["bytes"], &["proptest"])).is_empty());
    assert_eq!(table.check_dependencies("crates/low", &named(&["bytes", "tokio"], &[])).len(), 1);
    assert_eq!(table.check_dependencies("crates/low", &named(&[], &[])).len(), 1, "the row names bytes");
    assert_eq!(table.check_dependencies("crates/low", &named(&["bytes"], &["high"])).len(), 1);
}

#[test]
fn a_row_about_nothing_is_seen() {
    let table = Table::parse(EXAMPLE).expect("the example is a table");
    assert_eq!(table.check_rows(&["crates/low/src/a.rs", "crates/high/src/driver/a.rs"]).len(), 1);
}

#[test]
fn a_page_without_the_table_is_an_error() {
    assert!(Table::parse("# Architecture\n\n| a | b |\n| --- | --- |\n").is_err());
}
