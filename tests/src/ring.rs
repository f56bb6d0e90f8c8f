//! What the ring is at the moment, and whether its owners hold the same.

use std::time::Duration;

use api::headers;
use serde_json::Value;
use tokio::time::timeout;

use crate::{Node, Request, Sandbox, eventually};

/// Longest wait for one answer while looking: nodes may be asleep.
const LOOK: Duration = Duration::from_secs(2);

impl Sandbox {
    /// Waits until every master that runs says that the ring is stable, of exactly these auxiliaries (by index), and younger than
    /// the epoch `after`. Gives its epoch.
    ///
    /// # Panics
    /// When that is not so at the deadline.
    pub async fn settled(&self, auxiliaries: &[usize], after: u64, within: Duration) -> u64 {
        let expected = self.names(auxiliaries);
        let what = format!("a stable ring of {expected:?} after epoch {after}");
        eventually(&what, within, || async {
            let mut epochs = Vec::new();
            for master in self.masters.iter().filter(|master| master.runs()) {
                let seen = look(master.public().request("GET", "/ring")).await?;
                let members = seen["members"].as_array().into_iter().flatten();
                let mut members: Vec<_> = members.filter_map(|member| member["node"].as_str()).collect();
                members.sort_unstable();
                let epoch = seen["epoch"].as_u64().unwrap_or_default();
                if members != expected || seen["phase"] != "stable" || epoch <= after {
                    return Err(format!("{}: {seen}", master.name()));
                }
                epochs.push(epoch);
            }
            match epochs.as_slice() {
                [first, others @ ..] if others.iter().all(|epoch| epoch == first) => Ok(*first),
                _ => Err(format!("epochs of the masters: {epochs:?}")),
            }
        })
        .await
    }

    /// Waits until the first master that runs says that keys are on the move, by a ring younger than the epoch `after`.
    ///
    /// # Panics
    /// When that is not so at the deadline.
    pub async fn moving(&self, after: u64, within: Duration) {
        let master = self.masters.iter().find(|master| master.runs()).expect("a master runs");
        eventually("keys to move", within, || async {
            let seen = look(master.public().request("GET", "/ring")).await?;
            if seen["phase"] == "moving" && seen["epoch"].as_u64() > Some(after) {
                Ok(())
            } else {
                Err(seen.to_string())
            }
        })
        .await;
    }

    /// Epoch of the ring, as the first master that runs says.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn epoch(&self) -> u64 {
        let master = self.masters.iter().find(|master| master.runs()).expect("a master runs");
        let seen = look(master.public().request("GET", "/ring")).await;
        let seen = seen.unwrap_or_else(|reason| panic!("{}: {reason}", master.name()));
        seen["epoch"].as_u64().unwrap_or_default()
    }

    /// Waits until any two of these auxiliaries (by index) hold the same of what both own.
    ///
    /// # Panics
    /// When that is not so at the deadline.
    pub async fn copies_agree(&self, auxiliaries: &[usize], within: Duration) {
        eventually("the owners' digests to be equal", within, || async {
            let mut seen = Vec::new();
            for index in auxiliaries {
                let node = &self.auxiliaries[*index];
                seen.push((node.name(), self.digests(node).await?));
            }
            for (one, digests) in &seen {
                for (other, theirs) in seen.iter().filter(|(other, _)| other != one) {
                    let (ours, theirs) = (&digests["digests"][*other], &theirs["digests"][*one]);
                    if ours.is_null() || ours != theirs || digests["phase"] != "stable" {
                        return Err(format!("{one} and {other} differ: {seen:?}"));
                    }
                }
            }
            Ok(())
        })
        .await;
    }

    async fn digests(&self, node: &Node) -> Result<Value, String> {
        let request = node.private().request("GET", "/internal/v1/cache/digest");
        look(request.header(headers::CLUSTER_TOKEN, &self.token)).await
    }

    fn names(&self, auxiliaries: &[usize]) -> Vec<String> {
        let names = auxiliaries.iter().map(|index| self.auxiliaries[*index].name().to_owned());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

/// The answer's JSON, when it comes soon.
async fn look(request: Request) -> Result<Value, String> {
    let answer = timeout(LOOK, request.attempt()).await;
    let answer = answer.map_err(|_| format!("no answer within {LOOK:?}"))??;
    if answer.status == 200 {
        Ok(answer.json())
    } else {
        Err(answer.to_string())
    }
}
