//! `cache get`.

use std::path::PathBuf;

use api::cache::{Encoding, Entry};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;

use super::{EntryArgs, by_path, by_query, save};
use crate::client::{Client, Request};
use crate::commands::fits_a_segment;
use crate::exit::Exit;
use crate::output::{Output, Sink};

/// Arguments of `cache get`.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    entry: EntryArgs,
    /// Write to a file instead.
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(super) async fn run(GetArgs { entry, file }: GetArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    if output.is_json() {
        let body = client.send(&by_query(Request::get("/cache/"), &entry)).await?.bytes().await?;
        output.json(&body)?;
    } else if fits_a_segment(&entry.key) {
        let answer = client.send(&by_path(Request::get, &entry)).await?;
        save(answer, file.as_deref(), output).await?;
    } else {
        let (_, held) = client
            .send(&by_query(Request::get("/cache/"), &entry))
            .await?
            .json::<Entry>()
            .await?;
        let mut sink = Sink::open(file.as_deref(), output)?;
        sink.write(&bytes_of(held)?)?;
        sink.finish()?;
    }
    Ok(Exit::Ok)
}

fn bytes_of(entry: Entry) -> anyhow::Result<Vec<u8>> {
    let value = entry.value.unwrap_or_default();
    match entry.encoding {
        None => Ok(value.into_bytes()),
        Some(Encoding::Base64) => Ok(STANDARD.decode(value)?),
    }
}
