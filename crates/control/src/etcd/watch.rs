//! Watches that outlive their server.
//!
//! What has been handed out is remembered as one number, the next revision to ask for; after any failure the watch is
//! opened again from there, at another member if need be. Progress answers do not advance that number: etcd before 3.4.25
//! may send one ahead of the events it covers (etcd issue 15220).
//!
//! A server that has come back with a shorter history is not the store it was: its data was lost. Then the watch ends as if
//! events had been compacted, since its reader must look at everything anew.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{GetOptions, WatchOptions, WatchResponse, WatchStream};
use futures::stream;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, error};

use super::classify::classify;
use super::convert;
use super::endpoints::Endpoints;
use crate::types::{Event, Revision};
use crate::{Error, Result, Watch};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Opens a watch from a revision, inclusive; it is in force when this returns.
pub(super) async fn open(endpoints: Arc<Endpoints>, prefix: String, from: Revision) -> Result<Watch> {
    let mut watching = Watching {
        endpoints,
        prefix,
        next: from,
        connection: None,
        joined: Vec::new(),
        reached: 0,
    };
    let patience = watching.endpoints.options.request_timeout;
    watching.connect(patience).await?;
    Ok(Box::pin(stream::unfold(Some(watching), |watching| async {
        let mut watching = watching?;
        match watching.next_item().await {
            Ok(events) => Some((Ok(events), Some(watching))),
            Err(error) => Some((Err(error), None)),
        }
    })))
}

struct Watching {
    endpoints: Arc<Endpoints>,
    prefix: String,
    /// Nothing from this revision on was handed out.
    next: Revision,
    connection: Option<Connection>,
    /// Events of a revision whose other fragments are still to come.
    joined: Vec<Event>,
    /// The latest revision of the store that was seen.
    reached: Revision,
}

struct Connection {
    member: usize,
    stream: WatchStream,
    /// Whether a sign of life was asked for and has not come.
    asked: bool,
}

impl Watching {
    async fn next_item(&mut self) -> Result<Vec<Event>> {
        loop {
            let Some(connection) = &mut self.connection else {
                let patience = self.endpoints.options.watch_patience;
                self.connect(patience).await?;
                continue;
            };
            let endpoint = self.endpoints.failover.address(connection.member);
            let lost = match connection.receive(endpoint, self.endpoints.options.keep_alive).await {
                Ok(None) => continue,
                Ok(Some(response)) if response.canceled() && response.compact_revision() <= 0 => {
                    Error::Unavailable(format!("etcd at {endpoint} ended the watch: {}", response.cancel_reason()))
                }
                Ok(Some(response)) => {
                    let events = self.accept(response)?;
                    if events.is_empty() {
                        continue;
                    }
                    return Ok(events);
                }
                Err(error) => error,
            };
            self.disconnect(&lost);
        }
    }

    /// Takes in a response and gives back the events of the revisions that are now complete.
    fn accept(&mut self, response: WatchResponse) -> Result<Vec<Event>> {
        if response.canceled() {
            return Err(Error::Compacted {
                requested: self.next,
                oldest: convert::unsigned(response.compact_revision()),
            });
        }
        if response.0.events.is_empty() {
            return Ok(Vec::new()); // a sign of life, which completes nothing
        }
        let to_be_continued = response.0.fragment;
        for event in response.0.events {
            self.joined.push(convert::event(event)?);
        }
        let Some(last) = self.joined.last().map(Event::revision) else {
            return Ok(Vec::new());
        };
        let complete = if to_be_continued {
            self.joined.partition_point(|event| event.revision() < last)
        } else {
            self.joined.len()
        };
        let rest = self.joined.split_off(complete);
        let events = std::mem::replace(&mut self.joined, rest);
        if let Some(event) = events.last() {
            self.next = event.revision() + 1;
            self.reached = self.reached.max(event.revision());
        }
        Ok(events)
    }

    /// Finds a member that serves the watch.
    async fn connect(&mut self, patience: Duration) -> Result<()> {
        let give_up = Instant::now() + patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let member = self.endpoints.failover.current();
            let options = WatchOptions::new()
                .with_prefix()
                .with_start_revision(convert::signed(self.next))
                .with_fragment();
            let opening = async {
                let client = self.endpoints.client(member).await.map_err(|failure| failure.error)?;
                let mut watches = client.watch_client().max_decoding_message_size(super::MAX_MESSAGE);
                let endpoint = self.endpoints.failover.address(member);
                let opened = watches.watch(self.prefix.as_str(), Some(options)).await;
                let mut stream = opened.map_err(|error| classify(error, endpoint).error)?;
                // The first answer says that the watch stands; only then nothing can be missed.
                let answer = stream.message().await.map_err(|error| classify(error, endpoint).error)?;
                let created = answer.filter(|answer| answer.created() && !answer.canceled());
                let revision = |answer: WatchResponse| answer.header().map_or(0, |header| convert::unsigned(header.revision()));
                Ok(created.map(|answer| (stream, revision(answer))))
            };
            let error = match timeout(self.endpoints.failover.attempt(), opening).await {
                // A member that is behind is no loss: what a majority has says which it is.
                Ok(Ok(Some((_, revision)))) if revision < self.reached && self.has_lost_data(member).await => {
                    let (known, prefix) = (self.reached, &self.prefix);
                    error!(
                        prefix,
                        known,
                        "etcd has lost its data: its history ends before what was read from it; going on with what is there. What was in \
                         it is gone: restore it from a snapshot, and restart all nodes"
                    );
                    return Err(Error::Compacted {
                        requested: self.next,
                        oldest: 1,
                    });
                }
                Ok(Ok(Some((stream, revision)))) => {
                    self.reached = self.reached.max(revision);
                    self.connection = Some(Connection {
                        member,
                        stream,
                        asked: false,
                    });
                    return Ok(());
                }
                Ok(Ok(None)) => {
                    // It says only here that it does not know a token any more.
                    self.endpoints.forget(member);
                    Error::Unavailable(format!(
                        "etcd at {} did not take the watch",
                        self.endpoints.failover.address(member)
                    ))
                }
                Ok(Err(error)) => error,
                Err(_) => Error::Unavailable(format!(
                    "etcd at {} did not answer to a new watch",
                    self.endpoints.failover.address(member)
                )),
            };
            self.endpoints.failover.leave(member, &error);
            let transient = matches!(error, Error::Unavailable(_) | Error::Timeout(_));
            if !transient || Instant::now() + pause >= give_up {
                return Err(error);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Whether the history that a majority agrees on ends before what was seen here.
    async fn has_lost_data(&self, member: usize) -> bool {
        let look = async {
            let mut keys = self.endpoints.client(member).await.ok()?.kv_client();
            let options = GetOptions::new().with_count_only();
            keys.get(self.prefix.as_str(), Some(options)).await.ok()
        };
        match timeout(self.endpoints.failover.attempt(), look).await {
            Ok(Some(answer)) => {
                let header = answer.header();
                header.is_some_and(|header| convert::unsigned(header.revision()) < self.reached)
            }
            _ => false,
        }
    }

    fn disconnect(&mut self, why: &Error) {
        debug!(prefix = self.prefix, next = self.next, error = %why, "etcd watch lost, opening it again");
        self.joined.clear();
        if let Some(connection) = self.connection.take() {
            self.endpoints.failover.leave(connection.member, why);
        }
    }
}

impl Connection {
    /// The next response, or none when it is time to look again; an error when the server is gone or deaf.
    async fn receive(&mut self, endpoint: &str, patience: Duration) -> Result<Option<WatchResponse>> {
        match timeout(patience, self.stream.message()).await {
            Ok(Ok(Some(response))) => {
                self.asked = false;
                Ok(Some(response))
            }
            Ok(Ok(None)) => Err(Error::Unavailable(format!("etcd at {endpoint} closed the watch"))),
            Ok(Err(error)) => Err(classify(error, endpoint).error),
            Err(_) if self.asked => Err(Error::Unavailable(format!("etcd at {endpoint} is silent on the watch"))),
            Err(_) => {
                self.asked = true;
                let asked = timeout(patience, self.stream.request_progress()).await;
                match asked {
                    Ok(Ok(())) => Ok(None),
                    Ok(Err(error)) => Err(classify(error, endpoint).error),
                    Err(_) => Err(Error::Unavailable(format!("etcd at {endpoint} does not read from the watch"))),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use etcd_client::proto::{PbEvent, PbKeyValue, PbWatchResponse};

    use super::*;
    use crate::etcd::EtcdOptions;

    /// A response with one put for each of the revisions.
    fn response(revisions: &[i64], fragment: bool) -> WatchResponse {
        let put = |revision: &i64| PbEvent {
            kv: Some(PbKeyValue {
                key: b"key".to_vec(),
                mod_revision: *revision,
                ..PbKeyValue::default()
            }),
            ..PbEvent::default()
        };
        WatchResponse(PbWatchResponse {
            events: revisions.iter().map(put).collect(),
            fragment,
            ..PbWatchResponse::default()
        })
    }

    #[tokio::test]
    async fn revision_cut_by_fragments_comes_in_one_item() {
        let options = EtcdOptions::new(vec!["127.0.0.1:1".to_owned()]);
        let mut watching = Watching {
            endpoints: Arc::new(Endpoints::new(options).await.unwrap()),
            prefix: "key".to_owned(),
            next: 3,
            connection: None,
            joined: Vec::new(),
            reached: 0,
        };
        let mut accept = |revisions: &[i64], fragment| {
            let events = watching.accept(response(revisions, fragment)).unwrap();
            (events.iter().map(Event::revision).collect::<Vec<_>>(), watching.next)
        };
        assert_eq!(accept(&[3, 4, 4], true), (vec![3], 4));
        assert_eq!(accept(&[4], true), (vec![], 4), "a watch opened again begins with all of 4");
        assert_eq!(accept(&[], false), (vec![], 4), "a sign of life is no last fragment");
        assert_eq!(accept(&[4, 5, 6], true), (vec![4, 4, 4, 4, 5], 6));
        assert_eq!(accept(&[6, 7], false), (vec![6, 6, 7], 8));
    }
}
