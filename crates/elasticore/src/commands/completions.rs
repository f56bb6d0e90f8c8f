//! `completions`: scripts that let a shell complete commands and flags.

use clap::{Args, CommandFactory, ValueEnum};

use crate::args::Cli;
use crate::exit::Exit;
use crate::output::Output;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell. For bash: `source <(elasticore completions bash)`.
    #[arg(value_enum)]
    shell: Shell,
}

/// Shells with completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub(crate) fn run(arguments: &CompletionsArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let shell = match arguments.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    // Written to memory first: the generator panics when a pipe is closed under it.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "elasticore", &mut script);
    output.raw(&script)?;
    Ok(Exit::Ok)
}
