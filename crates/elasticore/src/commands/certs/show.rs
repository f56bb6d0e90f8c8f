//! `certs show`, and how the other commands tell what they have made.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Args;
use serde_json::json;
use tls::Facts;

use super::directory::Directory;
use super::{PlaceArgs, refused};
use crate::exit::Exit;
use crate::output::{Cell, Output, Table, Tint};

/// What ends sooner is shown in red.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
const DAY: u64 = 24 * 60 * 60;

/// Arguments of `certs show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Files to look into; the whole directory unless given.
    files: Vec<PathBuf>,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) fn run(arguments: &ShowArgs, output: &mut Output) -> anyhow::Result<Exit> {
    if arguments.files.is_empty() {
        let directory = Directory::of(&arguments.place);
        let names = std::iter::once("ca".to_owned()).chain(directory.names()?);
        return tell(&directory, names.collect(), output);
    }
    show(arguments.files.clone(), output)
}

/// Shows the certificates of these names.
pub(super) fn tell(directory: &Directory, names: Vec<String>, output: &mut Output) -> anyhow::Result<Exit> {
    show(names.iter().map(|name| directory.certificate(name)).collect(), output)
}

fn show(files: Vec<PathBuf>, output: &mut Output) -> anyhow::Result<Exit> {
    let now = SystemTime::now();
    let mut table = Table::new(["FILE", "NAME", "HOSTS", "ENDS", ">DAYS LEFT", "SIGNED BY"]);
    let mut all = Vec::new();
    for file in files {
        for facts in Facts::read(&file).map_err(refused)? {
            let file = file.display().to_string();
            let days = facts.left(now).map(|left| left.as_secs() / DAY);
            all.push(json!({
                "file": file,
                "name": facts.subject,
                "hosts": facts.names,
                "not_before": humantime::format_rfc3339_seconds(facts.not_before).to_string(),
                "not_after": humantime::format_rfc3339_seconds(facts.not_after).to_string(),
                "days_left": days,
                "signed_by": facts.issuer,
                "authority": facts.is_authority,
                "serial": facts.serial,
            }));
            table.row(row(&file, &facts, now));
        }
    }
    if output.is_json() {
        output.json(json!({ "certificates": all }).to_string().as_bytes())?;
    } else {
        output.table(&table)?;
    }
    Ok(Exit::Ok)
}

fn row(file: &str, facts: &Facts, now: SystemTime) -> Vec<Cell> {
    let left = match facts.left(now) {
        None => Cell::tinted("ended", Tint::Bad),
        Some(left) if left < SOON => Cell::tinted(left.as_secs() / DAY, Tint::Bad),
        Some(left) => Cell::from(left.as_secs() / DAY),
    };
    vec![
        file.into(),
        facts.subject.as_str().into(),
        facts.names.join(",").into(),
        humantime::format_rfc3339_seconds(facts.not_after).into(),
        left,
        facts.issuer.as_str().into(),
    ]
}
