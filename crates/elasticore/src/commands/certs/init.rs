//! `certs init` and `certs add`.

use std::time::SystemTime;

use clap::Args;
use settings::HumanDuration;
use tls::{Authority, Request};

use super::directory::Directory;
use super::{BEFORE, PlaceArgs, WantedArgs, refused};
use crate::exit::{Exit, UsageError};
use crate::output::Output;

/// Arguments of `certs init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    wanted: WantedArgs,
    /// How long the authority is valid.
    #[arg(long, value_name = "DURATION", default_value = "3650d")]
    authority_valid_for: HumanDuration,
}

/// Arguments of `certs add`.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    wanted: WantedArgs,
}

pub(super) fn init(arguments: &InitArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (directory, requests) = (Directory::of(&arguments.place), arguments.wanted.requests()?);
    directory.refuse_authority()?;
    directory.refuse_existing(requests.iter().map(|request| request.name.as_str()))?;
    let (authority, own) = new_authority(arguments.authority_valid_for)?;
    // All that can go wrong with names does so before anything is written.
    let issued = issue(&authority, &requests)?;
    directory.make()?;
    directory.keep_authority(&own)?;
    directory.keep_bundle(&own.certificate)?;
    keep(&directory, &requests, &issued, output)
}

pub(super) fn add(arguments: &AddArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (directory, requests) = (Directory::of(&arguments.place), arguments.wanted.requests()?);
    if requests.is_empty() {
        return Err(UsageError("nobody to make a certificate for: give --node NAME=HOST,... or --client NAME".to_owned()).into());
    }
    directory.refuse_existing(requests.iter().map(|request| request.name.as_str()))?;
    let issued = issue(&directory.open_authority()?, &requests)?;
    keep(&directory, &requests, &issued, output)
}

/// An authority whose name no other one has.
pub(super) fn new_authority(valid_for: HumanDuration) -> anyhow::Result<(Authority, tls::Issued)> {
    let now = SystemTime::now();
    let name = format!("ElastiCore authority {}", humantime::format_rfc3339_millis(now));
    Authority::create(&name, now - BEFORE, now + valid_for.0).map_err(refused)
}

fn issue(authority: &Authority, requests: &[Request]) -> anyhow::Result<Vec<tls::Issued>> {
    requests
        .iter()
        .map(|request| authority.issue(request).map_err(refused))
        .collect()
}

fn keep(directory: &Directory, requests: &[Request], issued: &[tls::Issued], output: &mut Output) -> anyhow::Result<Exit> {
    for (request, issued) in requests.iter().zip(issued) {
        directory.keep(&request.name, issued)?;
    }
    super::show::tell(
        directory,
        requests.iter().map(|request| request.name.clone()).collect(),
        output,
    )
}
