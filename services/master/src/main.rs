//! `elasticore-master`: the front door, and the scheduler when it leads.

use std::process::ExitCode;

use master::Settings;
use settings::Invocation;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Invocation::<Settings>::of_process(
        "elasticore-master",
        "ElastiCore master: routes, schedules, answers.",
        env!("CARGO_PKG_VERSION"),
    ) {
        Ok(Invocation::Serve(settings)) => serve(settings),
        Ok(Invocation::Print(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(problems) => {
            eprintln!("elasticore-master: {problems}");
            ExitCode::from(2)
        }
    }
}

fn serve(settings: Settings) -> ExitCode {
    telemetry::init_logs(settings.log_format, "info,openraft=error");
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("elasticore-master: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(settings: Settings) -> anyhow::Result<()> {
    let master = tokio::select! {
        started = master::start(settings) => started?,
        // It may wait for other masters as long as it takes.
        signal = lifecycle::interrupted() => {
            tracing::info!(signal = %signal?, "stopped before it had started");
            return Ok(());
        }
    };
    let outcome = tokio::select! {
        signal = lifecycle::interrupted() => signal.map(|signal| tracing::info!(%signal, "stopping")).map_err(Into::into),
        error = master.failed() => Err(error),
    };
    master.stop().await;
    outcome
}
