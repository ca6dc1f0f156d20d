//! What is typed at a terminal: a message, or a command that begins with `/`.

use sotong::CloseCode;

/// What a typed line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Send this text.
    Say(String),
    /// Send these bytes as a binary message.
    Hex(Vec<u8>),
    /// Send a Ping and show how long its Pong takes.
    Ping,
    /// Close with this code and reason.
    Close(CloseCode, String),
    /// Show [`HELP`].
    Help,
    /// Tell why nothing was done.
    Wrong(String),
}

pub(super) const HELP: &str = "\
a line is sent as a message; commands begin with a slash:
/ping                   send a ping, show how long its pong takes
/close [CODE] [REASON]  close, with 1000 if no code is given
/hex BYTES              send a binary message: /hex 00 ff 1b
/help                   this text
//text                  send a line that begins with one slash: /text
Ctrl-D closes with 1000, Ctrl-C with 1001; Ctrl-C again ends at once";

impl Command {
    pub(super) fn parse(line: String) -> Command {
        let Some(rest) = line.strip_prefix('/') else { return Command::Say(line) };
        if rest.starts_with('/') {
            return Command::Say(rest.to_owned());
        }
        let (word, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let argument = argument.trim();
        match word {
            "ping" => Command::Ping,
            "close" | "quit" | "q" | "exit" => close(argument),
            "hex" => hex(argument),
            "help" | "h" | "?" => Command::Help,
            _ => Command::Wrong(format!(
                "there is no command /{word}: /help lists them; //{word} sends the line as text"
            )),
        }
    }
}

fn close(argument: &str) -> Command {
    if argument.is_empty() {
        return Command::Close(CloseCode::NORMAL, String::new());
    }
    let (code, reason) = argument.split_once(char::is_whitespace).unwrap_or((argument, ""));
    match code.parse().ok().and_then(CloseCode::new) {
        Some(code) => Command::Close(code, reason.trim().to_owned()),
        None => Command::Wrong(format!(
            "'{code}' is not a code that may be sent; allowed are 1000-1003, 1007-1014 and 3000-4999"
        )),
    }
}

fn hex(argument: &str) -> Command {
    let digits: Option<Vec<u8>> = argument
        .chars()
        .filter(|each| !each.is_whitespace())
        .map(|each| each.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 => {
            Command::Hex(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
        }
        _ => Command::Wrong("bytes are pairs of the digits 0-9 and a-f, as in /hex 00 ff 1b".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Command {
        Command::parse(line.to_owned())
    }

    #[test]
    fn lines_are_messages_and_two_slashes_are_one() {
        for (line, sent) in
            [("", ""), ("hi", "hi"), (" /ping", " /ping"), ("//ping", "/ping"), ("///", "//"), ("//", "/")]
        {
            assert_eq!(parse(line), Command::Say(sent.into()), "{line}");
        }
    }

    #[test]
    fn commands() {
        assert_eq!(parse("/ping"), Command::Ping);
        assert_eq!(parse("/help"), Command::Help);
        assert_eq!(parse("/hex"), Command::Hex(vec![]));
        assert_eq!(parse("/hex 00ff 1B"), Command::Hex(vec![0, 255, 27]));
        assert!(matches!(parse("/hex 0"), Command::Wrong(_)));
        assert!(matches!(parse("/hex xx"), Command::Wrong(_)));
        let Command::Wrong(why) = parse("/dance now") else { panic!() };
        assert!(why.contains("/dance") && why.contains("//dance"), "{why}");
        assert!(matches!(parse("/"), Command::Wrong(_)));
    }

    #[test]
    fn close_with_and_without_a_code() {
        assert_eq!(parse("/close"), Command::Close(CloseCode::NORMAL, String::new()));
        assert_eq!(parse("/quit"), Command::Close(CloseCode::NORMAL, String::new()));
        assert_eq!(
            parse("/close 4000  see you "),
            Command::Close(CloseCode::new(4000).unwrap(), "see you".into())
        );
        for line in ["/close 1005", "/close 999", "/close bye", "/close 99999"] {
            assert!(matches!(parse(line), Command::Wrong(_)), "{line}");
        }
    }
}
