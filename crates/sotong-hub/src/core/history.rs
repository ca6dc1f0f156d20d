//! History: the last publications of a channel, and their numbers.

use std::collections::VecDeque;
use std::fmt;

use super::Limits;
use crate::wire::{Json, StreamPosition};

/// The number of a publication in its channel: from 1, without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offset(pub u64);

impl Offset {
    /// The number after this one.
    pub fn next(self) -> Offset {
        Offset(self.0 + 1)
    }
}

/// Which numbering an offset belongs to. A channel that is made anew numbers from 1 under a new epoch, so that nobody
/// takes its publications for those of the old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch(String);

impl Epoch {
    /// An epoch by its name.
    pub fn new(name: String) -> Epoch {
        Epoch(name)
    }

    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The position that was asked for is not in the history: it belongs to another epoch, is too long ago, or has not
/// happened yet. What was missed cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unrecoverable;

/// A ring of publications in their JSON form, bounded in number and in bytes.
#[derive(Debug)]
pub struct History {
    epoch: Epoch,
    top: Offset,
    /// Publications `top - len + 1 ..= top`.
    publications: VecDeque<Json>,
    bytes: usize,
}

impl History {
    /// An empty history under a new epoch.
    pub fn new(epoch: Epoch) -> History {
        History { epoch, top: Offset(0), publications: VecDeque::new(), bytes: 0 }
    }

    /// The numbering.
    pub fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// The offset of the last publication; 0 before the first.
    pub fn top(&self) -> Offset {
        self.top
    }

    /// The newest publication, if any was made.
    pub fn newest(&self) -> Option<&Json> {
        self.publications.back()
    }

    /// Appends the publication with the offset `top().next()`, and forgets the oldest ones beyond the limits.
    pub fn append(&mut self, publication: Json, limits: &Limits) {
        self.top = self.top.next();
        self.bytes += publication.as_str().len();
        self.publications.push_back(publication);
        while self.publications.len() > limits.history_publications_max
            || self.bytes > limits.history_bytes_max
        {
            let Some(oldest) = self.publications.pop_front() else { break };
            self.bytes -= oldest.as_str().len();
        }
        debug_assert_eq!(self.bytes, self.publications.iter().map(|json| json.as_str().len()).sum::<usize>());
        debug_assert!(self.publications.len() as u64 <= self.top.0);
    }

    /// Up to `limit` publications (a negative limit: all), from the oldest on or in reverse from the newest on, after
    /// (in reverse: before) the position `since`.
    ///
    /// # Errors
    /// [`Unrecoverable`] if `since` belongs to another epoch, or if publications right after it are gone.
    pub fn read(
        &self,
        limit: i32,
        since: Option<&StreamPosition>,
        order: Order,
    ) -> Result<Vec<Json>, Unrecoverable> {
        let count = self.publications.len();
        // How many of the ring's publications lie at or before the position, counted in forward order.
        let passed = match (since, order) {
            (None, Order::Forward) => 0,
            (None, Order::Reverse) => count,
            (Some(since), order) => self.passed(since, order)?,
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(match order {
            Order::Forward => self.publications.iter().skip(passed).take(limit).cloned().collect(),
            Order::Reverse => self.publications.iter().take(passed).rev().take(limit).cloned().collect(),
        })
    }

    fn passed(&self, since: &StreamPosition, order: Order) -> Result<usize, Unrecoverable> {
        if !since.epoch.is_empty() && since.epoch != self.epoch.as_str() {
            return Err(Unrecoverable);
        }
        let count = self.publications.len();
        let forgotten = self.top.0 - count as u64;
        match order {
            Order::Forward if since.offset < forgotten || since.offset > self.top.0 => Err(Unrecoverable),
            Order::Forward => Ok(usize::try_from(since.offset - forgotten).unwrap_or(count)),
            // Strictly before the position, as strictly after it in the other direction.
            Order::Reverse => {
                let before = since.offset.saturating_sub(1).saturating_sub(forgotten);
                Ok(usize::try_from(before).unwrap_or(count).min(count))
            }
        }
    }
}

/// The direction in which a history is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Forward,
    /// Newest first.
    Reverse,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(count: u64, limits: &Limits) -> History {
        let mut history = History::new(Epoch::new("e".into()));
        for number in 1..=count {
            history.append(Json::of(&number), limits);
        }
        history
    }

    fn read(history: &History, limit: i32, since: Option<(u64, &str)>, order: Order) -> Option<Vec<u64>> {
        let since = since.map(|(offset, epoch)| StreamPosition { offset, epoch: epoch.into() });
        let read = history.read(limit, since.as_ref(), order).ok()?;
        Some(read.iter().map(|json| json.as_str().parse().unwrap()).collect())
    }

    #[test]
    fn number_of_publications_at_the_limit_and_one_past_it() {
        let limits = Limits { history_publications_max: 3, ..Limits::default() };
        assert_eq!(read(&history(3, &limits), -1, None, Order::Forward).unwrap(), [1, 2, 3]);
        assert_eq!(read(&history(4, &limits), -1, None, Order::Forward).unwrap(), [2, 3, 4]);
        assert_eq!(history(4, &limits).top(), Offset(4));
    }

    #[test]
    fn bytes_at_the_limit_and_one_past_it() {
        let limits = Limits { history_bytes_max: 9, ..Limits::default() };
        assert_eq!(
            read(&history(9, &limits), -1, None, Order::Forward).unwrap(),
            (1..=9).collect::<Vec<_>>()
        );
        // "10" takes two bytes, so "1" and "2" go.
        assert_eq!(
            read(&history(10, &limits), -1, None, Order::Forward).unwrap(),
            (3..=10).collect::<Vec<_>>()
        );
        // One publication beyond the limit is not remembered at all, but counted.
        let limits = Limits { history_bytes_max: 0, ..Limits::default() };
        assert_eq!(read(&history(2, &limits), -1, None, Order::Forward), Some(vec![]));
        assert_eq!(history(2, &limits).top(), Offset(2));
    }

    #[test]
    fn limits_and_directions() {
        let history = history(5, &Limits::default());
        let table: [(i32, Option<u64>, Order, &[u64]); 13] = [
            (0, None, Order::Forward, &[]),
            (0, None, Order::Reverse, &[]),
            (2, None, Order::Forward, &[1, 2]),
            (2, None, Order::Reverse, &[5, 4]),
            (-1, None, Order::Reverse, &[5, 4, 3, 2, 1]),
            (99, None, Order::Forward, &[1, 2, 3, 4, 5]),
            (-1, Some(0), Order::Forward, &[1, 2, 3, 4, 5]),
            (1, Some(2), Order::Forward, &[3]),
            (-1, Some(5), Order::Forward, &[]),
            (2, Some(4), Order::Reverse, &[3, 2]),
            (-1, Some(1), Order::Reverse, &[]),
            (-1, Some(0), Order::Reverse, &[]),
            (1, Some(u64::MAX), Order::Reverse, &[5]),
        ];
        for (limit, since, order, expected) in table {
            let since = since.map(|offset| (offset, "e"));
            assert_eq!(read(&history, limit, since, order).unwrap(), expected, "{limit} {since:?} {order:?}");
        }
        assert_eq!(
            read(&history, -1, Some((4, "")), Order::Forward).unwrap(),
            [5],
            "no epoch: whichever it is"
        );
    }

    #[test]
    fn a_position_that_is_not_there_is_said_to_be() {
        let limits = Limits { history_publications_max: 2, ..Limits::default() };
        let history = history(5, &limits);
        assert_eq!(read(&history, -1, Some((3, "e")), Order::Forward), Some(vec![4, 5]));
        assert_eq!(read(&history, -1, Some((2, "e")), Order::Forward), None, "3 is forgotten");
        assert_eq!(read(&history, -1, Some((6, "e")), Order::Forward), None, "6 has not happened");
        assert_eq!(read(&history, -1, Some((5, "f")), Order::Forward), None, "another epoch");
        assert_eq!(read(&history, -1, Some((5, "f")), Order::Reverse), None, "another epoch");
    }
}
