//! Histories of the key-value store under faults, many of them: `make soak-kv`. Ends with 1 when one is not linearizable, could
//! not be decided, or did not end as it should. Needs root for the faults that part masters.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use system_tests::soak::{Done, Engine, Fault, Plan, Table, run, words};
use tokio::signal::unix::{SignalKind, signal};

/// Runs histories of the key-value store on clusters of real masters while something breaks, and judges each.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many histories.
    #[arg(long, default_value_t = 200)]
    histories: u64,
    /// Seconds under load, each.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Where masters keep what they know.
    #[arg(long, value_enum, default_value_t = Engines::Both)]
    engine: Engines,
    /// Only this fault; all in turn unless set.
    #[arg(long)]
    fault: Option<Fault>,
    /// Masters of a cluster.
    #[arg(long, default_value_t = 3)]
    masters: usize,
    /// Histories under way at once; more than the machine has cores find faults of time more often.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Seed of the first history; the others count on from it.
    #[arg(long)]
    seed: Option<u64>,
    /// Where the records go.
    #[arg(long, default_value = "data/soak-kv")]
    out: PathBuf,
    /// Keeps the records of good histories too.
    #[arg(long)]
    keep: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engines {
    Raft,
    Etcd,
    /// Three histories of four on raft: it is ours, and more can break.
    Both,
}

/// What all histories have in common.
struct Soak {
    arguments: Arguments,
    table: Table,
    begun: Instant,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(error) = std::fs::create_dir_all(&arguments.out) {
        eprintln!("{}: {error}", arguments.out.display());
        return ExitCode::FAILURE;
    }
    let mut soak = Soak {
        arguments,
        table: Table::default(),
        begun: Instant::now(),
    };
    let ended = tokio::select! {
        () = soak.run() => true,
        // Masters are children, which die with the histories that are dropped here.
        () = told_to_stop() => false,
    };
    println!("\n{}", soak.table);
    if !ended {
        println!("stopped before the end");
    }
    if ended && soak.table.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn told_to_stop() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

impl Soak {
    async fn run(&mut self) {
        let plans = plans(&self.arguments);
        let mut waiting = plans.into_iter();
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < self.arguments.jobs.max(1)
                && let Some(plan) = waiting.next()
            {
                running.push(one(plan, self.arguments.out.clone()));
            }
            match running.next().await {
                Some((plan, done)) => self.tell(&plan, done),
                None => return,
            }
        }
    }

    /// Prints what came of a history, in one piece.
    fn tell(&mut self, plan: &Plan, done: Result<Done, String>) {
        let Plan {
            engine,
            fault,
            seed,
            masters,
            ..
        } = plan;
        let mut text = String::new();
        let good = match &done {
            Ok(done) => {
                self.table.add(done);
                text += &format!(
                    "{}{} faults; longest outage {:.1} s, after: {}\n",
                    done.judgement,
                    done.struck,
                    done.outage.as_secs_f64(),
                    done.cause
                );
                for trouble in &done.troubles {
                    text += &format!("trouble: {trouble}\n");
                }
                if done.is_good() && !self.arguments.keep {
                    // Only what is wrong is worth its room.
                    std::fs::remove_file(&done.file).ok();
                }
                if !done.is_good() {
                    text += &format!("the record: {}\n", done.file.display());
                }
                done.is_good()
            }
            Err(reason) => {
                self.table.add_broken(plan);
                text += &format!("trouble: {reason}\n");
                false
            }
        };
        if !good {
            let seconds = self.arguments.seconds;
            text += &format!(
                "again: soak_kv --histories 1 --seed {seed} --engine {engine} --fault {fault} --masters {masters} --seconds {seconds}\n"
            );
        }
        let (histories, bad) = self.table.counts();
        let minutes = self.begun.elapsed().as_secs_f64() / 60.0;
        println!(
            "== {histories} of {}, {bad} bad, {minutes:.1} min: {engine}, {fault}, seed {seed}\n{text}",
            self.arguments.histories
        );
    }
}

/// What is run, in order.
fn plans(arguments: &Arguments) -> Vec<Plan> {
    let first = arguments.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    let mut turns: BTreeMap<Engine, usize> = BTreeMap::new();
    let plan = |number: u64| {
        let engine = match arguments.engine {
            Engines::Raft => Engine::Raft,
            Engines::Etcd => Engine::Etcd,
            Engines::Both if number % 4 == 3 => Engine::Etcd,
            Engines::Both => Engine::Raft,
        };
        let faults: Vec<_> = Fault::ALL.into_iter().filter(|fault| fault.fits(engine)).collect();
        let turn = turns.entry(engine).or_insert(0_usize);
        let fault = arguments.fault.unwrap_or(faults[*turn % faults.len()]);
        *turn += 1;
        Plan {
            engine,
            masters: arguments.masters,
            fault,
            seed: first + number,
            time: Duration::from_secs(arguments.seconds),
        }
    };
    (0..arguments.histories).map(plan).collect()
}

/// One history; a panic is told like any other failure.
async fn one(plan: Plan, out: PathBuf) -> (Plan, Result<Done, String>) {
    let done = AssertUnwindSafe(run(plan, &out)).catch_unwind().await;
    (plan, done.map_err(|panic| words(panic.as_ref()).to_owned()))
}
