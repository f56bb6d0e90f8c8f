//! Finding a blob: at its owners, or wherever it was left.

use std::time::Duration;

use api::ErrorCode;
use async_trait::async_trait;
use futures::StreamExt;
use tokio::time::Instant;
use transport::peer::PeerError;

use super::Replicated;
use crate::holder::Held;
use crate::reading::{Broken, Source};
use crate::{BlobInfo, ByteStream, Error, Result};

/// Time in which holders that do not answer are asked again: enough for the ring to go on without one.
const DEADLINE: Duration = Duration::from_secs(15);
/// Pause between two rounds.
const PAUSE: Duration = Duration::from_millis(200);

/// What holders said, in one round or all.
#[derive(Debug, Default)]
struct Refusals {
    /// Some had nothing of that name.
    absent: usize,
    /// Some did not answer, and may later.
    silent: Vec<String>,
    /// Some have something else, or something damaged.
    useless: Vec<String>,
}

impl Refusals {
    fn note(&mut self, address: &str, error: &PeerError) {
        match error {
            PeerError::Answered { problem, .. } if problem.code == ErrorCode::NotFound => self.absent += 1,
            PeerError::Answered { problem, .. } if problem.code.is_retryable() => self.silent.push(error.to_string()),
            PeerError::Answered { problem, .. } => self.useless.push(format!("{address}: {}", problem.detail)),
            _ => self.silent.push(error.to_string()),
        }
    }

    fn verdict(self, name: &str) -> Error {
        if let Some(detail) = (!self.useless.is_empty()).then(|| self.useless.join("; ")) {
            return Error::Damaged {
                name: name.to_owned(),
                detail,
            };
        }
        match (self.absent, self.silent.is_empty()) {
            (0, true) => Error::Unavailable("there is no auxiliary that could hold blobs".to_owned()),
            (_, true) => Error::NotFound(name.to_owned()),
            _ => Error::Unavailable(format!("blob {name} cannot be read now: {}", self.silent.join("; "))),
        }
    }
}

impl Replicated {
    /// Opens a blob at the first holder that has it, and, when `wanted` is known, the same.
    pub(super) async fn find(
        &self,
        name: &str,
        range: (u64, Option<u64>),
        wanted: Option<&BlobInfo>,
        broken: &mut Broken,
    ) -> Result<(BlobInfo, ByteStream)> {
        let until = Instant::now() + DEADLINE;
        loop {
            let mut refusals = Refusals::default();
            let mut candidates = self.candidates(name);
            // Those that broke off last.
            candidates.sort_by_key(|address| broken.holders.iter().filter(|broken| *broken == address).count());
            for address in candidates {
                if broken.holders.iter().filter(|broken| **broken == address).count() > 1 {
                    refusals.useless.push(format!("{address}: it broke off twice"));
                    continue;
                }
                let opened = match self.holders.open(&address, name, range).await {
                    Ok(opened) => opened,
                    Err(PeerError::Answered { problem, .. }) if problem.status == 416 => {
                        let held = self.look_up(name).await?;
                        return Err(Error::Range {
                            name: name.to_owned(),
                            bytes: held.bytes,
                            start: range.0,
                        });
                    }
                    Err(error) => {
                        refusals.note(&address, &error);
                        continue;
                    }
                };
                let info = info(opened.held);
                if wanted.is_some_and(|wanted| *wanted != info) {
                    refusals.useless.push(format!("{address}: it holds something else"));
                    continue;
                }
                broken.current = Some(address);
                let blob = name.to_owned();
                let content = opened
                    .content
                    .map(move |piece| piece.map_err(|error| Error::of_peer(&blob, &error)));
                return Ok((info, content.boxed()));
            }
            if refusals.silent.is_empty() && !self.is_new() || Instant::now() + PAUSE >= until {
                return Err(refusals.verdict(name));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What any holder knows of a blob.
    pub(super) async fn look_up(&self, name: &str) -> Result<BlobInfo> {
        let until = Instant::now() + DEADLINE;
        loop {
            let mut refusals = Refusals::default();
            for address in self.candidates(name) {
                match self.holders.stat(&address, name).await {
                    Ok(held) => return Ok(info(held)),
                    Err(error) => refusals.note(&address, &error),
                }
            }
            if refusals.silent.is_empty() && !self.is_new() || Instant::now() + PAUSE >= until {
                return Err(refusals.verdict(name));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether this node has yet to hear who is there.
    fn is_new(&self) -> bool {
        !self.view.load().is_complete()
    }
}

#[async_trait]
impl Source for Replicated {
    async fn open(&self, info: &BlobInfo, start: u64, end: u64, broken: &mut Broken) -> Result<ByteStream> {
        let (_, content) = self.find(&info.name, (start, Some(end)), Some(info), broken).await?;
        Ok(content)
    }
}

fn info(held: Held) -> BlobInfo {
    BlobInfo {
        name: held.name,
        bytes: held.bytes,
        crc32c: Some(held.crc32c),
    }
}
