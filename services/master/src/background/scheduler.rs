//! The scheduler's terms: one begins when this master comes to lead, and ends when it leads no more.

use cluster::LeaderState;
use lifecycle::CancellationToken;
use tracing::info;

use crate::app::jobs::Jobs;

impl Jobs {
    /// Schedules whenever this master leads, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        // Should this task have panicked, its seat is still there, with nobody in it.
        self.leave_seat();
        let mut leadership = self.leadership();
        while !stop.is_cancelled() {
            let Some(token) = leadership.borrow_and_update().token().cloned() else {
                tokio::select! {
                    changed = leadership.changed() => if changed.is_err() { return },
                    () = stop.cancelled() => return,
                }
                continue;
            };
            let mut terms = leadership.clone();
            let deposed = terms.wait_for(|state: &LeaderState| state.token() != Some(&token));
            tokio::select! {
                () = self.lead(token.clone()) => {}
                _ = deposed => info!("scheduling ends: this master leads no more"),
                () = stop.cancelled() => {}
            }
            self.leave_seat();
        }
    }
}
