//! Looks into frames: who orders the writes of a key must be one node at any epoch, and deletes tell clients no version.

use api::cache::{BatchFrame, FrameOp, FrameReply, ReplyFrame};
use bytes::Bytes;
use cache::Kind;

use super::network::Frame;
use super::world::Place;

/// Takes note of what an auxiliary carried out.
pub(crate) fn look(frame: &Frame, answer: &Bytes) {
    if frame.call.kind != Kind::Batch {
        return;
    }
    let asked: BatchFrame<'_> = postcard::from_bytes(&frame.body).expect("a batch");
    let said: ReplyFrame<'_> = postcard::from_bytes(answer).expect("replies");
    let mut primaries = frame.world.primaries.lock();
    for (item, reply) in asked.items.iter().zip(&said.replies) {
        if let FrameReply::Hit { version, .. } = reply {
            let (epoch, key) = (frame.call.epoch, item.key);
            frame
                .world
                .tell(|| format!("{} reads {key} as {version} at epoch {epoch}", frame.to));
        }
        let written = matches!(
            reply,
            FrameReply::Stored { .. } | FrameReply::Deleted { .. } | FrameReply::Counter { .. }
        );
        if let (FrameOp::Delete { version, .. }, FrameReply::Deleted { .. }, Place::Master(master)) =
            (&item.op, reply, frame.from)
        {
            frame
                .world
                .model
                .lock()
                .deleted(item.key, master, *version, frame.world.now().as_micros() as u64);
        }
        if written {
            let place = *primaries.entry((frame.call.epoch.0, item.key.to_owned())).or_insert(frame.to);
            if place != frame.to {
                let (epoch, other) = (frame.call.epoch, frame.to);
                frame.world.fail(format!(
                    "{place} and {other} both order the writes of {} at epoch {epoch}",
                    item.key
                ));
            }
        }
    }
}
