//! Bytes in the order in which they leave: runs of copied bytes, and payloads by reference.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// How long a run may get before a new one is begun, so that a long queue gives memory back as it drains.
const RUN_BYTES_MAX: usize = 64 * 1024;
/// The room that a run has which follows others: where much waits, more comes, and a run that grows is copied.
const NEXT_RUN_BYTES: usize = 16 * 1024;
/// A run with less room than this keeps it as long as it has something to say.
const SHRUNK_BYTES_MIN: usize = 4 * 1024;

/// The queue. Empty, it owns no memory.
#[derive(Default)]
pub(super) struct Queue {
    /// The first bytes, of which `sent` have left.
    front: Vec<u8>,
    sent: usize,
    /// What comes after `front`; most connections never have any, so it is a pointer.
    rest: Option<Box<Rest>>,
    length: usize,
}

#[derive(Default)]
struct Rest {
    segments: VecDeque<Segment>,
    /// How many bytes of the segments are shared with other queues.
    with_others: usize,
}

enum Segment {
    Run(Vec<u8>),
    /// A payload of this queue, or what many send.
    Shared(Bytes, Sharing),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharing {
    Alone,
    WithOthers,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    #[cfg(test)]
    pub(super) fn owns_nothing(&self) -> bool {
        self.front.capacity() == 0 && self.rest.is_none()
    }

    /// Lets `write` append to the last run.
    #[inline]
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let run = self.last_run();
        let before = run.len();
        write(run);
        self.length += run.len() - before;
    }

    #[inline]
    fn last_run(&mut self) -> &mut Vec<u8> {
        if self.rest.is_none() && self.front.len() < RUN_BYTES_MAX {
            return &mut self.front;
        }
        self.last_run_of_many()
    }

    fn last_run_of_many(&mut self) -> &mut Vec<u8> {
        let rest = self.rest.get_or_insert_default();
        let segments = &mut rest.segments;
        if !matches!(segments.back(), Some(Segment::Run(run)) if run.len() < RUN_BYTES_MAX) {
            segments.push_back(Segment::Run(Vec::with_capacity(NEXT_RUN_BYTES)));
        }
        match segments.back_mut() {
            Some(Segment::Run(run)) => run,
            _ => unreachable!("the last segment is a run now"),
        }
    }

    pub(super) fn push_shared(&mut self, payload: Bytes) {
        self.length += payload.len();
        self.rest.get_or_insert_default().segments.push_back(Segment::Shared(payload, Sharing::Alone));
    }

    /// The same, for bytes that other queues hold, too.
    pub(super) fn push_shared_with_others(&mut self, frames: Bytes) {
        self.length += frames.len();
        let rest = self.rest.get_or_insert_default();
        rest.with_others += frames.len();
        if rest.segments.is_empty() {
            // Of a large message to very many there is often just this one, and all of them hold one.
            rest.segments.reserve_exact(1);
        }
        rest.segments.push_back(Segment::Shared(frames, Sharing::WithOthers));
    }

    /// How many of the bytes other queues may hold, too.
    pub(super) fn shared_with_others(&self) -> usize {
        self.rest.as_ref().map_or(0, |rest| rest.with_others)
    }

    /// Puts `bytes` before everything else.
    pub(super) fn prepend(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        self.length += bytes.len();
        let mut old = std::mem::replace(&mut self.front, bytes);
        old.drain(..std::mem::take(&mut self.sent));
        if !old.is_empty() {
            self.rest.get_or_insert_default().segments.push_front(Segment::Run(old));
        }
    }

    pub(super) fn io_slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let front = Some(&self.front[self.sent..]).filter(|front| !front.is_empty());
        let rest = self.rest.iter().flat_map(|rest| rest.segments.iter()).map(|segment| match segment {
            Segment::Run(run) => &run[..],
            Segment::Shared(payload, _) => &payload[..],
        });
        let mut used = 0;
        for (slot, bytes) in slices.iter_mut().zip(front.into_iter().chain(rest)) {
            *slot = IoSlice::new(bytes);
            used += 1;
        }
        used
    }

    /// Gives it room for what is written next, if it has none.
    #[inline]
    pub(super) fn lend(&mut self, room: Vec<u8>) {
        if self.length == 0 {
            self.front = room;
        }
    }

    /// Forgets the first `count` bytes. With the last of them the room of the first run is given back, empty.
    pub(super) fn advance(&mut self, count: usize) -> Vec<u8> {
        debug_assert!(count <= self.length, "advanced by {count} of {} bytes", self.length);
        self.length = self.length.saturating_sub(count);
        if self.length == 0 {
            let mut room = std::mem::take(self).front;
            room.clear();
            return room;
        }
        self.advance_partly(count);
        self.tighten();
        Vec::new()
    }

    /// Who waits long holds little more than what waits, however much room there was.
    pub(super) fn tighten(&mut self) {
        let waiting = self.front.len() - self.sent;
        if self.front.capacity() >= SHRUNK_BYTES_MIN.max(4 * waiting) {
            self.front.drain(..std::mem::take(&mut self.sent));
            self.front.shrink_to_fit();
        }
    }

    fn advance_partly(&mut self, mut count: usize) {
        let in_front = count.min(self.front.len() - self.sent);
        self.sent += in_front;
        count -= in_front;
        while self.sent == self.front.len() {
            let Some(rest) = &mut self.rest else { return };
            match rest.segments.front_mut() {
                Some(Segment::Shared(payload, sharing)) => {
                    let in_payload = count.min(payload.len());
                    payload.advance(in_payload);
                    count -= in_payload;
                    if *sharing == Sharing::WithOthers {
                        rest.with_others -= in_payload;
                    }
                    if payload.has_remaining() {
                        return;
                    }
                    rest.segments.pop_front();
                }
                Some(Segment::Run(run)) => {
                    self.front = std::mem::take(run);
                    self.sent = count.min(self.front.len());
                    count -= self.sent;
                    rest.segments.pop_front();
                }
                None => self.rest = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Copy(usize),
        Share(usize),
        ShareWithOthers(usize),
        Prepend(usize),
        Advance(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..100_000usize).prop_map(Step::Copy),
            (0..3000usize).prop_map(Step::Share),
            (0..3000usize).prop_map(Step::ShareWithOthers),
            (0..300usize).prop_map(Step::Prepend),
            (0..90_000usize).prop_map(Step::Advance),
        ];
        proptest::collection::vec(step, 0..40)
    }

    #[test]
    fn lent_room_comes_back_empty_and_is_not_kept_by_who_waits() {
        let mut queue = Queue::default();
        queue.lend(Vec::with_capacity(60_000));
        queue.write(|run| run.extend_from_slice(b"hello"));
        queue.lend(Vec::with_capacity(70_000));
        let room = queue.advance(5);
        assert!(room.is_empty() && room.capacity() == 60_000, "what it had first, {}", room.capacity());
        assert!(queue.owns_nothing());
        queue.lend(room);
        queue.write(|run| run.extend_from_slice(&[1; 3000]));
        assert_eq!(queue.advance(1000).capacity(), 0);
        assert!(queue.front.capacity() < 4096, "{}", queue.front.capacity());
        assert_eq!(content(&queue), [1; 2000]);
        // Nor where nothing leaves at all.
        let mut stalled = Queue::default();
        stalled.lend(Vec::with_capacity(60_000));
        stalled.write(|run| run.extend_from_slice(b"hello"));
        stalled.tighten();
        assert!(stalled.front.capacity() < 4096, "{}", stalled.front.capacity());
        assert_eq!(content(&stalled), *b"hello");
        // What is small keeps what it has.
        let capacity = queue.front.capacity();
        queue.advance(1990);
        assert_eq!(queue.front.capacity(), capacity);
        assert_eq!(content(&queue), [1; 10]);
    }

    /// However it drains, the work is linear: what is moved by shrinking is at most as much as was written.
    #[test]
    fn shrinking_moves_each_byte_about_once() {
        let mut queue = Queue::default();
        queue.write(|run| run.resize(60_000, 7));
        let (mut moved, mut capacity) = (0, queue.front.capacity());
        for _ in 0..59_999 {
            queue.advance(1);
            if queue.front.capacity() != capacity {
                capacity = queue.front.capacity();
                moved += queue.front.len();
            }
        }
        assert!(moved <= 60_000, "{moved} bytes");
    }

    fn content(queue: &Queue) -> Vec<u8> {
        let mut slices = vec![IoSlice::new(&[]); 200];
        let used = queue.io_slices(&mut slices);
        slices[..used].iter().flat_map(|slice| slice.iter().copied()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn behaves_as_a_plain_vector_of_bytes(steps in steps()) {
            let mut queue = Queue::default();
            let mut model: Vec<u8> = Vec::new();
            let mut next = 0u8;
            for step in steps {
                let mut fresh = |count| -> Vec<u8> { (0..count).map(|_| { next = next.wrapping_add(1); next }).collect() };
                match step {
                    Step::Copy(count) => {
                        let bytes = fresh(count);
                        queue.write(|out| out.extend_from_slice(&bytes));
                        model.extend(bytes);
                    }
                    Step::Share(count) => {
                        let bytes = fresh(count);
                        queue.push_shared(Bytes::from(bytes.clone()));
                        model.extend(bytes);
                    }
                    Step::ShareWithOthers(count) => {
                        let bytes = fresh(count);
                        queue.push_shared_with_others(Bytes::from(bytes.clone()));
                        model.extend(bytes);
                    }
                    Step::Prepend(count) => {
                        let bytes = fresh(count);
                        queue.prepend(bytes.clone());
                        model.splice(0..0, bytes);
                    }
                    Step::Advance(count) => {
                        let count = count.min(model.len());
                        queue.advance(count);
                        model.drain(..count);
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(content(&queue), &model[..]);
                prop_assert!(queue.shared_with_others() <= queue.len());
            }
            queue.advance(model.len());
            prop_assert!(queue.owns_nothing(), "an empty queue owns memory");
        }
    }
}
