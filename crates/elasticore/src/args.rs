//! The command line: global flags and the tree of commands. What a command's own flags mean stands beside the command.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use settings::HumanDuration;

use crate::client::{Credential, DEFAULT_ENDPOINT, Endpoint};
use crate::commands::{
    AuthCommand, BackupCommand, CacheCommand, CertsCommand, ClusterCommand, CompletionsArgs, DatasetsCommand, JobsCommand,
    KvCommand, NodesArgs, RestoreArgs, RingArgs,
};
use crate::exit;

/// One stack for caching, key-value storage and data processing.
#[derive(Debug, Parser)]
#[command(name = "elasticore", version, after_help = exit::HELP, arg_required_else_help = true, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Address of the public API of any master. Of several, another is asked when one cannot be reached or cannot do it now.
    #[arg(
        long = "endpoint",
        visible_alias = "server",
        env = "ELASTICORE_ENDPOINT",
        value_name = "URL",
        default_value = DEFAULT_ENDPOINT,
        value_delimiter = ',',
        global = true
    )]
    pub(crate) endpoints: Vec<Endpoint>,
    /// API key, token or root key, for servers that want to know who asks. Better in the variable: other users see arguments.
    #[arg(long, env = "ELASTICORE_API_KEY", hide_env_values = true, value_name = "KEY", global = true)]
    pub(crate) api_key: Option<Credential>,
    /// Authorities of the server's certificate, for https:// addresses: ca.pem of `certs init`, or any other bundle.
    #[arg(long, env = "ELASTICORE_CACERT", value_name = "FILE", global = true)]
    pub(crate) cacert: Option<PathBuf>,
    /// A certificate to show, where the server asks for one.
    #[arg(long, env = "ELASTICORE_CERT", value_name = "FILE", requires = "cert_key", global = true)]
    pub(crate) cert: Option<PathBuf>,
    /// Its key.
    #[arg(long, env = "ELASTICORE_CERT_KEY", value_name = "FILE", requires = "cert", global = true)]
    pub(crate) cert_key: Option<PathBuf>,
    /// `text` for people (plain tab-separated lines when piped), `json` for the API's own JSON.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text, global = true)]
    pub(crate) output: OutputFormat,
    /// Longest wait for an answer to one request, as in 10s or 1m.
    #[arg(long, value_name = "DURATION", default_value = "30s", global = true)]
    pub(crate) timeout: HumanDuration,
    /// Say what is sent and what comes back, with request ids; `up` logs more. Twice for more still.
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// No colours; the variable NO_COLOR does the same.
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Entries of the cache.
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Keys of the strongly consistent store.
    #[command(subcommand)]
    Kv(KvCommand),
    /// SQL over files, run on the workers.
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// Files that are queried as tables.
    #[command(subcommand)]
    Datasets(DatasetsCommand),
    /// The nodes of the cluster; taking one out of the ring.
    Nodes(NodesArgs),
    /// The members of the control store: list, add, remove, hand over, save and restore.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// API keys: make, list, rotate and revoke them; who one is.
    #[command(subcommand)]
    Auth(AuthCommand),
    /// Which auxiliaries own a key of the cache, or all keys.
    Ring(RingArgs),
    /// Backups of the cache.
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Certificates with which nodes speak TLS to each other. Asks no server.
    #[command(subcommand)]
    Certs(CertsCommand),
    /// Put a backup of the cache back.
    Restore(RestoreArgs),
    /// Run the whole stack in this process, for development and for a first look.
    #[cfg(feature = "up")]
    Up(crate::up::UpArgs),
    /// Write a completion script for a shell to standard output.
    Completions(CompletionsArgs),
    /// Show the version.
    Version,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn endpoints_are_repeated_or_separated_by_commas() {
        let cli = Cli::try_parse_from([
            "elasticore",
            "--endpoint",
            "http://a:1,http://b:2",
            "nodes",
            "--endpoint",
            "c:3",
        ]);
        // A global flag given after the command replaces those before it, as everywhere in clap.
        let endpoints: Vec<String> = cli.unwrap().global.endpoints.iter().map(ToString::to_string).collect();
        assert_eq!(endpoints, ["http://c:3"]);
        let cli = Cli::try_parse_from([
            "elasticore",
            "--endpoint",
            "http://a:1,http://b:2",
            "--endpoint",
            "c:3/",
            "nodes",
        ]);
        let endpoints: Vec<String> = cli.unwrap().global.endpoints.iter().map(ToString::to_string).collect();
        assert_eq!(endpoints, ["http://a:1", "http://b:2", "http://c:3"]);
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for wrong in [
            &["elasticore", "cache", "get"][..],
            &["elasticore", "cache", "set", "k", "v", "--ttl", "soon"],
            &["elasticore", "cache", "set", "k", "v", "--ttl", "-1"],
            &["elasticore", "cache", "set", "k", "v", "--stale", "5m"],
            &["elasticore", "cache", "touch", "k"],
            &["elasticore", "cache", "incr", "k", "--by", "some"],
            &["elasticore", "cache", "clear"],
            &["elasticore", "cache", "clear", "--all", "--prefix", "x"],
            &["elasticore", "restore"],
            &["elasticore", "restore", "--mode", "overwrite"],
            &["elasticore", "nodes", "drain"],
            &["elasticore", "ring", "--namespace", "n"],
            &["elasticore", "--timeout", "x", "nodes"],
            &["elasticore", "--endpoint", "ftp://a", "nodes"],
            &["elasticore", "--cert", "c.pem", "nodes"],
            &["elasticore", "certs"],
            &["elasticore", "certs", "init", "--node", "master-1"],
            &["elasticore", "certs", "renew", "--all", "master-1"],
            &["elasticore", "kv", "set", "k", "v", "--if-absent", "--if-revision", "3"],
            &["elasticore", "kv", "set", "k", "v", "--if-revision", "three"],
            &["elasticore", "jobs", "status", "not-an-id"],
            &["elasticore", "jobs", "submit", "select 1", "--label", "novalue"],
            &["elasticore", "jobs", "submit", "select 1", "-f", "q.sql"],
            &["elasticore", "jobs", "submit", "select 1", "--format", "xml"],
            &["elasticore", "jobs", "submit", "select 1", "-t", "=x.csv"],
            &["elasticore", "cluster", "add", "master-4"],
            &["elasticore", "cluster", "remove"],
            &["elasticore", "cluster", "snapshot"],
            &["elasticore", "cluster", "restore", "f"],
            &["elasticore", "cluster", "restore", "f", "--raft-dir", "d"],
            &["elasticore", "auth", "create", "ci"],
            &["elasticore", "auth", "create", "ci", "--grant", "admin", "--ttl", "soon"],
            &["elasticore", "auth", "revoke"],
            &["elasticore", "--api-key", "two words", "nodes"],
            &["elasticore", "frobnicate"],
        ] {
            let error = Cli::try_parse_from(wrong).expect_err(&wrong.join(" "));
            assert_eq!(error.exit_code(), 2, "{wrong:?}");
        }
    }
}
