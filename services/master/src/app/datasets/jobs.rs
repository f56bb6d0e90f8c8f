//! Datasets as jobs know them.

use api::ErrorCode;
use api::job::{OutputMode, OutputSpec};
use api::task::PlanTable;
use async_trait::async_trait;
use jobs::PartLocation;

use super::{Datasets, Error, Name, WrittenFile};
use crate::app::jobs::{Commit, DatasetFiles, DatasetOutput, Error as JobError, Written};

#[async_trait]
impl DatasetFiles for Datasets {
    async fn fill(&self, namespace: &str, name: &str, table: &mut PlanTable) -> Result<(), JobError> {
        let planned = self.plan_files(namespace, name).await?;
        planned.fill(&mut table.spec);
        table.files = planned.files;
        Ok(())
    }
}

#[async_trait]
impl DatasetOutput for Datasets {
    async fn check(&self, namespace: &str, output: &OutputSpec) -> Result<(), JobError> {
        let name = Name::try_new(namespace, &*output.dataset)?;
        if output.mode == OutputMode::Create && self.held(&name).await?.is_some() {
            return Err(super::outputs::there_already(&name).into());
        }
        Ok(())
    }

    async fn commit(&self, written: &Written<'_>) -> Result<Commit, JobError> {
        let Written {
            job,
            namespace,
            output,
            parts,
            columns,
        } = *written;
        let files = parts.iter().filter_map(|part| match part {
            PartLocation::Blob { name, bytes, rows } => Some(WrittenFile {
                blob: name.clone(),
                bytes: *bytes,
                rows: *rows,
            }),
            PartLocation::Inline { .. } => None,
        });
        let files: Vec<_> = files.collect();
        let ops = self.commit_ops(namespace, output, job, &files, columns).await?;
        Ok(Commit {
            compares: ops.compares,
            then: ops.then,
        })
    }
}

impl From<Error> for JobError {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => Self::Store(error),
            error => match error.code() {
                ErrorCode::InvalidArgument | ErrorCode::NotFound => Self::Invalid(error.to_string()),
                ErrorCode::Unavailable | ErrorCode::Timeout => Self::Unavailable(error.to_string()),
                _ => Self::Conflict(error.to_string()),
            },
        }
    }
}
