//! `certs`: certificates of a cluster, in a directory of files. Asks no server, and needs no other tool.

mod directory;
mod init;
mod renew;
mod rotate;
mod show;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use settings::HumanDuration;
use tls::{Purpose, Request};

use crate::exit::{Exit, UsageError};
use crate::output::Output;

/// Certificates begin a little earlier than now: clocks differ.
const BEFORE: Duration = Duration::from_secs(60 * 60);

/// What can be done with certificates.
#[derive(Debug, Subcommand)]
pub(crate) enum CertsCommand {
    /// Make an authority, and certificates of nodes and clients.
    Init(init::InitArgs),
    /// Make certificates of further nodes and clients.
    Add(init::AddArgs),
    /// Make certificates anew that end soon, for the same names. Nodes take them without a restart.
    Renew(renew::RenewArgs),
    /// Make a new authority, and have it trusted beside the old one. Then renew all certificates, then `retire`.
    Rotate(rotate::RotateArgs),
    /// Trust the newest authority alone.
    Retire(PlaceArgs),
    /// Show what is in certificates, and how long they last.
    Show(show::ShowArgs),
}

/// Where certificates are.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlaceArgs {
    /// Directory of the certificates: NAME.pem and NAME.key of each node and client, and ca.pem, which all of them trust.
    #[arg(long, value_name = "DIR", default_value = "certs")]
    dir: PathBuf,
    /// Directory of the authority's own key, which no node needs: keep it apart. `authority` in the other one unless set.
    #[arg(long, value_name = "DIR")]
    authority_dir: Option<PathBuf>,
}

/// Whom to make certificates for.
#[derive(Debug, Clone, Args)]
pub(crate) struct WantedArgs {
    /// A node or another server: its name, and the hosts and addresses it is reached under (its ADVERTISE_ADDR, and more).
    #[arg(long = "node", value_name = "NAME=HOST,...", value_parser = parse_node)]
    nodes: Vec<Node>,
    /// A client: its name.
    #[arg(long = "client", value_name = "NAME")]
    clients: Vec<String>,
    /// How long they are valid; never longer than the authority.
    #[arg(long, value_name = "DURATION", default_value = "365d")]
    valid_for: HumanDuration,
}

/// A node that is to have a certificate.
#[derive(Debug, Clone)]
struct Node {
    name: String,
    hosts: Vec<String>,
}

/// Runs a command of this tree.
pub(crate) fn run(command: CertsCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        CertsCommand::Init(arguments) => init::init(&arguments, output),
        CertsCommand::Add(arguments) => init::add(&arguments, output),
        CertsCommand::Renew(arguments) => renew::run(&arguments, output),
        CertsCommand::Rotate(arguments) => rotate::rotate(&arguments, output),
        CertsCommand::Retire(arguments) => rotate::retire(&arguments, output),
        CertsCommand::Show(arguments) => show::run(&arguments, output),
    }
}

impl WantedArgs {
    /// One request each.
    fn requests(&self) -> anyhow::Result<Vec<Request>> {
        let nodes = self
            .nodes
            .iter()
            .map(|node| request(&node.name, node.hosts.clone(), Purpose::Node, self.valid_for));
        let clients = self
            .clients
            .iter()
            .map(|name| request(name, Vec::new(), Purpose::Client, self.valid_for));
        let all: Vec<Request> = nodes.chain(clients).collect();
        for (at, request) in all.iter().enumerate() {
            check_name(&request.name)?;
            if all[..at].iter().any(|other| other.name == request.name) {
                return Err(UsageError(format!("{} is named twice", request.name)).into());
            }
        }
        Ok(all)
    }
}

fn request(name: &str, hosts: Vec<String>, purpose: Purpose, valid_for: HumanDuration) -> Request {
    let now = SystemTime::now();
    Request {
        name: name.to_owned(),
        hosts,
        purpose,
        from: now - BEFORE,
        until: now + valid_for.0,
    }
}

/// Names become names of files.
fn check_name(name: &str) -> anyhow::Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name == "ca" || !name.chars().all(fits) {
        return Err(UsageError(format!("{name:?} is no name here: letters, digits, - and _, and not ca")).into());
    }
    Ok(())
}

fn parse_node(text: &str) -> Result<Node, String> {
    let (name, hosts) = text.split_once('=').unwrap_or((text, ""));
    let hosts: Vec<String> = hosts
        .split(',')
        .map(str::trim)
        .filter(|host| !host.is_empty())
        .map(str::to_owned)
        .collect();
    if hosts.is_empty() {
        return Err("write NAME=HOST,HOST: a server's certificate names the hosts it is reached under".to_owned());
    }
    let name = name.trim().to_owned();
    Ok(Node { name, hosts })
}

/// What is wrong with names and files is for the caller to mend.
fn refused(error: tls::Error) -> anyhow::Error {
    UsageError(crate::output::one_line(&error.into())).into()
}
