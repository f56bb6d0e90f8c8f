//! Jobs, as a client runs them.

use std::time::Duration;

use serde_json::Value;

use crate::{Answer, Api, eventually};

impl Api {
    /// Submits a job and gives its id.
    ///
    /// # Panics
    /// When it is not accepted.
    pub async fn submit(&self, spec: &Value) -> String {
        let answer = self.post("/jobs", spec).await.expect(202);
        let id = answer.json()["id"].as_str().unwrap_or_default().to_owned();
        assert_eq!(answer.header("location"), format!("/jobs/{id}"), "{answer}");
        id
    }

    /// The job as it is now.
    ///
    /// # Errors
    /// When it is not told.
    pub async fn job(&self, id: &str) -> Result<Value, String> {
        let answer = self.request("GET", &format!("/jobs/{id}")).attempt().await?;
        if answer.status == 200 {
            Ok(answer.json())
        } else {
            Err(answer.to_string())
        }
    }

    /// Waits until a job is in a final state, and gives it.
    ///
    /// # Panics
    /// When it is not at the deadline.
    pub async fn finished(&self, id: &str, within: Duration) -> Value {
        eventually(&format!("job {id} to end"), within, || async {
            let job = self.job(id).await?;
            if matches!(job["state"].as_str(), Some("succeeded" | "failed" | "cancelled")) {
                Ok(job)
            } else {
                Err(job.to_string())
            }
        })
        .await
    }

    /// Runs a job to its end, which is a success, and gives it.
    ///
    /// # Panics
    /// When it does not succeed.
    pub async fn succeed(&self, spec: &Value, within: Duration) -> Value {
        let id = self.submit(spec).await;
        let job = self.finished(&id, within).await;
        assert_eq!(job["state"], "succeeded", "{job:#}");
        job
    }

    /// The result of a job.
    ///
    /// # Panics
    /// When there is none.
    pub async fn result(&self, id: &str, format: &str) -> Answer {
        self.get(&format!("/jobs/{id}/result?format={format}")).await.expect(200)
    }
}
