//! Errors: the answers to commands that could not be carried out. The connection goes on.

use serde::{Deserialize, Serialize};

/// Why a command was not carried out, as a number that client software knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ErrorCode {
    /// Something broke in the hub; trying again may help.
    Internal = 100,
    /// Who asks is not known.
    Unauthorized = 101,
    /// There is no such channel.
    UnknownChannel = 102,
    /// Who asks may not do this.
    PermissionDenied = 103,
    /// There is no such method.
    MethodNotFound = 104,
    /// The client has already subscribed to the channel.
    AlreadySubscribed = 105,
    /// A limit was passed; the message says which.
    LimitExceeded = 106,
    /// The command does not make sense.
    BadRequest = 107,
    /// The hub knows the command, but does not offer it here.
    NotAvailable = 108,
    /// The token is too old; a fresh one helps.
    TokenExpired = 109,
    /// The connection or the subscription is too old.
    Expired = 110,
    /// Too fast; trying again later helps.
    TooManyRequests = 111,
    /// The history no longer reaches back to the position that was asked for.
    UnrecoverablePosition = 112,
    /// Somebody else is paging through the same thing; trying again helps.
    ConcurrentPagination = 113,
}

impl ErrorCode {
    /// All codes, in the order of their numbers.
    pub const ALL: [ErrorCode; 14] = [
        ErrorCode::Internal,
        ErrorCode::Unauthorized,
        ErrorCode::UnknownChannel,
        ErrorCode::PermissionDenied,
        ErrorCode::MethodNotFound,
        ErrorCode::AlreadySubscribed,
        ErrorCode::LimitExceeded,
        ErrorCode::BadRequest,
        ErrorCode::NotAvailable,
        ErrorCode::TokenExpired,
        ErrorCode::Expired,
        ErrorCode::TooManyRequests,
        ErrorCode::UnrecoverablePosition,
        ErrorCode::ConcurrentPagination,
    ];

    /// The number on the wire.
    pub fn number(self) -> u32 {
        self as u32
    }

    /// The words that always go with the number.
    pub fn message(self) -> &'static str {
        match self {
            ErrorCode::Internal => "internal server error",
            ErrorCode::Unauthorized => "unauthorized",
            ErrorCode::UnknownChannel => "unknown channel",
            ErrorCode::PermissionDenied => "permission denied",
            ErrorCode::MethodNotFound => "method not found",
            ErrorCode::AlreadySubscribed => "already subscribed",
            ErrorCode::LimitExceeded => "limit exceeded",
            ErrorCode::BadRequest => "bad request",
            ErrorCode::NotAvailable => "not available",
            ErrorCode::TokenExpired => "token expired",
            ErrorCode::Expired => "expired",
            ErrorCode::TooManyRequests => "too many requests",
            ErrorCode::UnrecoverablePosition => "unrecoverable position",
            ErrorCode::ConcurrentPagination => "concurrent pagination",
        }
    }

    /// Whether the same command may succeed later.
    pub fn is_temporary(self) -> bool {
        matches!(self, ErrorCode::Internal | ErrorCode::TooManyRequests | ErrorCode::ConcurrentPagination)
    }

    /// This error with a few words on what was seen and what was allowed.
    pub fn because(self, detail: impl std::fmt::Display) -> Error {
        Error {
            code: self.number(),
            message: format!("{}: {detail}", self.message()),
            temporary: self.is_temporary(),
        }
    }
}

/// The `error` of a reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// The number of an [`ErrorCode`]. A plain number here, since a newer hub may know more of them.
    pub code: u32,
    /// What happened, for people.
    pub message: String,
    /// Whether the same command may succeed later.
    #[serde(default, skip_serializing_if = "super::json::is_zero")]
    pub temporary: bool,
}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Error {
        Error { code: code.number(), message: code.message().to_owned(), temporary: code.is_temporary() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are promised to clients: 100 to 113 without gaps, three of them temporary.
    #[test]
    fn numbers_and_temporary_are_as_promised() {
        let numbers: Vec<u32> = ErrorCode::ALL.iter().map(|code| code.number()).collect();
        assert_eq!(numbers, (100..=113).collect::<Vec<u32>>());
        let temporary: Vec<u32> =
            ErrorCode::ALL.iter().filter(|code| code.is_temporary()).map(|code| code.number()).collect();
        assert_eq!(temporary, [100, 111, 113]);
    }

    #[test]
    fn an_error_says_temporary_only_when_it_is() {
        let json = serde_json::to_string(&Error::from(ErrorCode::UnknownChannel)).unwrap();
        assert_eq!(json, r#"{"code":102,"message":"unknown channel"}"#);
        let json = serde_json::to_string(&ErrorCode::TooManyRequests.because("9 in a second")).unwrap();
        assert_eq!(json, r#"{"code":111,"message":"too many requests: 9 in a second","temporary":true}"#);
    }
}
