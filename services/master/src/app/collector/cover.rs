//! What spares blobs: manifests, jobs, and writers at work.

use std::collections::BTreeSet;

use api::dataset::blob_prefix;
use control::{Consistency, ControlStore, KeyValue, Range};
use jobs::{JobRecord, PartLocation};

use super::Error;
use crate::app::datasets::{INTENTS, MANIFESTS, Manifest};
use crate::app::jobs::RECORDS;

/// What blobs that are collected begin with; others are left alone.
pub(super) const PREFIXES: [&str; 2] = ["datasets/", "results/"];
/// Keys read from the store at once.
const PAGE: usize = 100;

/// Everything that names blobs, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cover {
    /// Blobs that a manifest, the result of a job, or an intent names.
    pub names: BTreeSet<String>,
    /// Jobs that have not ended: all that is written for them.
    pub running: BTreeSet<String>,
    /// What running jobs read: all that begins with one of these.
    pub pins: Vec<String>,
}

impl Cover {
    /// Whether a blob is spared.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        self.names.contains(name)
            || writer(name).is_some_and(|job| self.running.contains(job))
            || self.pins.iter().any(|pin| !pin.is_empty() && name.starts_with(pin.as_str()))
    }
}

/// The job that wrote a blob, when a job did: `results/{job}/…`, `datasets/{namespace}/{name}/{job}/…`.
fn writer(name: &str) -> Option<&str> {
    let mut segments = name.split('/');
    match segments.next()? {
        "results" => segments.next(),
        "datasets" => segments.nth(2),
        _ => None,
    }
}

/// Reads it all; intents first.
pub(super) async fn read(store: &dyn ControlStore) -> Result<Cover, Error> {
    let mut cover = Cover::default();
    all(store, INTENTS, |entry| {
        cover.names.insert(String::from_utf8_lossy(&entry.value).into_owned());
        Ok(())
    })
    .await?;
    // Jobs before manifests: what a job has written goes from its record to a manifest with its end.
    all(store, RECORDS, |entry| {
        let record: JobRecord = decode(entry)?;
        if !record.state.is_final() {
            cover.running.insert(record.id.to_string());
            cover.pins.extend(read_by(&record));
        }
        for part in record.parts {
            if let PartLocation::Blob { name, .. } = part {
                cover.names.insert(name);
            }
        }
        Ok(())
    })
    .await?;
    all(store, MANIFESTS, |entry| {
        let manifest: Manifest = decode(entry)?;
        cover.names.extend(manifest.files.into_iter().map(|file| file.blob));
        Ok(())
    })
    .await?;
    Ok(cover)
}

/// What the names of the blobs begin with that a job may read: it has the files of its datasets from when it was planned, whatever
/// became of them since.
fn read_by(job: &JobRecord) -> impl Iterator<Item = String> {
    let datasets = job.spec.tables.values().filter_map(|table| table.dataset.as_deref());
    datasets.map(|name| blob_prefix(&job.namespace, name))
}

fn decode<T: serde::de::DeserializeOwned>(entry: &KeyValue) -> Result<T, Error> {
    serde_json::from_slice(&entry.value).map_err(|source| Error::Unreadable {
        key: entry.key.clone(),
        source,
    })
}

async fn all(store: &dyn ControlStore, prefix: &str, mut take: impl FnMut(&KeyValue) -> Result<(), Error>) -> Result<(), Error> {
    let mut after = None;
    loop {
        let range = Range {
            prefix: prefix.to_owned(),
            limit: PAGE,
            after,
        };
        let page = store.range(range, Consistency::Linearizable).await?;
        page.items.iter().try_for_each(&mut take)?;
        match page.items.last().filter(|_| page.more) {
            Some(last) => after = Some(last.key.clone()),
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_running_job_writes_and_reads_is_spared() {
        let cover = Cover {
            names: BTreeSet::from(["datasets/_/x/v1/a.csv".to_owned()]),
            running: BTreeSet::from(["j1".to_owned()]),
            pins: vec!["datasets/_/y/".to_owned(), String::new()],
        };
        for spared in [
            "datasets/_/x/v1/a.csv",
            "results/j1/0-0.arrow",
            "datasets/_/z/j1/0-0.parquet",
            "datasets/_/y/v9/b.csv",
        ] {
            assert!(cover.covers(spared), "{spared}");
        }
        for free in [
            "datasets/_/x/v1/b.csv",
            "results/j2/0-0.arrow",
            "datasets/_/j1/v1/a",
            "datasets/_/yy/v9/b.csv",
            "x",
        ] {
            assert!(!cover.covers(free), "{free}");
        }
    }
}
