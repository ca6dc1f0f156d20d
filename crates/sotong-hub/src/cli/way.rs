//! The options of `connect` about the way to a server, and about who one is there.

use std::fs::File;
use std::io::Read as _;

use clap::Args;
use sotong::Proxy;

use super::exit::{Exit, Failure};
use super::settings::wrong;
use crate::connect::{Again, Login, Route};

/// How many redirects `--follow` alone allows. Browsers stop at 20; who needs more than a few is in a circle.
const REDIRECTS_USUAL: &str = "5";
const REDIRECTS_MAX: u32 = 100;
const TRIES_MAX: u32 = 1_000_000;
/// More than any password or token has.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug, Args)]
pub(super) struct Way {
    /// Goes through a proxy: http, https, socks5; @FILE holds its URL
    ///
    /// http://[USER:PASSWORD@]HOST[:PORT]. HTTP proxies are asked for
    /// CONNECT, also for ws://. Names are resolved at the proxy. Without
    /// this option HTTPS_PROXY (for wss), HTTP_PROXY (for ws), ALL_PROXY and
    /// NO_PROXY are read, and this machine is always reached directly. What
    /// stands in the command line is seen by everybody on this machine: a
    /// password is safer in a FILE or in one of those variables.
    #[arg(
        long,
        value_name = "URL|@FILE",
        conflicts_with_all = ["socks5", "no_proxy"],
        verbatim_doc_comment
    )]
    proxy: Option<String>,
    /// The same as --proxy socks5://HOST:PORT
    #[arg(long, value_name = "HOST[:PORT]", conflicts_with = "no_proxy")]
    socks5: Option<String>,
    /// Goes without a proxy, whatever the environment says
    #[arg(long)]
    no_proxy: bool,
    /// Follows redirects, 5 or N of them
    ///
    /// Never from wss:// to ws://. To another origin no header that you
    /// gave goes along, but Accept, Accept-Language, Origin and User-Agent.
    #[arg(
        long,
        value_name = "N",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = REDIRECTS_USUAL,
        verbatim_doc_comment
    )]
    follow: Option<String>,
    /// Logs in: USER:PASSWORD, 'Bearer TOKEN', or @FILE to read that from
    ///
    /// What stands in the command line is seen by everybody on this
    /// machine. A FILE holds one line; --auth-env takes the environment's.
    #[arg(long, value_name = "WHO|@FILE", conflicts_with = "auth_env", verbatim_doc_comment)]
    auth: Option<String>,
    /// The same, from this variable of the environment
    #[arg(long, value_name = "VARIABLE")]
    auth_env: Option<String>,
    /// Connects again when it is lost, for a day or N times in a row
    ///
    /// Each change is told. Between two tries it waits at random, up to 5
    /// seconds at first and up to a minute later. What you send meanwhile
    /// waits. Messages that were on their way when a connection was lost
    /// are not sent twice; how many may be lost is told at the end. A Close
    /// with 1000, and refusals that would be repeated, end it.
    #[arg(
        long,
        value_name = "N",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        verbatim_doc_comment
    )]
    reconnect: Option<String>,
}

/// What it means.
pub(super) struct Checked {
    pub(super) route: Route,
    pub(super) redirects_max: u32,
    pub(super) login: Option<Login>,
    pub(super) again: Again,
}

impl Way {
    pub(super) fn check(&self) -> Result<Checked, Failure> {
        Ok(Checked {
            route: self.route()?,
            redirects_max: match &self.follow {
                None => 0,
                Some(typed) => number("--follow", typed, REDIRECTS_MAX)?,
            },
            login: self.login()?,
            again: match self.reconnect.as_deref() {
                None => Again::Never,
                Some("") => Again::Tries(None),
                Some(typed) => Again::Tries(Some(number("--reconnect", typed, TRIES_MAX)?)),
            },
        })
    }

    fn route(&self) -> Result<Route, Failure> {
        let (option, url) = match (&self.proxy, &self.socks5) {
            (Some(typed), _) => ("--proxy", from_file("--proxy", typed)?),
            (None, Some(typed)) if typed.contains("://") => {
                return Err(Exit::Usage.because(
                    "--socks5: a host and a port are wanted, as in --socks5 127.0.0.1:1080; a URL goes to --proxy",
                ));
            }
            (None, Some(typed)) => ("--socks5", format!("socks5://{typed}")),
            (None, None) if self.no_proxy => return Ok(Route::Direct),
            (None, None) => return Ok(Route::Environment),
        };
        // A password may stand in it, so it is not repeated.
        let proxy =
            Proxy::parse(&url).map_err(|error| Exit::Usage.because(format_args!("{option}: {error}")))?;
        Ok(Route::Through(proxy))
    }

    fn login(&self) -> Result<Option<Login>, Failure> {
        let (option, text) = match (&self.auth, &self.auth_env) {
            (Some(typed), _) => ("--auth", from_file("--auth", typed)?),
            (None, Some(name)) => ("--auth-env", from_environment(name)?),
            (None, None) => return Ok(None),
        };
        if let Some((word, token)) = text.split_once(' ')
            && word.eq_ignore_ascii_case("Bearer")
        {
            return Ok(Some(Login::Bearer(token.trim().to_owned())));
        }
        match text.split_once(':') {
            Some((user, password)) => {
                Ok(Some(Login::Basic { user: user.to_owned(), password: password.to_owned() }))
            }
            None => Err(Exit::Usage.because(format_args!(
                "{option}: USER:PASSWORD is wanted, or 'Bearer TOKEN'; there is no colon in it"
            ))),
        }
    }
}

fn number(option: &str, typed: &str, max: u32) -> Result<u32, Failure> {
    match typed.parse() {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        _ => Err(wrong(option, typed, format_args!("a number from 1 to {max} is wanted"))),
    }
}

/// What was typed, or the line of the file that was named by `@`.
fn from_file(option: &str, typed: &str) -> Result<String, Failure> {
    let Some(name) = typed.strip_prefix('@') else { return Ok(typed.to_owned()) };
    let failed = |why: &dyn std::fmt::Display| wrong(option, typed, why);
    let mut text = String::new();
    let file = File::open(name).map_err(|error| failed(&format_args!("cannot be read: {error}")))?;
    file.take(SECRET_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| failed(&format_args!("cannot be read: {error}")))?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(failed(&format_args!("has more than {SECRET_BYTES_MAX} bytes; one line is wanted")));
    }
    one_line(&text).ok_or_else(|| failed(&"one line is wanted in it, and nothing else"))
}

fn from_environment(name: &str) -> Result<String, Failure> {
    match std::env::var(name) {
        Ok(text) => one_line(&text).ok_or_else(|| {
            wrong("--auth-env", name, "one line is wanted in this variable, and nothing else")
        }),
        Err(std::env::VarError::NotPresent) => Err(wrong("--auth-env", name, "this variable is not set")),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(wrong("--auth-env", name, "the value of this variable is not UTF-8"))
        }
    }
}

/// The line, without its end.
fn one_line(text: &str) -> Option<String> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    (!line.is_empty() && !line.contains(['\n', '\r'])).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way() -> Way {
        Way {
            proxy: None,
            socks5: None,
            no_proxy: false,
            follow: None,
            auth: None,
            auth_env: None,
            reconnect: None,
        }
    }

    #[test]
    fn who_one_is() {
        let login = |typed: &str| {
            let way = Way { auth: Some(typed.to_owned()), ..way() };
            way.login().map(|login| login.expect("something was typed"))
        };
        let basic = |user: &str, password: &str| {
            Ok(Login::Basic { user: user.to_owned(), password: password.to_owned() })
        };
        assert_eq!(login("user:pass:word"), basic("user", "pass:word"));
        assert_eq!(login(":x"), basic("", "x"));
        assert_eq!(login("Bearer x:y"), Ok(Login::Bearer("x:y".to_owned())));
        assert_eq!(login("bearer  x "), Ok(Login::Bearer("x".to_owned())));
        assert_eq!(login("bearer:x"), basic("bearer", "x"));
        let failure = login("hunter2").expect_err("no colon");
        assert!(failure.line.contains("no colon") && !failure.line.contains("hunter2"), "{failure:?}");
        assert!(!format!("{:?}", login("user:hunter2")).contains("hunter2"));
    }

    #[test]
    fn numbers_at_their_limits_and_past_them() {
        let follow = |typed: &str| {
            let way = Way { follow: Some(typed.to_owned()), ..way() };
            way.check().map(|checked| checked.redirects_max).map_err(|failure| failure.exit)
        };
        assert_eq!((follow("1"), follow("100")), (Ok(1), Ok(100)));
        for typed in ["0", "101", "-1", "x", ""] {
            assert_eq!(follow(typed), Err(Exit::Usage), "{typed}");
        }
        let again = |typed: &str| {
            let way = Way { reconnect: Some(typed.to_owned()), ..way() };
            way.check().map(|checked| checked.again).map_err(|failure| failure.exit)
        };
        assert_eq!((again(""), again("3")), (Ok(Again::Tries(None)), Ok(Again::Tries(Some(3)))));
        for typed in ["0", "1000001", "x"] {
            assert_eq!(again(typed), Err(Exit::Usage), "{typed}");
        }
    }

    #[test]
    fn a_secret_is_one_line() {
        for (text, line) in [
            ("a", Some("a")),
            ("a\n", Some("a")),
            ("a\r\n", Some("a")),
            (" a ", Some(" a ")),
            ("", None),
            ("\n", None),
        ] {
            assert_eq!(one_line(text).as_deref(), line, "{text:?}");
        }
        for text in ["a\nb", "a\n\n", "\na", "a\rb"] {
            assert_eq!(one_line(text), None, "{text:?}");
        }
    }
}
