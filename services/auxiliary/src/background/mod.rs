//! Tasks that keep an auxiliary as it should be.

pub(crate) mod backups;
pub(crate) mod blobs;
pub(crate) mod quotas;
pub(crate) mod readiness;
pub(crate) mod sweep;
