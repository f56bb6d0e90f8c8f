//! What waits to be written to a connection, and how much of it has been.
//!
//! Frames leave in the order in which they were put in, all that wait in one vectored write: no copy, few system calls. A
//! frame of which no byte has left can be taken back, and once the outbox is closed no byte leaves any more: so it is known
//! exactly which frames the peer cannot have received whole.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::wire::Frame;
use crate::connection::{Attempt, Writer, Written};

/// Parts of frames in one system call.
const SLICES: usize = 128;

/// The frames on their way out of one connection.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Where frames are put: held for a moment only.
    waiting: Mutex<Vec<Frame>>,
    /// Frames being written, in order: held during a write. Frames move from `waiting` to here under both locks.
    outgoing: Mutex<Outgoing>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Outgoing {
    frames: VecDeque<Frame>,
    /// Frames whose time was over before they were begun: a process that was stopped sends nothing old when it goes on.
    late: Vec<u32>,
    closed: bool,
}

impl Outbox {
    /// Puts a frame in; somebody must flush or wake the writer.
    pub(super) fn push(&self, frame: Frame) {
        self.waiting.lock().push(frame);
    }

    /// Lets [`Outbox::run`] write what waits.
    pub(super) fn wake(&self) {
        self.filled.notify_one();
    }

    /// Writes whatever waits, whenever it is woken; returns when the connection breaks.
    pub(super) async fn run(&self, stream: &Writer) -> io::Error {
        loop {
            self.filled.notified().await;
            // What is ready to run may have more to send: it all leaves together.
            tokio::task::yield_now().await;
            if let Err(error) = self.flush_all(stream).await {
                return error;
            }
        }
    }

    /// Writes until nothing waits.
    pub(super) async fn flush_all(&self, stream: &Writer) -> io::Result<()> {
        stream.write_all(|attempt| self.flush(attempt)).await
    }

    /// Writes what the connection takes now.
    fn flush(&self, attempt: &mut Attempt<'_>) -> io::Result<Written> {
        let mut outgoing = self.outgoing.lock();
        loop {
            outgoing.frames.extend(self.waiting.lock().drain(..));
            outgoing.pass_over_late();
            if outgoing.frames.is_empty() || outgoing.closed {
                return Ok(Written::All);
            }
            match write(&outgoing.frames, attempt) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => outgoing.advance(bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Written::Blocked),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes a frame back; whether the peer certainly never gets it whole.
    pub(super) fn revoke(&self, id: u32) -> bool {
        let mut waiting = self.waiting.lock();
        if let Some(place) = waiting.iter().position(|frame| frame.id == id) {
            waiting.remove(place);
            return true;
        }
        drop(waiting);
        let mut outgoing = self.outgoing.lock();
        if let Some(place) = outgoing.late.iter().position(|late| *late == id) {
            outgoing.late.swap_remove(place);
            return true;
        }
        let closed = outgoing.closed;
        let place = outgoing.frames.iter().position(|frame| frame.id == id);
        match place {
            Some(_) if closed => true,
            Some(place) if !outgoing.frames[place].is_begun() => outgoing.frames.remove(place).is_some(),
            _ => false,
        }
    }

    /// Ends all writing: the ids of the frames that have not left whole, and never will.
    pub(super) fn close(&self) -> Vec<u32> {
        let mut outgoing = self.outgoing.lock();
        outgoing.closed = true;
        outgoing.frames.extend(self.waiting.lock().drain(..));
        let unsent = outgoing.frames.iter().map(|frame| frame.id);
        unsent.chain(outgoing.late.iter().copied()).collect()
    }
}

impl Outgoing {
    fn pass_over_late(&mut self) {
        let (now, late) = (Instant::now(), &mut self.late);
        self.frames.retain(|frame| {
            let keep = frame.is_begun() || frame.until.is_none_or(|until| now < until);
            if !keep {
                late.push(frame.id);
            }
            keep
        });
    }

    fn advance(&mut self, mut bytes: usize) {
        while let Some(first) = self.frames.front_mut() {
            let left = first.left();
            if bytes < left {
                first.advance(bytes);
                return;
            }
            bytes -= left;
            self.frames.pop_front();
        }
    }
}

fn write(frames: &VecDeque<Frame>, attempt: &mut Attempt<'_>) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let mut used = 0;
    for frame in frames {
        // A frame has two parts at most.
        if used + 2 > SLICES {
            break;
        }
        frame.slices(|slice| {
            slices[used] = slice;
            used += 1;
        });
    }
    attempt(&slices[..used])
}
