//! Listens to the auxiliaries while anybody listens here.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use lifecycle::CancellationToken;
use serde::Deserialize;
use tokio_util::codec::{FramedRead, LinesCodec};
use tokio_util::io::StreamReader;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};
use transport::peer::{PeerError, Retry};

use crate::app::events::{Events, Kind, Source, Told};

/// Longest wait for an auxiliary to begin its stream.
const BEGIN: Duration = Duration::from_secs(2);
/// First and longest pause before a stream that ended is begun again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Longest silence: an auxiliary to which nothing happens says so every second. One that says nothing is gone, or cut off, though
/// its connection may look alive for much longer.
const SILENCE: Duration = Duration::from_secs(5);
/// Longest line: a key of 1 KiB, every byte of it escaped, and its namespace.
const MAX_LINE: usize = 64 << 10;

/// A line of an auxiliary's stream.
#[derive(Debug, Deserialize)]
struct Line {
    kind: Option<Kind>,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    key: String,
    lagged: Option<u64>,
}

impl Events {
    /// Works until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut listeners = self.listeners();
        let work = async {
            while listeners.wait_for(|count| *count > 0).await.is_ok() {
                tokio::select! {
                    () = self.follow() => {}
                    _ = listeners.wait_for(|count| *count == 0) => {}
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = stop.cancelled() => {}
        }
    }

    /// One stream from each life in the ring; they end with this.
    async fn follow(self: &Arc<Self>) {
        let mut streams: BTreeMap<Source, AbortOnDropHandle<()>> = BTreeMap::new();
        loop {
            let routing = self.auxiliaries.routing();
            let sources = self.sources();
            streams.retain(|source, _| sources.contains(source));
            for source in sources {
                let this = Arc::clone(self);
                streams
                    .entry(source.clone())
                    .or_insert_with(|| AbortOnDropHandle::new(tokio::spawn(async move { this.hear(source).await })));
            }
            let view = self.auxiliaries.view();
            view.wait_for(|snapshot| !Arc::ptr_eq(snapshot.routing(), &routing)).await;
        }
    }

    /// Hears one life for as long as it is in the ring.
    async fn hear(self: Arc<Self>, source: Source) {
        let mut pause = PAUSES.0;
        loop {
            match self.hear_once(&source).await {
                Ok(()) => {
                    pause = PAUSES.0;
                    self.tell(Told::Missed { count: None });
                }
                Err(error) => debug!(node = %source.id, %error, "an auxiliary does not tell what happens"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// One stream, to its end.
    async fn hear_once(self: &Arc<Self>, source: &Source) -> Result<(), PeerError> {
        let request = self.auxiliaries.peers().get(&source.address, "/internal/v1/cache/events");
        let response = request.deadline(BEGIN).retry(Retry::Never).send().await?;
        let _heard = self.heard(source);
        let bytes = StreamReader::new(Box::pin(response.stream().map_err(io::Error::other)));
        let mut lines = FramedRead::new(bytes, LinesCodec::new_with_max_length(MAX_LINE));
        loop {
            match tokio::time::timeout(SILENCE, lines.next()).await {
                Ok(Some(Ok(line))) => {
                    if let Some(told) = understand(line) {
                        self.tell(told);
                    }
                }
                Ok(_) => return Ok(()),
                Err(_) => {
                    warn!(node = %source.id, "an auxiliary has said nothing for {SILENCE:?}; listening to it anew");
                    return Ok(());
                }
            }
        }
    }
}

/// What a line tells; nothing when it is empty, or of a later version of the software.
fn understand(json: String) -> Option<Told> {
    let line: Line = serde_json::from_str(&json).ok()?;
    match (line.kind, line.lagged) {
        (Some(kind), _) => Some(Told::Change {
            kind,
            namespace: line.namespace,
            key: line.key,
            json,
        }),
        (None, Some(count)) => Some(Told::Missed { count: Some(count) }),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_changes_or_tell_of_missed_ones() {
        let json = r#"{"kind":"evict","namespace":"n","key":"k","version":7}"#.to_owned();
        let told = Told::Change {
            kind: Kind::Evict,
            namespace: "n".to_owned(),
            key: "k".to_owned(),
            json: json.clone(),
        };
        assert_eq!(understand(json), Some(told));
        assert_eq!(
            understand(r#"{"lagged":3}"#.to_owned()),
            Some(Told::Missed { count: Some(3) })
        );
        for nothing in ["", "{}", "null", r#"{"kind":"reborn","key":"k"}"#] {
            assert_eq!(understand(nothing.to_owned()), None, "{nothing}");
        }
    }
}
