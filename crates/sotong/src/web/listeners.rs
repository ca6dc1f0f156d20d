//! Who listens, and in which order they are called (DOM Standard, section 2; HTML Standard, "event handlers").

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::event::{CloseEvent, ErrorEvent, MessageEvent};
use super::socket::WebSocket;

/// Names a listener, to remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

/// A kind of event, as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Open,
    Message,
    Error,
    Close,
}

/// One event, to be given to whoever listens for it.
pub(super) enum Event {
    Open(WebSocket),
    Message(MessageEvent),
    Error(ErrorEvent),
    Close(CloseEvent),
}

impl Event {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Event::Open(_) => Kind::Open,
            Event::Message(_) => Kind::Message,
            Event::Error(_) => Kind::Error,
            Event::Close(_) => Kind::Close,
        }
    }
}

/// What is called with an event.
pub(super) type Call<E> = Box<dyn FnMut(&E) + Send>;

/// What a listener does.
#[doc(hidden)]
#[allow(missing_debug_implementations, reason = "not for users")]
pub enum Callback {
    Open(Call<WebSocket>),
    Message(Call<MessageEvent>),
    Error(Call<ErrorEvent>),
    Close(Call<CloseEvent>),
}

impl Callback {
    fn kind(&self) -> Kind {
        match self {
            Callback::Open(_) => Kind::Open,
            Callback::Message(_) => Kind::Message,
            Callback::Error(_) => Kind::Error,
            Callback::Close(_) => Kind::Close,
        }
    }

    fn call(&mut self, event: &Event) {
        match (self, event) {
            (Callback::Open(call), Event::Open(event)) => call(event),
            (Callback::Message(call), Event::Message(event)) => call(event),
            (Callback::Error(call), Event::Error(event)) => call(event),
            (Callback::Close(call), Event::Close(event)) => call(event),
            _ => debug_assert!(false, "listeners are called for their own kind"),
        }
    }
}

/// One listener. It is in the list until it is removed; a dispatch that has begun may know it for longer.
pub(super) struct Listener {
    id: ListenerId,
    kind: Kind,
    once: bool,
    is_removed: AtomicBool,
    /// `None` while it is being called, so that it may be given another, or removed, from inside.
    callback: Mutex<Option<Callback>>,
}

impl Listener {
    fn take(&self) -> Option<Callback> {
        self.callback.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Puts another in; returns the one that was there, to be dropped where no lock is held.
    fn put(&self, callback: Callback) -> Option<Callback> {
        self.callback.lock().unwrap_or_else(PoisonError::into_inner).replace(callback)
    }

    /// After a call: the same again, unless it was removed or replaced meanwhile. Returns it if it is not needed.
    fn put_back(&self, callback: Callback) -> Option<Callback> {
        let mut place = self.callback.lock().unwrap_or_else(PoisonError::into_inner);
        if place.is_some() || self.is_removed.load(Ordering::Acquire) {
            return Some(callback);
        }
        *place = Some(callback);
        None
    }

    fn remove(&self) {
        self.is_removed.store(true, Ordering::Release);
    }
}

/// All listeners of a socket, in the order in which they are called.
#[derive(Default)]
pub(super) struct Listeners {
    list: Vec<Arc<Listener>>,
    /// Which of them are the slots', by kind.
    slots: [Option<ListenerId>; 4],
    next: u64,
    /// The last event is through: nobody will be called any more.
    is_over: bool,
    /// So is the open event.
    is_open_over: bool,
}

/// What was taken out. A closure is the user's, and so is what it holds: to be dropped where no lock is held.
#[must_use]
#[derive(Default)]
pub(super) struct TakenOut(
    #[allow(dead_code, reason = "it is there to be dropped")] Vec<Arc<Listener>>,
    Option<Callback>,
);

impl Listeners {
    /// Adds one at the end.
    pub(super) fn add(&mut self, callback: Callback, once: bool) -> (ListenerId, TakenOut) {
        self.next += 1;
        let (id, kind) = (ListenerId(self.next), callback.kind());
        if self.is_over || self.is_open_over && kind == Kind::Open {
            return (id, TakenOut(Vec::new(), Some(callback)));
        }
        let is_removed = AtomicBool::new(false);
        self.list.push(Arc::new(Listener {
            id,
            kind,
            once,
            is_removed,
            callback: Mutex::new(Some(callback)),
        }));
        (id, TakenOut::default())
    }

    /// Removes one, if it is there.
    pub(super) fn remove(&mut self, id: ListenerId) -> TakenOut {
        // The id of a slot's is told to nobody.
        self.retain(|listener| listener.id != id)
    }

    fn retain(&mut self, keep: impl Fn(&Listener) -> bool) -> TakenOut {
        let mut taken = TakenOut::default();
        taken.0 = self.list.extract_if(.., |listener| !keep(listener)).collect();
        taken.0.iter().for_each(|listener| listener.remove());
        taken
    }

    /// Sets a slot: in the place that it has, or at the end (HTML Standard, "activate an event handler").
    pub(super) fn set_slot(&mut self, callback: Callback) -> TakenOut {
        let kind = callback.kind();
        let id = self.slots[kind as usize];
        if let Some(listener) = self.list.iter().find(|listener| Some(listener.id) == id) {
            return TakenOut(Vec::new(), listener.put(callback));
        }
        let (id, taken) = self.add(callback, false);
        self.slots[kind as usize] = Some(id);
        taken
    }

    /// Clears a slot: it loses its place, too ("deactivate an event handler").
    pub(super) fn clear_slot(&mut self, kind: Kind) -> TakenOut {
        match self.slots[kind as usize].take() {
            Some(id) => self.remove(id),
            None => TakenOut::default(),
        }
    }

    /// Whether anybody listens for one of these.
    pub(super) fn has_any(&self, kinds: &[Kind]) -> bool {
        self.list.iter().any(|listener| kinds.contains(&listener.kind))
    }

    /// Drops those whose event will not come any more: that of `open`, when it has come.
    pub(super) fn open_is_over(&mut self) -> TakenOut {
        self.is_open_over = true;
        self.retain(|listener| listener.kind != Kind::Open)
    }

    /// Drops all: there will be no event any more.
    pub(super) fn end(&mut self) -> TakenOut {
        self.is_over = true;
        self.retain(|_| false)
    }

    /// Those that are to be called for an event, as they are now (DOM Standard, "inner invoke", on a clone of the list).
    pub(super) fn of(&self, kind: Kind, into: &mut Vec<Arc<Listener>>) {
        into.extend(self.list.iter().filter(|listener| listener.kind == kind).cloned());
    }
}

/// Calls one listener. `remove` takes it out of the list, which is done before it is called if it is for once.
pub(super) fn call(listener: &Listener, event: &Event, remove: impl FnOnce(ListenerId)) {
    if listener.is_removed.load(Ordering::Acquire) {
        return;
    }
    let Some(mut callback) = listener.take() else { return };
    if listener.once {
        remove(listener.id);
    }
    // Its captures may be dropped here, too, which is the user's code as well.
    let called = catch_unwind(AssertUnwindSafe(|| {
        let called = catch_unwind(AssertUnwindSafe(|| callback.call(event)));
        drop(listener.put_back(callback));
        called.is_ok()
    }));
    if !called.unwrap_or(false) {
        tracing::error!(kind = ?event.kind(), "a listener panicked; the next one is called");
    }
}

impl Drop for TakenOut {
    fn drop(&mut self) {
        let (list, callback) = (std::mem::take(&mut self.0), self.1.take());
        if catch_unwind(AssertUnwindSafe(|| drop((list, callback)))).is_err() {
            tracing::error!("the drop of a listener panicked");
        }
    }
}
