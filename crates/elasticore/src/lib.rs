//! The command line of ElastiCore: a client of the public HTTP API, and `up`, the whole stack in one process.
//!
//! Standard output carries results and nothing else, so that it can be piped; everything said to people on the way goes to
//! standard error. How a command ended is told by its exit code ([`Exit`]), which scripts may rely on.

mod args;
mod client;
mod commands;
mod exit;
mod output;
#[cfg(feature = "up")]
pub mod up;
mod value;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

pub use exit::Exit;

use args::Cli;
use output::Output;

/// Parses the arguments, does what they ask, and tells how it ended.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Nowhere is left to report to when this fails: the exit code is what remains.
            drop(error.print());
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok }.into();
        }
    };
    let mut output = Output::of_process(&cli.global);
    let ended = execute(cli, &mut output).and_then(|exit| {
        output.flush()?;
        Ok(exit)
    });
    match ended {
        Ok(exit) => exit.into(),
        // `elasticore kv list | head`: the reader has seen enough, which is no failure.
        Err(error) if exit::is_closed_pipe(&error) => Exit::Ok.into(),
        Err(error) => {
            output.complain(&error);
            Exit::of(&error).into()
        }
    }
}

fn execute(cli: Cli, output: &mut Output) -> anyhow::Result<Exit> {
    #[cfg(feature = "up")]
    if let args::Command::Up(arguments) = cli.command {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let ended = runtime.block_on(up::run(arguments, &cli.global));
        // Blocking work that is still under way (a query that ignores its cancellation) must not hold up the exit.
        runtime.shutdown_background();
        return ended;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(commands::run(cli.command, &cli.global, output));
    // A thread may be waiting for standard input.
    runtime.shutdown_background();
    ended
}
