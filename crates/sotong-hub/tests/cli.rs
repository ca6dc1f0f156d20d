//! The command line: each wrong input gets one line on stderr and its exit code; signals drain.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod program;

use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use program::{DEADLINE, Heard, Program, one_line, sotong};
use sotong_hub::cli::Exit;

/// Runs a command that has to end by itself. One that serves instead is ended, and fails its test.
#[track_caller]
fn run(command: &mut Command) -> Output {
    let mut child = command.spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > DEADLINE {
            child.kill().unwrap();
            panic!("it does not end: {command:?}");
        }
        // There is no waiting with a deadline in std; this looks again.
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

#[test]
fn each_wrong_input_gets_one_line() {
    let table: &[(&[&str], &[&str])] = &[
        (&[], &["what shall it do?", "sotong --help"]),
        (&["servr"], &["unknown command 'servr'", "did you mean 'serve'?"]),
        (&["dance"], &["unknown command 'dance'", "serve, echo, connect and bench", "sotong --help"]),
        (&["--listen", "127.0.0.1:0"], &["unknown option '--listen'", "behind 'sotong serve'"]),
        (&["serve", "--style", "pull"], &["unknown option '--style'", "behind 'sotong echo'"]),
        (&["serve", "--lisen", "127.0.0.1:0"], &["unknown option '--lisen'", "did you mean '--listen'?"]),
        (&["serve", "-x"], &["unknown option '-x'; --help lists all options"]),
        (&["connect"], &["the URL is missing, as in 'sotong connect ws://"]),
        (&["serve", "127.0.0.1:0"], &["unexpected argument '127.0.0.1:0'"]),
        (&["serve", "--listen"], &["--listen", "a value is required"]),
        (&["serve", "--threads", "1", "--threads", "2"], &["--threads", "multiple times"]),
        (&["serve", "--listen", "here"], &["--listen 'here'", "not an address", "127.0.0.1:8000"]),
        (&["serve", "--listen", "127.0.0.1"], &["the port is missing"]),
        (&["serve", "--listen", "127.0.0.1:65536"], &["port 65536 is above 65535"]),
        (&["serve", "--listen", "a\nb"], &["--listen 'a b'", "not an address"]),
        (&["serve", "--allow-origin", "example.com"], &["--allow-origin", "example.com", "https://"]),
        (&["serve", "--allow-host", "https://example.com"], &["--allow-host", "https://example.com"]),
        (&["serve", "--threads", "0"], &["--threads '0'", "from 1 to 1024"]),
        (&["serve", "--ask-interval", "0"], &["--ask-interval '0'", "from 1 to 86400"]),
        (&["serve", "--ask-interval", "soon"], &["--ask-interval 'soon'", "seconds"]),
        (&["serve", "--threads", "-1"], &["--threads '-1'", "from 1 to 1024"]),
        (&["serve", "--log", "loud"], &["--log 'loud'", "error, warn, info"]),
        (&["serve", "--log", ""], &["--log ''", "error, warn, info"]),
        (&["serve", "--log", "sotong=loud"], &["--log 'sotong=loud'", "error, warn, info"]),
        (&["echo", "--listen", "[::1]:99999"], &["port 99999 is above 65535"]),
        (&["echo", "--style", "both"], &["--style 'both'", "event or pull"]),
        (&["echo", "--compress=zip"], &["--compress 'zip'", "shared or windowed"]),
        (
            &["echo", "--compress", "--compress-window-bits", "16"],
            &["--compress-window-bits '16'", "8 to 15"],
        ),
        (&["connect", "ws://a", "--compress", "--compress-level", "0"], &["--compress-level '0'", "1 to 9"]),
        (&["serve", "--compress", "--compress-from", "x"], &["--compress-from 'x'", "a number of bytes"]),
        (&["echo", "--compress-level", "3"], &["--compress", "missing"]),
        (&["echo", "--message-bytes-max", "1MB"], &["--message-bytes-max '1MB'", "from 1 to 1073741824"]),
    ];
    for (arguments, words) in table {
        one_line(&run(sotong().args(*arguments)), Exit::Usage, words);
    }
}

#[test]
fn a_port_in_use_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    for command in ["serve", "echo"] {
        let output = run(sotong().args([command, "--listen", &address]));
        one_line(&output, Exit::Address, &[&address, "another program listens there", "--listen"]);
    }
    let output = run(sotong().args(["serve", "--listen", "127.0.0.1:0", "--listen", &address]));
    one_line(&output, Exit::Address, &[&address]);
}

#[test]
fn an_address_of_another_machine_is_named() {
    // 192.0.2.0/24 is for documentation (RFC 5737): no machine has an address there.
    let output = run(sotong().args(["echo", "--listen", "192.0.2.1:9001"]));
    one_line(&output, Exit::Address, &["192.0.2.1:9001", "does not have that address"]);
}

/// Ports below 1024 are not for everybody. Run as somebody who has no right to them: root becomes `nobody` first.
#[cfg(target_os = "linux")]
#[test]
fn a_port_without_the_right_to_it_is_named() {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;

    let free_from =
        std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    if free_from.trim().parse().unwrap_or(1024) <= 1 {
        eprintln!("skipped: this system lets everybody listen on every port");
        return;
    }
    let arguments = ["serve", "--listen", "127.0.0.1:1"];
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let output = if is_root {
        // A copy that `nobody` can reach: folders above the original may be closed to others.
        let folder = std::env::temp_dir().join(format!("sotong-cli-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let copy = folder.join("sotong");
        // By a program of its own: a copy that this process writes may be open for writing in a child that another test
        // starts at the same moment, and what is open for writing is not run ("text file busy").
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_sotong")).arg(&copy).status().unwrap();
        assert!(copied.success(), "{copied}");
        let output = Command::new(&copy).args(arguments).uid(65534).gid(65534).current_dir("/").output();
        std::fs::remove_dir_all(&folder).unwrap();
        output.unwrap()
    } else {
        run(sotong().args(arguments))
    };
    one_line(&output, Exit::Address, &["127.0.0.1:1", "ports below 1024 need a right"]);
}

#[test]
fn help_and_version_go_to_stdout() {
    for arguments in [&["--help"][..], &["serve", "--help"], &["echo", "--help"], &["--version"], &["-h"]] {
        let output = run(sotong().args(arguments));
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stderr.is_empty());
        assert!(!output.stdout.is_empty());
    }
    let help = String::from_utf8(run(sotong().arg("--help")).stdout).unwrap();
    assert!(help.contains("Examples:") && help.contains("Exit codes:"), "{help}");
    let help = String::from_utf8(run(sotong().args(["echo", "--help"])).stdout).unwrap();
    assert!(help.contains("Autobahn") && help.contains("64 MiB"), "{help}");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = run(sotong().arg("--help").stdout(writer));
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_first_line_names_the_real_port() {
    let serve = Program::serve(&[]);
    assert_eq!(serve.first_line, format!("sotong serve: open http://{}/\n", serve.address));
    assert_ne!(serve.address.port(), 0);
    for style in ["event", "pull"] {
        let echo = Program::start(sotong().args(["echo", "--listen", "127.0.0.1:0", "--style", style]));
        assert_eq!(echo.first_line, format!("sotong echo: listening on ws://{}\n", echo.address));
    }
}

#[test]
fn several_addresses_and_ipv6() {
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    let echo = Program::start(sotong().args(["echo", "--listen", "[::1]:0", "--listen", "127.0.0.1:0"]));
    assert!(echo.address.is_ipv6(), "{}", echo.first_line);
    let mut peer = echo.peer("/");
    peer.send("여섯");
    assert_eq!(peer.hear(), Heard::Text("여섯".into()));
}

#[test]
fn echo_answers_in_both_forms_and_on_threads() {
    for style in ["event", "pull"] {
        for threads in ["1", "2"] {
            let arguments = ["echo", "--listen", "127.0.0.1:0", "--style", style, "--threads", threads];
            let echo = Program::start(sotong().args(arguments));
            for _ in 0..3 {
                let mut peer = echo.peer("/any/path");
                let large = "소".repeat(100_000);
                for text in ["", "소통", &large] {
                    peer.send(text);
                    assert_eq!(peer.hear(), Heard::Text(text.into()));
                }
            }
        }
    }
}

#[test]
fn echo_message_bytes_at_the_limit_and_one_past_it() {
    for style in ["event", "pull"] {
        let arguments = ["echo", "--listen", "127.0.0.1:0", "--style", style, "--message-bytes-max", "1000"];
        let echo = Program::start(sotong().args(arguments));
        let mut peer = echo.peer("/");
        let fits = "a".repeat(1000);
        peer.send(&fits);
        assert_eq!(peer.hear(), Heard::Text(fits.clone()));
        peer.send(&(fits + "a"));
        assert_eq!(peer.close().0, 1009);
    }
}

#[cfg(unix)]
#[test]
fn a_signal_drains() {
    for signal in ["INT", "TERM"] {
        for threads in ["1", "2"] {
            let mut program = Program::serve(&["--threads", threads]);
            let mut peer = program.peer("/ws");
            peer.next();
            program.signal(signal);
            assert_eq!(peer.close().0, 1001);
            drop(peer);
            assert_eq!(program.wait().code(), Some(0), "SIG{signal} with {threads} threads");
            assert!(TcpStream::connect(program.address).is_err(), "nobody listens any more");
        }
    }
}

/// The peer does not answer the close, so that the first signal alone would have to wait for it.
#[cfg(unix)]
#[test]
fn a_second_signal_ends_at_once() {
    let mut program = Program::serve(&[]);
    let mut peer = program.peer("/ws");
    peer.next();
    program.signal("TERM");
    peer.wait_for_close_without_answering();
    program.signal("TERM");
    assert_eq!(program.wait().code(), Some(i32::from(Exit::Interrupted.code())));
}
