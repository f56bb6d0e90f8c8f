//! The long poll: how work comes in, and the heartbeat.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::CancellationToken;

use crate::app::Worker;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// Polls whoever leads until the node stops.
pub(crate) async fn run(worker: Arc<Worker>, stop: CancellationToken) {
    let mut pause = FIRST_PAUSE;
    loop {
        let polled = tokio::select! {
            () = stop.cancelled() => return,
            polled = worker.leader().poll(worker.load()) => polled,
        };
        match polled {
            Ok(response) => {
                pause = FIRST_PAUSE;
                worker.obey(response);
                continue;
            }
            Err(error) => {
                tracing::debug!(%error, "nobody gives work");
                if pause == LAST_PAUSE {
                    tracing::warn!(%error, "no leader gives work; still trying");
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LAST_PAUSE),
            () = worker.leader().changed() => pause = FIRST_PAUSE,
        }
    }
}
