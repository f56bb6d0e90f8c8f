//! `elasticore-auxiliary`: keeps cache entries and blobs.

use std::process::ExitCode;

use auxiliary::Settings;
use settings::Invocation;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let about = "ElastiCore auxiliary: keeps cache entries in memory and blobs on disk.";
    match Invocation::<Settings>::of_process("elasticore-auxiliary", about, env!("CARGO_PKG_VERSION")) {
        Ok(Invocation::Serve(settings)) => serve(settings),
        Ok(Invocation::Print(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(problems) => {
            eprintln!("elasticore-auxiliary: {problems}");
            ExitCode::from(2)
        }
    }
}

fn serve(settings: Settings) -> ExitCode {
    telemetry::init_logs(settings.log_format, "info");
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("elasticore-auxiliary: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(settings: Settings) -> anyhow::Result<()> {
    // A signal must also stop a node that still waits for its cluster.
    let node = tokio::select! {
        node = auxiliary::start(settings) => node?,
        signal = lifecycle::interrupted() => return signal.map(drop).map_err(Into::into),
    };
    let outcome = tokio::select! {
        signal = lifecycle::interrupted() => signal.map(|signal| tracing::info!(%signal, "stopping")).map_err(Into::into),
        error = node.failed() => Err(error.into()),
    };
    node.stop().await;
    outcome
}
