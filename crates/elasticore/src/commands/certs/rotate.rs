//! `certs rotate` and `certs retire`: another authority, without a moment in which nodes refuse each other.

use clap::Args;
use settings::HumanDuration;

use super::PlaceArgs;
use super::directory::Directory;
use super::init::new_authority;
use crate::exit::{Exit, UsageError};
use crate::output::Output;

/// Arguments of `certs rotate`.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// How long the new authority is valid.
    #[arg(long, value_name = "DURATION", default_value = "3650d")]
    authority_valid_for: HumanDuration,
}

pub(super) fn rotate(arguments: &RotateArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let directory = Directory::of(&arguments.place);
    let trusted = directory.read_bundle()?;
    let (_, own) = new_authority(arguments.authority_valid_for)?;
    // Trusted before it signs anything.
    directory.keep_bundle(&format!("{}{trusted}", own.certificate))?;
    directory.keep_authority(&own)?;
    if !output.is_json() {
        output.line(
            "both authorities are trusted by whoever has the new ca.pem; when all nodes have it, `certs renew --all`, and when all nodes have \
             these, `certs retire`",
        )?;
    }
    super::show::tell(&directory, vec!["ca".to_owned()], output)
}

pub(super) fn retire(place: &PlaceArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let directory = Directory::of(place);
    let newest = directory.authority_facts()?.subject;
    let mut old = Vec::new();
    for name in directory.names()? {
        if directory.facts(&name)?.issuer != newest {
            old.push(name);
        }
    }
    if !old.is_empty() {
        let reason = format!(
            "certificates of {} are still of an older authority: `certs renew --all` first",
            old.join(", ")
        );
        return Err(UsageError(reason).into());
    }
    directory.keep_bundle(&directory.read_authority_certificate()?)?;
    super::show::tell(&directory, vec!["ca".to_owned()], output)
}
