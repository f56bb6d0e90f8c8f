//! `up`: the whole stack in one process, for development and for a first look.
//!
//! The same services as everywhere, with the same listeners, on one runtime: nothing is faked, so what works here works in a
//! cluster. Nothing is printed to standard output before all of it is ready, so that a script may wait for the first line.

mod args;
mod banner;
mod data;
mod nodes;
mod ports;
mod progress;
mod ready;
mod stack;

use anyhow::{Context, bail};
use telemetry::LogFormat;

pub use args::UpArgs;

use crate::args::{GlobalArgs, OutputFormat};
use crate::exit::Exit;
use banner::Banner;
use data::DataDir;
use progress::Progress;
use stack::Stack;

/// Shortest root key, as masters take it.
const MIN_ROOT_KEY: usize = 32;

/// What is said when callers have to be known.
const KNOWN: &str = "
Callers have to be known: export ELASTICORE_API_KEY with the root key, or one of `elasticore auth create`; curl wants
-H \"Authorization: Bearer $ELASTICORE_API_KEY\".
";

/// What is said when they have not.
const OPEN: &str = "
Authentication is off: whoever reaches this address may do everything. `elasticore auth generate` makes a key; start with it
as ELASTICORE_ROOT_KEY to turn authentication on.
";

/// Starts everything, says where it is, and waits for a signal.
pub(crate) async fn run(arguments: UpArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let level = match global.verbose {
        // The Raft library warns of what is usual, such as answers nobody waits for any more.
        0 => "warn,openraft=error",
        1 => "info,openraft=error",
        _ => "debug,openraft=info,hyper_util=info",
    };
    telemetry::init_logs(LogFormat::Text, level);
    let mut stopped = std::pin::pin!(lifecycle::interrupted());
    let progress = Progress::new(arguments.wait_timeout);
    let (data, stack) = tokio::select! {
        started = start(&arguments, &progress) => started?,
        tired = progress.impatience() => return Err(tired),
        signal = &mut stopped => {
            signal.context("cannot listen for signals")?;
            return Ok(Exit::Interrupted);
        }
    };
    let outcome = serve(&arguments, global, &data, &stack, &progress, stopped).await;
    progress.clear();
    eprintln!("stopping {}; Ctrl-C again exits at once", stack.describe());
    let exit = tokio::select! {
        () = stack.stop() => None,
        again = lifecycle::interrupted() => Some(again),
    };
    if exit.is_some() {
        return Ok(Exit::Interrupted);
    }
    outcome?;
    eprintln!("stopped; all that was stored is in {}", data.path().display());
    Ok(Exit::Ok)
}

async fn start(arguments: &UpArgs, progress: &Progress) -> anyhow::Result<(DataDir, Stack)> {
    if arguments.root_key().is_some_and(|key| key.len() < MIN_ROOT_KEY) {
        bail!("the root key has fewer than {MIN_ROOT_KEY} characters: make one with `elasticore auth generate`");
    }
    let data = DataDir::open(&arguments.data)?;
    let readable = data.readable(&arguments.data_dirs)?;
    ports::check(&arguments.fixed_addresses())?;
    let stack = Stack::start(arguments, &data, readable, |name| progress.say(format!("starting {name}"))).await?;
    Ok((data, stack))
}

/// From started to told to stop.
async fn serve(
    arguments: &UpArgs,
    global: &GlobalArgs,
    data: &DataDir,
    stack: &Stack,
    progress: &Progress,
    stopped: impl Future<Output = std::io::Result<lifecycle::Interrupt>>,
) -> anyhow::Result<()> {
    let working = async {
        let nodes = tokio::select! {
            ready = ready::wait(stack, arguments, |missing| progress.say(format!("waiting for {missing}"))) => ready?,
            tired = progress.impatience() => return Err(tired),
            failed = stack.failed() => return Err(failed),
        };
        progress.clear();
        let banner = Banner::new(stack, &nodes, data)?;
        match global.output {
            OutputFormat::Text if arguments.root_key().is_some() => print(&format!("{}{KNOWN}", banner.text())),
            OutputFormat::Text => print(&format!("{}{OPEN}", banner.text())),
            OutputFormat::Json => print(&format!("{}\n", banner.json())),
        }
        Err(stack.failed().await)
    };
    tokio::select! {
        ended = working => ended,
        signal = stopped => signal.map(drop).context("cannot listen for signals"),
    }
}

/// Writes to standard output at once. Nobody reading is no reason to stop serving.
fn print(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}
