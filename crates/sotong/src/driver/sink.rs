//! Where a connection's events go: to the callbacks of the event form, or into the inbox of a reader.

use std::task::{Context, Waker};

use sotong_proto::MessageRef;

use super::outbound::Over;
use super::turn::SCRATCH_BYTES;
use crate::error::Error;
use crate::sender::Sender;

/// Where a connection's events go.
pub(crate) trait Sink: Send + 'static {
    fn open(&mut self, socket: &Sender);
    /// Whether it has room for another one.
    fn message(&mut self, socket: &Sender, message: MessageRef<'_>) -> bool;
    /// The messages of one read are through. `driver` is its waker, if [`run`](Self::run) follows.
    fn turn_ended(&mut self, driver: Option<&Waker>) {
        let _ = driver;
    }
    /// Runs the application, if it is a part of the driver's task; what it sends may be corked.
    fn run(&mut self, context: &mut Context<'_>) {
        let _ = context;
    }
    /// Keeps the bytes that stand behind the message for which there was no room any more.
    fn keep_unread(&mut self, unread: &[u8]) {
        let _ = unread;
    }
    /// What was kept, once there is room again.
    fn take_unread(&mut self) -> Option<Vec<u8>> {
        None
    }
    /// Whether the application has had its chance to answer every message.
    fn is_through(&self) -> bool {
        true
    }
    /// How many bytes wait for the application.
    fn held_bytes(&self) -> usize {
        0
    }
    /// How many bytes may be read now; at 0 it wakes `driver` when there is room again.
    fn room(&mut self, driver: &Waker) -> usize {
        let _ = driver;
        SCRATCH_BYTES
    }
    fn error(&mut self, socket: &Sender, error: &Error);
    fn close(&mut self, over: &Over);
}
