//! Which store of blobs a node uses.

use std::sync::Arc;

use cluster::View;
use object_store::aws::AmazonS3Builder;
use transport::peer::PeerClient;

use crate::{BlobStore, Error, Objects, Replicated, Result};

/// Where blobs are kept: the same on all masters and workers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlobSettings {
    /// `BLOB_STORE`: empty for the auxiliaries, or `s3://bucket/prefix`.
    pub store: String,
    /// `S3_ENDPOINT`: of a store that is not Amazon's, as in `http://minio:9000`.
    pub endpoint: String,
    /// `S3_REGION`.
    pub region: String,
    /// `S3_ACCESS_KEY_ID`; without it what the environment or the machine gives (`AWS_…`, instance metadata) is used.
    pub access_key_id: String,
    /// `S3_SECRET_ACCESS_KEY`.
    pub secret_access_key: String,
}

impl BlobSettings {
    /// What is wrong with them, in sentences.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.store.is_empty() && self.location().is_none() {
            problems.push(format!(
                "BLOB_STORE {:?} is not s3://BUCKET or s3://BUCKET/PREFIX",
                self.store
            ));
        }
        if !self.endpoint.is_empty() && !["http://", "https://"].iter().any(|scheme| self.endpoint.starts_with(scheme)) {
            problems.push(format!("S3_ENDPOINT {:?} must begin with http:// or https://", self.endpoint));
        }
        if self.access_key_id.is_empty() != self.secret_access_key.is_empty() {
            problems.push("S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY go together".to_owned());
        }
        problems
    }

    /// Bucket and prefix.
    fn location(&self) -> Option<(&str, &str)> {
        let location = self.store.strip_prefix("s3://")?;
        let (bucket, prefix) = location.split_once('/').unwrap_or((location, ""));
        (!bucket.is_empty()).then_some((bucket, prefix))
    }
}

/// The store that the settings name.
///
/// # Errors
/// When they are wrong.
pub fn open(settings: &BlobSettings, client: PeerClient, view: Arc<View>) -> Result<Arc<dyn BlobStore>> {
    if settings.store.is_empty() {
        return Ok(Arc::new(Replicated::new(client, view)));
    }
    let invalid = || Error::Invalid(settings.problems().join("; "));
    let (bucket, prefix) = settings.location().ok_or_else(invalid)?;
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_allow_http(settings.endpoint.starts_with("http://"));
    if !settings.endpoint.is_empty() {
        builder = builder.with_endpoint(&settings.endpoint);
    }
    let region = if settings.region.is_empty() {
        "us-east-1"
    } else {
        &settings.region
    };
    builder = builder.with_region(region);
    if !settings.access_key_id.is_empty() {
        builder = builder
            .with_access_key_id(&settings.access_key_id)
            .with_secret_access_key(&settings.secret_access_key);
    }
    let store = builder
        .build()
        .map_err(|error| Error::Invalid(format!("BLOB_STORE: {error}")))?;
    Ok(Arc::new(Objects::new(Arc::new(store), prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_told() {
        let of = |store: &str, endpoint: &str, key: &str| {
            let settings = BlobSettings {
                store: store.to_owned(),
                endpoint: endpoint.to_owned(),
                access_key_id: key.to_owned(),
                ..BlobSettings::default()
            };
            settings.problems().len()
        };
        assert_eq!(of("", "", ""), 0);
        assert_eq!(of("s3://bucket/a/b", "http://minio:9000", ""), 0);
        assert_eq!(of("/data", "minio", "key"), 3);
        assert_eq!(of("s3:///a", "", ""), 1);
    }
}
