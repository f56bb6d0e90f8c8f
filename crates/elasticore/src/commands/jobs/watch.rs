//! `jobs watch`, and the waiting of `jobs submit --wait`: ask for the job's state until it is final.

use std::time::Duration;

use api::JobId;
use api::job::Job;
use bytes::Bytes;
use tokio::time::Instant;

use super::{IdArgs, progress, status};
use crate::client::{Client, Error};
use crate::exit::Exit;
use crate::output::{Bar, Output};

/// First and longest pause between two questions.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// How the waiting ended.
pub(super) enum Ended {
    /// The job is final: as the API told it, and as what that says.
    Finished(Bytes, Box<Job>),
    /// Ctrl-C; the job goes on.
    Interrupted,
}

pub(super) async fn run(of: &IdArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    match until_final(of.id, of.namespace.as_deref(), client, output).await? {
        Ended::Interrupted => Ok(Exit::Interrupted),
        Ended::Finished(body, job) => {
            status::show(&body, &job, output)?;
            Ok(status::failure(&job, output).unwrap_or(Exit::Ok))
        }
    }
}

/// Shows progress on standard error until the job is final, or Ctrl-C.
pub(super) async fn until_final(id: JobId, namespace: Option<&str>, client: &Client, output: &Output) -> anyhow::Result<Ended> {
    let bar = progress::begin(output.has_color());
    let finished = tokio::select! {
        finished = poll(id, namespace, client, &bar) => finished,
        _ = tokio::signal::ctrl_c() => {
            bar.clear();
            eprintln!("the job goes on: `elasticore jobs watch {id}` follows it, `jobs result {id}` fetches its result, `jobs cancel {id}` ends it");
            return Ok(Ended::Interrupted);
        }
    };
    bar.clear();
    let (body, job) = finished?;
    Ok(Ended::Finished(body, Box::new(job)))
}

/// Asks until the job is final. A cluster that cannot answer for a while (a master is lost, another takes over) is asked again
/// for as long as one request may take.
async fn poll(id: JobId, namespace: Option<&str>, client: &Client, bar: &Bar) -> Result<(Bytes, Job), Error> {
    let request = status::request(id, namespace);
    let mut pause = PAUSES.0;
    let mut silent_since = None;
    loop {
        let answered = async { client.send(&request).await?.json::<Job>().await }.await;
        match answered {
            Ok((body, job)) => {
                silent_since = None;
                if job.state.is_final() {
                    return Ok((body, job));
                }
                progress::show(bar, &job);
            }
            Err(error) if is_passing(&error) => {
                let since = *silent_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= client.timeout() {
                    return Err(error);
                }
                bar.say(format!("waiting for the cluster: {error}"));
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 5 / 4).min(PAUSES.1);
    }
}

fn is_passing(error: &Error) -> bool {
    match error {
        Error::Refused(problem) => problem.code.is_retryable() || problem.code == api::ErrorCode::Timeout,
        Error::Unreachable { .. } | Error::Timeout { .. } | Error::Broken { .. } => true,
        Error::Foreign { status, .. } => (502..=504).contains(status),
    }
}
