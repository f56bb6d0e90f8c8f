//! Why a query cannot be planned.

use api::ErrorCode;
use datafusion::error::DataFusionError;

/// Why a query cannot be planned. The text is for the person who wrote the query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The SQL is wrong, or asks for what is not offered.
    #[error("{0}")]
    Invalid(String),
    /// A file or directory is not there.
    #[error("{0}")]
    NotFound(String),
    /// A file is outside the data directories.
    #[error("{0}")]
    Forbidden(String),
    /// The query or its plan is over a limit.
    #[error("{0}")]
    TooLarge(String),
    /// Not the query's fault.
    #[error("the query could not be planned: {0}")]
    Internal(String),
}

impl Error {
    /// The code it travels under.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) => ErrorCode::InvalidArgument,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::Forbidden(_) => ErrorCode::Forbidden,
            Self::TooLarge(_) => ErrorCode::TooLarge,
            Self::Internal(_) => ErrorCode::Internal,
        }
    }

    /// The same error with what it is about before it.
    pub(crate) fn context(self, about: &str) -> Self {
        match self {
            Self::Invalid(text) => Self::Invalid(format!("{about}: {text}")),
            Self::NotFound(text) => Self::NotFound(format!("{about}: {text}")),
            Self::Forbidden(text) => Self::Forbidden(format!("{about}: {text}")),
            Self::TooLarge(text) => Self::TooLarge(format!("{about}: {text}")),
            Self::Internal(text) => Self::Internal(format!("{about}: {text}")),
        }
    }

    /// An error of the engine while it planned: nearly always the query's fault.
    pub(crate) fn from_engine(error: &DataFusionError) -> Self {
        let text = error.strip_backtrace();
        match error.find_root() {
            DataFusionError::External(inner) if inner.is::<Self>() => match inner.downcast_ref::<Self>() {
                Some(refused) => refused.clone(),
                None => Self::Invalid(text),
            },
            DataFusionError::ObjectStore(inner) => Self::from_store(inner, text),
            DataFusionError::Internal(reason) if wrong_pattern(reason).is_some() => {
                Self::Invalid(wrong_pattern(reason).unwrap_or(text))
            }
            DataFusionError::Internal(_) | DataFusionError::ExecutionJoin(_) | DataFusionError::ResourcesExhausted(_) => {
                Self::Internal(text)
            }
            DataFusionError::IoError(_) => Self::Internal(text),
            _ => Self::Invalid(text),
        }
    }

    fn from_store(error: &object_store::Error, text: String) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::NotFound(text),
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => Self::Forbidden(text),
            object_store::Error::Generic { .. } => Self::Internal(text),
            _ => Self::Invalid(text),
        }
    }
}

/// What is wrong with a regular expression, which the engine takes for a fault of its own.
pub(crate) fn wrong_pattern(reason: &str) -> Option<String> {
    let at = reason.find("Regular expression did not compile")?;
    Some(reason[at..].lines().next().unwrap_or_default().to_owned())
}
