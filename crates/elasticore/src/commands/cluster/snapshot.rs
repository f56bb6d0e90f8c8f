//! `cluster snapshot`: the whole control store, saved to a file and verified.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use control::raft::{Inspected, inspect};
use indicatif::HumanBytes;

use crate::client::{Client, Request};
use crate::exit::{Exit, UsageError};
use crate::output::Output;

/// Arguments of `cluster snapshot`.
#[derive(Debug, Args)]
pub(crate) struct SnapshotArgs {
    /// Where to save it; it must not be there yet.
    file: PathBuf,
}

pub(super) async fn run(SnapshotArgs { file }: SnapshotArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    if file.exists() {
        return Err(UsageError(format!("{} is there already; choose another name", file.display())).into());
    }
    // Whoever sees the file under its name sees all of it.
    let part = part_of(&file);
    let saved = save(&part, &file, client).await;
    let inspected = match saved {
        Ok(inspected) => inspected,
        Err(error) => {
            std::fs::remove_file(&part).ok();
            return Err(error);
        }
    };
    let Inspected { revision, keys, bytes } = inspected;
    if output.is_json() {
        let told = serde_json::json!({ "file": file, "revision": revision, "keys": keys, "bytes": bytes });
        output.json(told.to_string().as_bytes())?;
    } else {
        output.line(format_args!(
            "saved {}: revision {revision}, {keys} keys, {}",
            file.display(),
            HumanBytes(bytes)
        ))?;
    }
    Ok(Exit::Ok)
}

async fn save(part: &Path, file: &Path, client: &Client) -> anyhow::Result<Inspected> {
    let mut answer = client.send(&Request::get("/cluster/snapshot")).await?;
    let cannot = || format!("cannot write {}", part.display());
    let mut written = File::create(part).with_context(cannot)?;
    while let Some(chunk) = answer.chunk().await? {
        written.write_all(&chunk).with_context(cannot)?;
    }
    written.sync_all().with_context(cannot)?;
    let inspected = inspect(part).context("what came is not a whole snapshot; try again")?;
    std::fs::rename(part, file).with_context(|| format!("cannot write {}", file.display()))?;
    let directory = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .with_context(cannot)?;
    Ok(inspected)
}

fn part_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    name.into()
}
