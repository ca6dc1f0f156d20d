//! A terminal: a line that can be edited, with a history, and output above it that does not tear it.
//!
//! ```text
//!   keys ──► editor thread ──► lines           session
//!                 ▲                               │
//!                 └──── printer ◄── output thread ◄┘
//! ```
//!
//! The history lives as long as the program: what is typed may hold secrets, so it is never written to disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustyline::config::Config;
use rustyline::error::{ReadlineError, Signal};
use rustyline::history::MemHistory;
use rustyline::{Editor, ExternalPrinter};

use super::output::{Stdout, Write};

const PROMPT: &str = "> ";
/// How many lines can be called back.
const HISTORY_LINES_MAX: usize = 1000;
/// How long the editor may take to give the terminal back.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// How long what is to be shown waits for the editor to come back from a line that was typed.
const BETWEEN_LINES_TIMEOUT: Duration = Duration::from_millis(100);
/// Moves the cursor up and down again: nothing to see, but the editor has to take it.
const NOTHING: &str = "\x1b[A\n";

/// What the user did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    Line(String),
    /// Ctrl-D on an empty line.
    End,
    /// Ctrl-C.
    Interrupt,
}

/// A terminal that is being read. Ended by [`end`](Self::end), which gives it back as it was.
#[derive(Debug)]
pub(super) struct Terminal {
    editor: JoinHandle<()>,
    is_ending: Arc<AtomicBool>,
    saved: Saved,
}

impl Terminal {
    /// Starts to read lines; `typed` is called in the editor's thread, and may wait.
    ///
    /// # Errors
    /// When stdin and stdout are not a terminal that can move its cursor.
    pub(super) fn open(mut typed: impl FnMut(Typed) + Send + 'static) -> io::Result<(Terminal, impl Write)> {
        let config = Config::builder().max_history_size(HISTORY_LINES_MAX).map_err(other)?;
        let config = config.auto_add_history(true).build();
        let history = MemHistory::with_config(&config);
        let mut editor: Editor<(), MemHistory> = Editor::with_history(config, history).map_err(other)?;
        let printer = Printer(editor.create_external_printer().map_err(other)?);
        // While there is a printer the editor waits for more than keys, and so hears signals, too.
        let kept = editor.create_external_printer().map_err(other)?;
        let is_ending = Arc::new(AtomicBool::new(false));
        let saved = Saved::hand_over();
        let ending = Arc::clone(&is_ending);
        let editor = thread::Builder::new().name("editor".to_owned()).spawn(move || {
            // Reads on after Ctrl-C and Ctrl-D, because what is still to be shown passes through here.
            while !ending.load(Ordering::Acquire) {
                match editor.readline(PROMPT) {
                    Ok(line) => typed(Typed::Line(line)),
                    Err(ReadlineError::Eof) => typed(Typed::End),
                    // The terminal has gone, such as a window that was closed.
                    Err(ReadlineError::Io(_)) => {
                        typed(Typed::Interrupt);
                        break;
                    }
                    #[cfg(unix)]
                    Err(ReadlineError::Errno(_)) => {
                        typed(Typed::Interrupt);
                        break;
                    }
                    // A new size of the window, where the editor does not see to it itself.
                    Err(ReadlineError::Signal(Signal::Resize)) => {}
                    Err(_) if ending.load(Ordering::Acquire) => break,
                    Err(_) => typed(Typed::Interrupt),
                }
            }
            drop(kept);
        })?;
        Ok((Terminal { editor, is_ending, saved }, printer))
    }

    /// Gives the terminal back. Everything that was printed before is to be seen.
    ///
    /// The editor waits for a key; only a signal makes it look up. While it edits, SIGINT is its own; when it just
    /// does not, SIGINT is heard by whoever listens, and is said again.
    pub(super) fn end(self) {
        self.is_ending.store(true, Ordering::Release);
        let start = Instant::now();
        while !self.editor.is_finished() && start.elapsed() < END_TIMEOUT {
            #[cfg(unix)]
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT);
            #[cfg(not(unix))]
            break;
            thread::sleep(Duration::from_millis(5));
        }
        match self.editor.is_finished() {
            true => drop(self.editor.join()),
            // It leaves marks around pasted text on.
            false => drop(Stdout.write(b"\x1b[?2004l\r\n".to_vec())),
        }
        drop(self.saved);
    }
}

/// Prints above the line that is being edited.
struct Printer<P>(P);

impl<P: ExternalPrinter + Send + 'static> Write for Printer<P> {
    fn write(&mut self, block: Vec<u8>) -> io::Result<()> {
        wait_for_editor();
        // Only text that we have escaped comes here.
        let text = String::from_utf8_lossy(&block).into_owned();
        // The editor has gone, and with it its terminal; what is left to be said is said to whoever may read it.
        self.0.print(text).or_else(|_| Stdout.write(block))
    }

    fn finish(&mut self) -> io::Result<()> {
        // Each is taken only after what was printed before it is to be seen.
        self.write(NOTHING.into()).and_then(|()| self.write(NOTHING.into()))
    }
}

/// Between two lines the printer writes past what still waits for the editor, and so out of order. The editor is back
/// in a moment, unless a server that does not read holds it up.
fn wait_for_editor() {
    #[cfg(unix)]
    {
        let start = Instant::now();
        while is_between_lines() && start.elapsed() < BETWEEN_LINES_TIMEOUT {
            thread::sleep(Duration::from_micros(200));
        }
    }
}

/// The editor turns this off while it edits, and nothing else in it is different from [`Saved::hand_over`].
#[cfg(unix)]
const BETWEEN_LINES: rustix::termios::InputModes = rustix::termios::InputModes::BRKINT;

#[cfg(unix)]
fn is_between_lines() -> bool {
    rustix::termios::tcgetattr(rustix::stdio::stdin())
        .is_ok_and(|mode| mode.input_modes.contains(BETWEEN_LINES))
}

fn other(error: ReadlineError) -> io::Error {
    io::Error::other(error)
}

/// How the terminal was before. It is so again when this is dropped.
#[derive(Debug)]
struct Saved {
    #[cfg(unix)]
    mode: Option<rustix::termios::Termios>,
}

impl Saved {
    /// Leaves all keys to the editor, also between two lines: a terminal that edits lines itself would show what is
    /// typed there twice, and keep Ctrl-D to itself.
    #[cfg(unix)]
    fn hand_over() -> Saved {
        use rustix::termios::{
            InputModes, LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr,
        };

        let stdin = rustix::stdio::stdin();
        let Ok(mode) = tcgetattr(stdin) else { return Saved { mode: None } };
        let mut keys = mode.clone();
        keys.local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN);
        keys.input_modes.remove(InputModes::ICRNL | InputModes::IXON);
        keys.input_modes.insert(BETWEEN_LINES);
        keys.special_codes[SpecialCodeIndex::VMIN] = 1;
        keys.special_codes[SpecialCodeIndex::VTIME] = 0;
        match tcsetattr(stdin, OptionalActions::Now, &keys) {
            Ok(()) => Saved { mode: Some(mode) },
            Err(_) => Saved { mode: None },
        }
    }

    #[cfg(not(unix))]
    fn hand_over() -> Saved {
        Saved {}
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(mode) = &self.mode {
            use rustix::termios::{OptionalActions, tcsetattr};

            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, mode);
        }
    }
}
