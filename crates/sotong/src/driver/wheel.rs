//! A coarse timer wheel: buckets of connections by the moment at which they want to be looked at.
//!
//! A connection moves on the wheel only when its alarm rings or gets earlier, not with each message. Deadlines
//! beyond the wheel's reach ring at its end and are armed again.

use std::ops::{Index, IndexMut};
use std::task::Waker;
use std::time::Duration;

use sotong_proto::Time;

/// How coarse it is: an alarm rings at most this much late.
pub(crate) const TICK: Duration = Duration::from_millis(32);
/// How many ticks it reaches ahead: 65 seconds.
const BUCKETS: u64 = 2048;

/// A connection's place on the wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(u32);

impl Slot {
    /// A number from 0 to 1 that spreads slots evenly (multiplication by the golden ratio).
    pub(crate) fn fraction(self) -> f64 {
        f64::from(self.0.wrapping_mul(0x9e37_79b9)) / f64::from(u32::MAX)
    }
}

pub(crate) struct Wheel {
    /// Made with the first alarm. Each holds slots; a slot is in one bucket at most.
    buckets: Vec<Vec<Slot>>,
    places: Places,
    free: Vec<Slot>,
    /// Everything before this tick has rung.
    current: u64,
    armed: usize,
    /// The tick at which whoever turns the wheel looks at it, called or not. No alarm is earlier; there may be none at it
    /// any more: then that look was for nothing, which costs less than to call for each alarm that is the first again.
    look: u64,
}

struct Place {
    waker: Option<Waker>,
    /// Where it stands in its bucket.
    index: u32,
    /// The bucket that it is in, or `NOWHERE`. Its tick follows from that: all that are armed are within the wheel's reach.
    bucket: u16,
}

/// The bucket of a place that is not armed.
const NOWHERE: u16 = u16::MAX;
const _: () = assert!(BUCKETS <= NOWHERE as u64);

/// A tick that never comes.
const NEVER: u64 = u64::MAX;

/// A list that grows by blocks: nothing moves, and no more than one block is there for nothing. A `Vec` would have room for
/// twice as many when it has just grown, and the old ones' memory beside that until the allocator gives it back.
#[derive(Default)]
struct Places {
    blocks: Vec<Vec<Place>>,
}

impl Places {
    const BLOCK: usize = 256;

    fn len(&self) -> usize {
        self.blocks.last().map_or(0, |last| (self.blocks.len() - 1) * Self::BLOCK + last.len())
    }

    fn push(&mut self, place: Place) {
        if self.blocks.last().is_none_or(|last| last.len() == Self::BLOCK) {
            self.blocks.push(Vec::with_capacity(Self::BLOCK));
        }
        if let Some(last) = self.blocks.last_mut() {
            last.push(place);
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Place> {
        self.blocks.iter().flatten()
    }
}

impl Index<Slot> for Places {
    type Output = Place;

    fn index(&self, Slot(number): Slot) -> &Place {
        &self.blocks[number as usize / Self::BLOCK][number as usize % Self::BLOCK]
    }
}

impl IndexMut<Slot> for Places {
    fn index_mut(&mut self, Slot(number): Slot) -> &mut Place {
        &mut self.blocks[number as usize / Self::BLOCK][number as usize % Self::BLOCK]
    }
}

fn tick_of(time: Time) -> u64 {
    let ticks = (time - Time::ZERO).as_nanos() / TICK.as_nanos();
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

fn time_of(tick: u64) -> Time {
    Time::ZERO + Duration::from_nanos(tick.saturating_mul(TICK.as_nanos() as u64))
}

impl Default for Wheel {
    fn default() -> Self {
        Wheel {
            buckets: Vec::new(),
            places: Places::default(),
            free: Vec::new(),
            current: 0,
            armed: 0,
            look: NEVER,
        }
    }
}

impl Wheel {
    pub(crate) fn insert(&mut self) -> Slot {
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        let number = u32::try_from(self.places.len());
        self.places.push(Place { waker: None, index: 0, bucket: NOWHERE });
        Slot(number.expect("there are fewer connections than 2^32 file descriptors"))
    }

    pub(crate) fn remove(&mut self, slot: Slot) {
        self.disarm(slot);
        self.places[slot].waker = None;
        self.free.push(slot);
        if self.free.len() == self.places.len() {
            // Nobody is left: memory returns to where it was.
            *self = Wheel { current: self.current, look: self.look, ..Wheel::default() };
        }
    }

    /// Arms the slot; returns when it rings, and whether that is before the next look at the wheel.
    pub(crate) fn arm(&mut self, slot: Slot, due: Time, now: Time, waker: &Waker) -> (Time, bool) {
        let place = &mut self.places[slot];
        if !place.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
            place.waker = Some(waker.clone());
        }
        self.place_at(slot, due, now)
    }

    fn place_at(&mut self, slot: Slot, due: Time, now: Time) -> (Time, bool) {
        self.disarm(slot);
        if self.buckets.is_empty() {
            self.buckets.resize_with(BUCKETS as usize, Vec::new);
        }
        if self.armed == 0 {
            self.current = tick_of(now);
        }
        // One tick later than `due` falls into, so that it never rings before it.
        let tick = (tick_of(due) + 1).clamp(self.current, self.current + BUCKETS - 1);
        let is_first = tick < self.look;
        self.look = self.look.min(tick);
        let number = (tick % BUCKETS) as u16;
        let bucket = &mut self.buckets[usize::from(number)];
        let place = &mut self.places[slot];
        (place.bucket, place.index) = (number, bucket.len() as u32);
        bucket.push(slot);
        self.armed += 1;
        (time_of(tick), is_first)
    }

    fn disarm(&mut self, slot: Slot) {
        let place = &mut self.places[slot];
        let number = std::mem::replace(&mut place.bucket, NOWHERE);
        if number == NOWHERE {
            return;
        }
        let index = place.index as usize;
        let bucket = &mut self.buckets[usize::from(number)];
        bucket.swap_remove(index);
        if let Some(&moved) = bucket.get(index) {
            self.places[moved].index = index as u32;
        }
        self.armed -= 1;
    }

    /// Takes out everything that is due, and tells when to look again.
    pub(crate) fn expire(&mut self, now: Time, due: &mut Vec<Waker>) -> Option<Time> {
        if self.armed == 0 {
            self.look = NEVER;
            return None;
        }
        let until = tick_of(now).min(self.current + BUCKETS - 1);
        while self.current <= until {
            let slots = std::mem::take(&mut self.buckets[(self.current % BUCKETS) as usize]);
            self.armed -= slots.len();
            for slot in slots {
                let place = &mut self.places[slot];
                place.bucket = NOWHERE;
                due.extend(place.waker.clone());
            }
            self.current += 1;
        }
        let mut ticks = self.current..self.current + BUCKETS;
        self.look = ticks.find(|tick| !self.buckets[(tick % BUCKETS) as usize].is_empty()).unwrap_or(NEVER);
        (self.armed > 0).then(|| time_of(self.look))
    }

    /// Everybody, without a change to their alarms.
    pub(crate) fn wakers(&self) -> Vec<Waker> {
        self.places.iter().filter_map(|place| place.waker.clone()).collect()
    }

    /// Moves every alarm, of the armed and of the waiting, to the moment that `due` says, unless it is earlier.
    pub(crate) fn rearm_all(&mut self, now: Time, due: impl Fn(Slot) -> Time) {
        for slot in (0..self.places.len() as u32).map(Slot) {
            if self.places[slot].waker.is_some() {
                let earlier = time_of(self.tick(slot)).min(due(slot));
                self.place_at(slot, earlier, now);
            }
        }
    }

    /// When it rings, or `NEVER`.
    fn tick(&self, slot: Slot) -> u64 {
        match self.places[slot].bucket {
            NOWHERE => NEVER,
            // Of the ticks within reach, the one that has this bucket.
            number => self.current + (u64::from(number) + BUCKETS - self.current % BUCKETS) % BUCKETS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Rings(AtomicUsize);

    impl Wake for Rings {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn at(millis: u64) -> Time {
        Time::from_start(Duration::from_millis(millis))
    }

    fn expire(wheel: &mut Wheel, now: u64) -> usize {
        let mut due = Vec::new();
        wheel.expire(at(now), &mut due);
        due.len()
    }

    #[test]
    fn rings_once_not_early_and_at_most_two_ticks_late() {
        let waker = Waker::from(Arc::new(Rings::default()));
        for millis in [0, 1, 31, 32, 33, 1000, 20_000, 60_000] {
            let mut wheel = Wheel::default();
            let slot = wheel.insert();
            let (armed, is_first) = wheel.arm(slot, at(millis), at(0), &waker);
            assert!(is_first && armed >= at(millis) && armed <= at(millis + 64));
            let rung: Vec<u64> = (0..70_000).step_by(8).filter(|now| expire(&mut wheel, *now) == 1).collect();
            assert_eq!(rung.len(), 1, "{millis} ms");
            assert!(rung[0] >= millis && rung[0] <= millis + 72, "{millis} ms rang at {}", rung[0]);
        }
    }

    #[test]
    fn who_turns_it_is_called_for_what_is_before_its_next_look_only() {
        let waker = Waker::from(Arc::new(Rings::default()));
        let mut wheel = Wheel::default();
        // Connections that come and go, one at a time: the wheel is empty in between.
        let first = wheel.insert();
        assert!(wheel.arm(first, at(5_000), at(0), &waker).1, "nobody looks at all before that");
        wheel.remove(first);
        for now in [10, 1_000, 4_900] {
            let slot = wheel.insert();
            assert!(!wheel.arm(slot, at(now + 5_000), at(now), &waker).1, "it looks at 5 s anyway");
            wheel.remove(slot);
        }
        assert_eq!(expire(&mut wheel, 5_064), 0, "nothing is left");
        let slot = wheel.insert();
        assert!(
            wheel.arm(slot, at(10_064), at(5_064), &waker).1,
            "that look found nothing and sleeps for good"
        );
        assert_eq!(expire(&mut wheel, 5_100), 0, "it was called");
        let earlier = wheel.insert();
        assert!(wheel.arm(earlier, at(7_000), at(5_100), &waker).1);
        // The look is late, and the wheel was empty meanwhile.
        wheel.remove(earlier);
        wheel.remove(slot);
        let slot = wheel.insert();
        assert!(!wheel.arm(slot, at(7_200), at(7_150), &waker).1, "the look at 7 s is due");
        assert_eq!(expire(&mut wheel, 7_160), 0);
        assert_eq!(expire(&mut wheel, 7_264), 1);
    }

    #[test]
    fn a_deadline_beyond_its_reach_rings_at_its_end() {
        let waker = Waker::from(Arc::new(Rings::default()));
        let mut wheel = Wheel::default();
        let slot = wheel.insert();
        let (armed, _) = wheel.arm(slot, at(10_000_000), at(0), &waker);
        assert!(armed > at(60_000) && armed < at(70_000));
        assert_eq!(expire(&mut wheel, 70_000), 1);
    }

    #[test]
    fn an_earlier_deadline_replaces_a_later_one_and_removal_frees_everything() {
        let waker = Waker::from(Arc::new(Rings::default()));
        let mut wheel = Wheel::default();
        let slots: Vec<Slot> = (0..100).map(|_| wheel.insert()).collect();
        for slot in &slots {
            wheel.arm(*slot, at(20_000), at(0), &waker);
        }
        assert!(wheel.arm(slots[50], at(100), at(0), &waker).1);
        assert_eq!(expire(&mut wheel, 200), 1);
        for slot in &slots[..99] {
            wheel.remove(*slot);
        }
        assert_eq!(expire(&mut wheel, 21_000), 1);
        wheel.remove(slots[99]);
        assert_eq!(wheel.places.blocks.capacity() + wheel.buckets.capacity() + wheel.free.capacity(), 0);
    }

    #[test]
    fn the_tick_of_each_place_is_known_wherever_the_wheel_stands() {
        let waker = Waker::from(Arc::new(Rings::default()));
        let mut wheel = Wheel::default();
        let keeper = wheel.insert();
        let slot = wheel.insert();
        assert_eq!(wheel.tick(slot), NEVER);
        for now in (0..200_000).step_by(1_777) {
            expire(&mut wheel, now);
            wheel.arm(keeper, at(now + 60_000), at(now), &waker);
            for after in [0, 1, 32, 5_000, 64_000, 65_000] {
                let (rings, _) = wheel.arm(slot, at(now + after), at(now), &waker);
                assert_eq!(time_of(wheel.tick(slot)), rings, "{after} ms after {now}");
            }
        }
        wheel.rearm_all(at(200_000), |_| at(201_000));
        assert_eq!(expire(&mut wheel, 201_100), 2, "all were moved");
    }

    #[test]
    fn places_are_found_in_every_block() {
        let waker = Waker::from(Arc::new(Rings::default()));
        let mut wheel = Wheel::default();
        let slots: Vec<Slot> = (0..3 * Places::BLOCK + 1).map(|_| wheel.insert()).collect();
        assert_eq!((wheel.places.len(), wheel.places.blocks.len()), (slots.len(), 4));
        for (number, slot) in slots.iter().enumerate() {
            wheel.arm(*slot, at(1_000 + 32 * number as u64), at(0), &waker);
        }
        for (number, slot) in slots.iter().enumerate() {
            assert_eq!(time_of(wheel.tick(*slot)), at(1_024 + 32 * number as u64));
        }
        assert_eq!(wheel.wakers().len(), slots.len());
        assert_eq!(size_of::<Place>(), 24, "a connection has one, whatever it does");
    }

    #[test]
    fn a_long_sleep_rings_everything_that_was_due() {
        let waker = Waker::from(Arc::new(Rings::default()));
        let mut wheel = Wheel::default();
        for millis in [10, 5_000, 40_000, 64_000] {
            let slot = wheel.insert();
            wheel.arm(slot, at(millis), at(0), &waker);
        }
        assert_eq!(expire(&mut wheel, 1_000_000), 4);
        let slot = wheel.insert();
        let (armed, _) = wheel.arm(slot, at(1_000_100), at(1_000_000), &waker);
        assert!(armed >= at(1_000_100) && armed <= at(1_000_164));
    }
}
