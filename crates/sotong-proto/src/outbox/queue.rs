//! Bytes in the order in which they leave: runs of copied bytes, and payloads by reference.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// How long a run may get before a new one is begun, so that a long queue gives memory back as it drains.
const RUN_BYTES_MAX: usize = 64 * 1024;

/// The queue. Empty, it owns no memory.
#[derive(Default)]
pub(super) struct Queue {
    /// The first bytes, of which `sent` have left.
    front: Vec<u8>,
    sent: usize,
    /// What comes after `front`; most connections never have any, so it is a pointer.
    #[expect(clippy::box_collection, reason = "24 bytes less in every connection")]
    rest: Option<Box<VecDeque<Segment>>>,
    length: usize,
}

enum Segment {
    Run(Vec<u8>),
    Shared(Bytes),
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

    fn last_run(&mut self) -> &mut Vec<u8> {
        if self.rest.is_none() && self.front.len() < RUN_BYTES_MAX {
            return &mut self.front;
        }
        let rest = self.rest.get_or_insert_default();
        if !matches!(rest.back(), Some(Segment::Run(run)) if run.len() < RUN_BYTES_MAX) {
            rest.push_back(Segment::Run(Vec::new()));
        }
        match rest.back_mut() {
            Some(Segment::Run(run)) => run,
            _ => unreachable!("the last segment is a run now"),
        }
    }

    pub(super) fn push_shared(&mut self, payload: Bytes) {
        self.length += payload.len();
        self.rest.get_or_insert_default().push_back(Segment::Shared(payload));
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
            self.rest.get_or_insert_default().push_front(Segment::Run(old));
        }
    }

    pub(super) fn io_slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let front = Some(&self.front[self.sent..]).filter(|front| !front.is_empty());
        let rest = self.rest.iter().flat_map(|rest| rest.iter()).map(|segment| match segment {
            Segment::Run(run) => &run[..],
            Segment::Shared(payload) => &payload[..],
        });
        let mut used = 0;
        for (slot, bytes) in slices.iter_mut().zip(front.into_iter().chain(rest)) {
            *slot = IoSlice::new(bytes);
            used += 1;
        }
        used
    }

    pub(super) fn advance(&mut self, mut count: usize) {
        debug_assert!(count <= self.length, "advanced by {count} of {} bytes", self.length);
        self.length = self.length.saturating_sub(count);
        if self.length == 0 {
            *self = Queue::default();
            return;
        }
        let in_front = count.min(self.front.len() - self.sent);
        self.sent += in_front;
        count -= in_front;
        while self.sent == self.front.len() {
            let Some(rest) = &mut self.rest else { return };
            match rest.front_mut() {
                Some(Segment::Shared(payload)) => {
                    let in_payload = count.min(payload.len());
                    payload.advance(in_payload);
                    count -= in_payload;
                    if payload.has_remaining() {
                        return;
                    }
                    rest.pop_front();
                }
                Some(Segment::Run(run)) => {
                    self.front = std::mem::take(run);
                    self.sent = count.min(self.front.len());
                    count -= self.sent;
                    rest.pop_front();
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
        Prepend(usize),
        Advance(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..100_000usize).prop_map(Step::Copy),
            (0..3000usize).prop_map(Step::Share),
            (0..300usize).prop_map(Step::Prepend),
            (0..90_000usize).prop_map(Step::Advance),
        ];
        proptest::collection::vec(step, 0..40)
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
            }
            queue.advance(model.len());
            prop_assert!(queue.owns_nothing(), "an empty queue owns memory");
        }
    }
}
