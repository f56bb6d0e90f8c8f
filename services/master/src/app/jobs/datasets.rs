//! What jobs want from the data store. Both traits are asked on the leader only.

use std::fmt::Debug;

use api::JobId;
use api::job::{Column, OutputSpec};
use api::task::PlanTable;
use async_trait::async_trait;
use control::{Compare, Op};
use jobs::PartLocation;

use super::Error;

/// Datasets as tables of queries.
#[async_trait]
pub trait DatasetFiles: Debug + Send + Sync {
    /// Tells a table the files of a dataset as its manifest names them now, and how to read them, where the user has not.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such dataset, with what to do; transient ones are tried again.
    async fn fill(&self, namespace: &str, name: &str, table: &mut PlanTable) -> Result<(), Error>;
}

/// Datasets as what jobs write.
#[async_trait]
pub trait DatasetOutput: Debug + Send + Sync {
    /// Whether the job may write there, as far as that is known before it runs.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the dataset is there and must not be, with what to do.
    async fn check(&self, namespace: &str, output: &OutputSpec) -> Result<(), Error>;

    /// The steps that make the files of a succeeded job visible. They become part of the transaction that ends the job; when one
    /// of the compares does not hold, this is asked again.
    ///
    /// # Errors
    /// As [`DatasetOutput::check`]: the job fails with it.
    async fn commit(&self, written: &Written<'_>) -> Result<Commit, Error>;
}

/// What a succeeded job wrote into a dataset.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// The job.
    pub job: JobId,
    /// Its namespace, and so the dataset's; empty is the default one.
    pub namespace: &'a str,
    /// Which dataset, and how.
    pub output: &'a OutputSpec,
    /// The Parquet files.
    pub parts: &'a [PartLocation],
    /// Columns of each.
    pub columns: &'a [Column],
}

/// Steps of a transaction.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Conditions.
    pub compares: Vec<Compare>,
    /// What is to be written.
    pub then: Vec<Op>,
}
