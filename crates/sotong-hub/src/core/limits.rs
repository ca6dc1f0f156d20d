//! Every limit of the hub, in one place.

/// How much one client may ask of the hub. What is passed is answered with the error that the field names.
///
/// The largest message of all is a limit of the connection and not of the hub: see
/// [`MESSAGE_BYTES_MAX`](crate::serve::MESSAGE_BYTES_MAX).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The most channels that one connection may follow. Default: 32. Error 106; from the URL, close code 3505.
    ///
    /// Every subscription of a connection costs memory here, and presence for others to read.
    pub subscriptions_max: usize,
    /// The largest `data` of a publication, in bytes of JSON. Default: 16 KiB. Error 106.
    ///
    /// It is multiplied by the subscribers of its channel and by the length of the history.
    pub data_bytes_max: usize,
    /// The longest name by which somebody introduces themselves, in bytes of UTF-8. Default: 100, which is 33 letters
    /// of Hangul. Error 106.
    ///
    /// It goes out again with every message of that client.
    pub name_bytes_max: usize,
    /// The most publications that a channel remembers. Default: 50. The oldest go first.
    pub history_publications_max: usize,
    /// The most bytes of publications that a channel remembers. Default: 128 KiB. The oldest go first.
    ///
    /// Somebody who fills the history of all the channels they may follow costs this times `subscriptions_max`.
    pub history_bytes_max: usize,
    /// The most questions of the server that may wait for one client's answers. Default: 16.
    ///
    /// One more is not asked: whoever wanted to ask is told.
    pub asks_max: usize,
    /// The most subscribers of a channel whose presence is listed. Default: 1,000. Error 106; `presence_stats`
    /// still counts them.
    ///
    /// The list is one message of about a hundred bytes for each of them.
    pub presence_clients_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            subscriptions_max: 32,
            data_bytes_max: 16 * 1024,
            name_bytes_max: 100,
            history_publications_max: 50,
            history_bytes_max: 128 * 1024,
            asks_max: 16,
            presence_clients_max: 1_000,
        }
    }
}
