//! Why a task failed, told apart by what must happen next.

use std::path::Path;

use api::ErrorCode;
use api::task::TaskFailure;
use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::object_store;

use crate::error::wrong_pattern;
use crate::files::TEXT;
use crate::shuffle::FetchFailed;

/// Why a task failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The query or its data: nobody need try again.
    #[error("{detail}")]
    User {
        /// For machines.
        code: ErrorCode,
        /// The engine's message, with the file where one is concerned.
        detail: String,
    },
    /// An input is lost: its producer must run again.
    #[error(transparent)]
    Fetch(FetchFailed),
    /// Not enough memory: may work with more of it, or with more partitions; the text says what to raise.
    #[error("{0}")]
    OutOfMemory(String),
    /// The disk of this worker is full: may work elsewhere or later.
    #[error("{0}")]
    DiskFull(String),
    /// Anything else: may work elsewhere or later.
    #[error("{0}")]
    Retryable(String),
    /// Somebody cancelled it.
    #[error("the task was cancelled")]
    Cancelled,
}

impl Failure {
    /// Names the directory of the attempt when its disk is full.
    pub(super) fn in_directory(self, attempt: &Path) -> Self {
        match self {
            Self::DiskFull(detail) => Self::DiskFull(format!(
                "no space left in WORK_DIR ({}): give the worker more disk, or several workers less each: {detail}",
                attempt.display()
            )),
            other => other,
        }
    }

    /// Names the files that were read when it is they, or the query, that are wrong.
    pub(super) fn in_files(self, files: &str) -> Self {
        match self {
            Self::User { code, detail } => Self::User {
                code,
                detail: detail + files,
            },
            other => other,
        }
    }
}

impl From<Failure> for TaskFailure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::User { code, detail } => Self::User { code, detail },
            Failure::Fetch(lost) => {
                let detail = lost.to_string();
                Self::Fetch {
                    stage: lost.stage,
                    partition: lost.partition,
                    attempt: lost.attempt,
                    detail,
                }
            }
            Failure::OutOfMemory(detail) => Self::OutOfMemory(detail),
            Failure::DiskFull(detail) | Failure::Retryable(detail) => Self::Retryable(detail),
            Failure::Cancelled => Self::Retryable("the task was cancelled".to_owned()),
        }
    }
}

impl From<crate::Error> for Failure {
    fn from(error: crate::Error) -> Self {
        match error {
            crate::Error::Internal(detail) => Self::Retryable(detail),
            other => Self::User {
                code: other.code(),
                detail: other.to_string(),
            },
        }
    }
}

impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Self {
        // What lies deepest decides; what is said is the whole message.
        from_engine(&error, &error.strip_backtrace())
    }
}

fn user(detail: &str) -> Failure {
    Failure::User {
        code: ErrorCode::InvalidArgument,
        detail: detail.to_owned(),
    }
}

fn from_engine(error: &DataFusionError, text: &str) -> Failure {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => from_engine(inner, text),
        DataFusionError::Shared(inner) => from_engine(inner, text),
        DataFusionError::Collection(errors) => errors.first().map_or_else(|| user(text), |first| from_engine(first, text)),
        DataFusionError::ArrowError(inner, _) => from_arrow(inner, text),
        DataFusionError::External(inner) => from_foreign(inner.as_ref(), text),
        DataFusionError::ObjectStore(inner) => from_store(inner, text),
        DataFusionError::ParquetError(inner) => from_foreign_or(inner.as_ref(), text, user),
        DataFusionError::IoError(inner) => from_io(inner, text),
        DataFusionError::ResourcesExhausted(reason) => resources(reason, text),
        DataFusionError::Internal(reason) => {
            wrong_pattern(reason).map_or_else(|| Failure::Retryable(text.to_owned()), |wrong| user(&wrong))
        }
        DataFusionError::SQL(..)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::Plan(_)
        | DataFusionError::Configuration(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::Execution(_) => user(text),
        _ => Failure::Retryable(text.to_owned()),
    }
}

fn from_arrow(error: &ArrowError, text: &str) -> Failure {
    match error {
        ArrowError::ExternalError(inner) => from_foreign(inner.as_ref(), text),
        ArrowError::IoError(_, inner) => from_io(inner, text),
        ArrowError::MemoryError(reason) => resources(reason, text),
        ArrowError::IpcError(_) | ArrowError::CDataInterface(_) => Failure::Retryable(text.to_owned()),
        _ => user(text),
    }
}

/// Errors that others boxed: ours, the engine's, or nobody's.
fn from_foreign(error: &(dyn std::error::Error + Send + Sync + 'static), text: &str) -> Failure {
    from_foreign_or(error, text, |text| Failure::Retryable(text.to_owned()))
}

fn from_foreign_or(error: &(dyn std::error::Error + 'static), text: &str, otherwise: fn(&str) -> Failure) -> Failure {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(lost) = error.downcast_ref::<FetchFailed>() {
            return Failure::Fetch(lost.clone());
        }
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return failure.clone();
        }
        if let Some(refused) = error.downcast_ref::<crate::Error>() {
            return refused.clone().into();
        }
        if let Some(engine) = error.downcast_ref::<DataFusionError>() {
            return from_engine(engine, text);
        }
        if let Some(arrow) = error.downcast_ref::<ArrowError>() {
            return from_arrow(arrow, text);
        }
        if let Some(store) = error.downcast_ref::<object_store::Error>() {
            return from_store(store, text);
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return from_io(io, text);
        }
        next = error.source();
    }
    otherwise(text)
}

fn from_store(error: &object_store::Error, text: &str) -> Failure {
    let code = match error {
        // What is said of a text, and not by a disk or a network.
        object_store::Error::Generic { store: TEXT, source } => return from_foreign(source.as_ref(), text),
        object_store::Error::NotFound { .. } => ErrorCode::NotFound,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => ErrorCode::Forbidden,
        object_store::Error::NotSupported { .. } => ErrorCode::InvalidArgument,
        _ => return Failure::Retryable(text.to_owned()),
    };
    Failure::User {
        code,
        detail: format!("an input file cannot be read: {text}"),
    }
}

/// What the engine says when its directory of spilled rows has reached its limit.
const SPILL_LIMIT_REACHED: &str = "used disk space during the spilling process";

fn from_io(error: &std::io::Error, text: &str) -> Failure {
    use std::io::ErrorKind;
    match error.kind() {
        _ if error.raw_os_error().is_none() && error.to_string().contains(SPILL_LIMIT_REACHED) => {
            resources(SPILL_LIMIT_REACHED, text)
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Failure::DiskFull(text.to_owned()),
        ErrorKind::OutOfMemory => resources("", text),
        // Not from the system but from a decoder: running it again would not mend the file. (Damaged shuffle files are found out
        // by their reader, before.)
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof | ErrorKind::InvalidInput if error.raw_os_error().is_none() => {
            user(&format!("a file is damaged or cut short: {text}"))
        }
        _ => Failure::Retryable(text.to_owned()),
    }
}

fn resources(reason: &str, text: &str) -> Failure {
    if reason.contains(SPILL_LIMIT_REACHED) {
        return Failure::OutOfMemory(format!(
            "{text}\nThe task would put more on disk than SPILL_LIMIT allows: raise SPILL_LIMIT, or WORKER_MEMORY so that less is \
             put there, or lower WORKER_SLOTS"
        ));
    }
    Failure::OutOfMemory(format!(
        "{text}\nThe task needs more memory than it was given: raise WORKER_MEMORY, lower WORKER_SLOTS so that fewer tasks share \
         it, or make the join smaller (sorts and aggregates go to disk, hash joins cannot)"
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn lost() -> FetchFailed {
        let detail = "gone".to_owned();
        FetchFailed {
            stage: 1,
            partition: 2,
            attempt: 3,
            output: 4,
            address: "w:1".to_owned(),
            detail,
        }
    }

    #[test]
    fn a_lost_input_stays_one_however_it_is_wrapped() {
        let plain = || DataFusionError::External(Box::new(lost()));
        let wrapped = [
            plain(),
            plain().context("while joining"),
            DataFusionError::Shared(Arc::new(plain())),
            DataFusionError::Shared(Arc::new(plain().context("deep"))),
            DataFusionError::Collection(vec![plain(), DataFusionError::Plan("other".to_owned())]),
            DataFusionError::ArrowError(Box::new(ArrowError::ExternalError(Box::new(plain()))), None),
            DataFusionError::External(Box::new(ArrowError::ExternalError(Box::new(lost())))),
        ];
        for error in wrapped {
            let shown = format!("{error:?}");
            assert_eq!(Failure::from(error), Failure::Fetch(lost()), "{shown}");
        }
    }

    #[test]
    fn bad_data_is_the_users_and_a_full_pool_is_not() {
        let divided = DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None);
        assert!(matches!(Failure::from(divided), Failure::User { .. }));
        let full = Failure::from(DataFusionError::ResourcesExhausted("no room".to_owned()).context("sorting"));
        assert!(matches!(full, Failure::OutOfMemory(text) if text.contains("WORKER_MEMORY")));
        assert!(matches!(
            Failure::from(DataFusionError::Internal("bug".to_owned())),
            Failure::Retryable(_)
        ));
    }

    #[test]
    fn a_full_disk_is_tried_again_and_names_the_directory() {
        let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        let errors = [
            DataFusionError::IoError(full()),
            DataFusionError::ArrowError(Box::new(ArrowError::IoError("write".to_owned(), full())), None),
            DataFusionError::External(Box::new(ArrowError::IoError("write".to_owned(), full()))).context("spilling"),
            DataFusionError::ParquetError(Box::new(full().into())),
        ];
        for error in errors {
            let shown = format!("{error:?}");
            let failure = Failure::from(error).in_directory(Path::new("/srv/shuffle/j/1/2-3"));
            let TaskFailure::Retryable(text) = failure.clone().into() else {
                panic!("{shown}: {failure:?}")
            };
            assert!(text.contains("no space left in WORK_DIR (/srv/shuffle/j/1/2-3)"), "{text}");
        }
    }

    #[test]
    fn what_a_decoder_refuses_is_the_files_fault_and_what_the_system_refuses_is_not() {
        let cut = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        assert!(matches!(Failure::from(DataFusionError::IoError(cut)), Failure::User { .. }));
        let device = std::io::Error::from_raw_os_error(5);
        assert!(matches!(
            Failure::from(DataFusionError::IoError(device)),
            Failure::Retryable(_)
        ));
    }
}
