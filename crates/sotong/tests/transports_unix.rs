//! A server on a unix socket, and the file that stands for it.

#[path = "support/carried.rs"]
mod carried;
mod support;

use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use carried::{EACH, Form, Peer, echo};
use sotong::Server;
use support::{BINARY, Running, TEXT};
use tokio::net::UnixStream;

/// A folder of the test's own, removed with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sotong-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a folder can be made");
        Folder(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn running(path: &Path, (form, threads): (Form, usize)) -> Running {
    let server = Server::bind_unix(path).expect("the path is free");
    assert_eq!(server.local_addr().expect_err("it has none").kind(), ErrorKind::NotConnected);
    assert_eq!(server.local_addrs().expect("there are none"), []);
    let (serve, ..) = echo(server, form);
    Running::start("127.0.0.1:1".parse().expect("an address"), serve.with_threads(threads))
}

async fn connect(path: &Path) -> Peer {
    Peer::open(UnixStream::connect(path).await.expect("the server listens")).await
}

async fn echoes(path: &Path) {
    let mut peer = connect(path).await;
    peer.send(TEXT, b"hello").await;
    peer.expect(TEXT, b"hello").await;
    peer.close().await;
}

fn is_there(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

#[tokio::test]
async fn each_form_is_served_and_the_file_is_removed_at_the_end() {
    let folder = Folder::new();
    for each in EACH {
        let path = folder.path("server.sock");
        let server = running(&path, each);
        assert!(std::fs::symlink_metadata(&path).expect("it is there").file_type().is_socket());
        let mut peers = Vec::new();
        for _ in 0..8 {
            peers.push(connect(&path).await);
        }
        let large = vec![0xa5; 100_000];
        for peer in &mut peers {
            peer.send(BINARY, &large).await;
            peer.expect(BINARY, &large).await;
        }
        for peer in peers {
            peer.close().await;
        }
        server.stop().await;
        assert!(!is_there(&path), "{each:?}: the file is gone");
    }
}

#[tokio::test]
async fn a_server_that_never_served_removes_its_file_too() {
    let folder = Folder::new();
    let path = folder.path("server.sock");
    drop(Server::bind_unix(&path).expect("the path is free"));
    assert!(!is_there(&path));
    let (serve, ..) = echo(Server::bind_unix(&path).expect("the path is free"), Form::Events);
    assert!(is_there(&path));
    drop(serve);
    assert!(!is_there(&path));
}

#[tokio::test]
async fn a_socket_file_that_nobody_listens_on_is_replaced() {
    let folder = Folder::new();
    let path = folder.path("server.sock");
    // What a server leaves that is killed.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("the path is free"));
    assert!(is_there(&path));
    let server = running(&path, (Form::Pull, 0));
    echoes(&path).await;
    server.stop().await;
    assert!(!is_there(&path));
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let folder = Folder::new();
    let text = folder.path("notes.txt");
    std::fs::write(&text, "precious").expect("the folder is ours");
    let inner = folder.path("folder");
    std::fs::create_dir(&inner).expect("the folder is ours");
    // A link to a left-over socket is somebody's, too.
    let left_over = folder.path("left-over.sock");
    drop(std::os::unix::net::UnixListener::bind(&left_over).expect("the path is free"));
    let link = folder.path("link");
    symlink(&left_over, &link).expect("the folder is ours");
    for path in [&text, &inner, &link] {
        let error = Server::bind_unix(path).expect_err("it is taken");
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        assert!(is_there(path), "{}", path.display());
    }
    assert_eq!(std::fs::read_to_string(&text).expect("it is there"), "precious");
}

#[tokio::test]
async fn a_second_server_on_a_live_socket_is_refused_with_one_clear_line() {
    let folder = Folder::new();
    let path = folder.path("server.sock");
    let server = running(&path, (Form::Events, 0));
    let error = Server::bind_unix(&path).expect_err("somebody listens");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    let line = error.to_string();
    assert!(line.contains(&path.display().to_string()) && line.contains("in use"), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    // The first one has not noticed.
    echoes(&path).await;
    server.stop().await;
}

#[tokio::test]
async fn a_path_that_cannot_be_is_refused_with_one_clear_line() {
    let folder = Folder::new();
    let nowhere = folder.path("no/such/folder.sock");
    let too_long = folder.path(&"x".repeat(200));
    for path in [&nowhere, &too_long] {
        let line = Server::bind_unix(path).expect_err("it cannot be").to_string();
        assert!(line.contains(&path.display().to_string()), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

/// Somebody has cleared the folder away and started another server at the same path.
#[tokio::test]
async fn a_file_that_is_another_servers_by_now_is_not_removed() {
    let folder = Folder::new();
    let path = folder.path("server.sock");
    let first = running(&path, (Form::Events, 0));
    std::fs::remove_file(&path).expect("the folder is ours");
    let second = running(&path, (Form::Pull, 0));
    first.stop().await;
    echoes(&path).await;
    second.stop().await;
    assert!(!is_there(&path));
}
