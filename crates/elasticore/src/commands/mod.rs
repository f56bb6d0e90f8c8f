//! One file per command: its arguments, and what it does.

mod auth;
mod backup;
mod cache;
mod certs;
mod cluster;
mod completions;
mod datasets;
mod jobs;
mod kv;
pub(crate) mod nodes;
mod ring;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) use auth::AuthCommand;
pub(crate) use backup::{BackupCommand, RestoreArgs};
pub(crate) use cache::CacheCommand;
pub(crate) use certs::CertsCommand;
pub(crate) use cluster::ClusterCommand;
pub(crate) use completions::CompletionsArgs;
pub(crate) use datasets::DatasetsCommand;
pub(crate) use jobs::JobsCommand;
pub(crate) use kv::KvCommand;
pub(crate) use nodes::NodesArgs;
pub(crate) use ring::RingArgs;

use crate::args::{Command, GlobalArgs};
use crate::client::Client;
use crate::exit::Exit;
use crate::output::Output;

/// Runs a command other than `up`.
pub(crate) async fn run(command: Command, global: &GlobalArgs, output: &mut Output) -> anyhow::Result<Exit> {
    if let Command::Certs(command) = command {
        return certs::run(command, output);
    }
    let client = Client::new(global)?;
    match command {
        Command::Cache(command) => cache::run(command, &client, output).await,
        Command::Kv(command) => kv::run(command, &client, output).await,
        Command::Jobs(command) => jobs::run(command, &client, output).await,
        Command::Auth(command) => auth::run(command, &client, output).await,
        Command::Cluster(command) => cluster::run(command, &client, output).await,
        Command::Datasets(command) => datasets::run(command, &client, output).await,
        Command::Nodes(arguments) => nodes::run(arguments, &client, output).await,
        Command::Backup(command) => backup::run(command, &client, output).await,
        Command::Restore(arguments) => backup::restore(arguments, &client, output).await,
        Command::Ring(arguments) => ring::run(arguments, &client, output).await,
        Command::Completions(arguments) => completions::run(&arguments, output),
        Command::Version => version(output),
        Command::Certs(_) => unreachable!("it needs no client"),
        #[cfg(feature = "up")]
        Command::Up(_) => unreachable!("it has a runtime of its own and is started beside this function"),
    }
}

fn version(output: &mut Output) -> anyhow::Result<Exit> {
    let version = env!("CARGO_PKG_VERSION");
    if output.is_json() {
        output.json(serde_json::json!({ "version": version }).to_string().as_bytes())?;
    } else {
        output.line(format_args!("elasticore {version}"))?;
    }
    Ok(Exit::Ok)
}

/// A time to live: passed on as it is written, once it is sure to be one.
fn parse_ttl(text: &str) -> Result<String, String> {
    let duration: settings::HumanDuration = text.parse()?;
    if duration.0.is_zero() {
        Err("a time to live must be longer than 0".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// Whether a key can be one segment of a path: names that begin with `_` are the API's own, and `.` and `..` are resolved
/// away by every HTTP library.
fn fits_a_segment(key: &str) -> bool {
    !key.starts_with('_') && key != "." && key != ".."
}

/// How long ago something was, in its largest unit.
fn ago(at_ms: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = now.saturating_sub(Duration::from_millis(at_ms)).as_secs();
    match seconds {
        0..60 => format!("{seconds}s ago"),
        60..3600 => format!("{}m ago", seconds / 60),
        3600..86400 => format!("{}h ago", seconds / 3600),
        _ => format!("{}d ago", seconds / 86400),
    }
}

/// A share in percent.
fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// How long the server may take for one answer, as a preference: in time for the client, a minute at most.
fn patience(client: &Client) -> Option<String> {
    /// Time of a request without a preference.
    const USUAL: Duration = Duration::from_secs(10);
    let wait = client.timeout().saturating_sub(USUAL).as_secs().min(60);
    (wait > 0).then(|| format!("wait={wait}"))
}
