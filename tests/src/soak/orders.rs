//! What a cluster is told and asked while it is tormented: any member will do.

use std::time::Duration;

use api::headers::CLUSTER_TOKEN;
use serde_json::{Value, json};

use super::Cluster;
use crate::{Answer, Api, Request};

/// Wait for an answer about the cluster.
const ASK: Duration = Duration::from_secs(5);

impl Cluster {
    /// A master that will join when it is started, and its index.
    pub async fn newcomer(&mut self) -> usize {
        let mut node = self.node().await;
        let members = self.members().map(|index| self.masters[index].private_address());
        node.set("RAFT_JOIN", &members.collect::<Vec<_>>().join(","));
        self.masters.push(node);
        self.members.push(false);
        self.masters.len() - 1
    }

    /// Asks the members one after the other, until one does as it is told.
    ///
    /// # Errors
    /// What the last one said.
    pub async fn order(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let mut said = "nobody was asked".to_owned();
        for index in self.members() {
            let master = &self.masters[index];
            let request = master.public().request(method, path).header(CLUSTER_TOKEN, &self.token);
            let request = match body {
                Some(body) => request.json(body),
                None => request,
            };
            match answer(request).await {
                Ok(answer) if matches!(answer.status, 200..=204) => {
                    let is_json = !answer.text().is_empty();
                    return Ok(if is_json { answer.json() } else { Value::Null });
                }
                Ok(answer) => said = answer.to_string(),
                Err(error) => said = error,
            }
        }
        Err(said)
    }

    /// Adds a master that [`Self::newcomer`] made, and waits until it has a vote.
    ///
    /// # Errors
    /// What the cluster says.
    pub async fn admit(&mut self, index: usize, within: Duration) -> Result<(), String> {
        let (name, address) = (self.masters[index].name().to_owned(), self.masters[index].private_address());
        self.order("POST", "/cluster/join", Some(&json!({ "name": name, "address": address })))
            .await?;
        self.masters[index].start();
        self.members[index] = true;
        let deadline = tokio::time::Instant::now() + within;
        loop {
            let members = self.order("GET", "/cluster/members", None).await.unwrap_or_default();
            let members = members["members"].as_array().cloned().unwrap_or_default();
            let role = members
                .iter()
                .find(|member| member["name"] == *name)
                .map(|member| member["role"].clone());
            if role.as_ref().is_some_and(|role| role == "voter" || role == "leader") {
                return Ok(());
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(format!("{name} is {role:?} after {within:?}"));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

pub(super) async fn ask(api: &Api, path: &str) -> Result<Answer, String> {
    answer(api.request("GET", path)).await
}

async fn answer(request: Request) -> Result<Answer, String> {
    let answer = tokio::time::timeout(ASK, request.attempt()).await;
    answer.map_err(|_| format!("no answer within {ASK:?}"))?
}
