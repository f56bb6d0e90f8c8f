//! `certs renew`.

use std::time::SystemTime;

use clap::Args;
use settings::HumanDuration;
use tls::Purpose;

use super::directory::Directory;
use super::{PlaceArgs, refused, request};
use crate::exit::{Exit, UsageError};
use crate::output::Output;

/// Arguments of `certs renew`.
#[derive(Debug, Args)]
pub(crate) struct RenewArgs {
    /// Whose certificates to make anew, however long they last; those that end soon unless given.
    names: Vec<String>,
    #[command(flatten)]
    place: PlaceArgs,
    /// What is soon.
    #[arg(long, value_name = "DURATION", default_value = "30d", conflicts_with = "names")]
    within: HumanDuration,
    /// All of them, however long they last.
    #[arg(long, conflicts_with_all = ["names", "within"])]
    all: bool,
    /// How long the new ones are valid; never longer than the authority.
    #[arg(long, value_name = "DURATION", default_value = "365d")]
    valid_for: HumanDuration,
}

pub(super) fn run(arguments: &RenewArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let directory = Directory::of(&arguments.place);
    let (known, now) = (directory.names()?, SystemTime::now());
    if let Some(unknown) = arguments.names.iter().find(|name| !known.contains(name)) {
        let reason = format!(
            "there is no certificate of {unknown}; those of {} are there",
            known.join(", ")
        );
        return Err(UsageError(reason).into());
    }
    let mut renewed = Vec::new();
    let authority = directory.open_authority()?;
    for name in known {
        let facts = directory.facts(&name)?;
        let named = arguments.names.contains(&name);
        let soon = arguments.names.is_empty() && facts.left(now).is_none_or(|left| left <= arguments.within.0);
        if !(named || soon || arguments.all) {
            continue;
        }
        // Clients are in nobody's address book.
        let purpose = if facts.names.is_empty() {
            Purpose::Client
        } else {
            Purpose::Node
        };
        let wanted = request(&facts.subject, facts.names, purpose, arguments.valid_for);
        directory.keep(&name, &authority.issue(&wanted).map_err(refused)?)?;
        renewed.push(name);
    }
    super::show::tell(&directory, renewed, output)
}
