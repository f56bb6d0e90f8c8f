//! Exit codes: what scripts see of how a command ended. They never change their meaning.

use std::io;
use std::process::ExitCode;

use api::ErrorCode;

use crate::client;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok,
    /// Anything not named below.
    Failure,
    /// The arguments, or the request made of them, are wrong: trying again cannot help.
    Usage,
    /// No such key, job or node.
    NotFound,
    /// It exists already, or has changed: the condition did not hold.
    Conflict,
    /// Nobody answered, or not in time: trying again may help.
    Unavailable,
    /// The job that was waited for failed or was cancelled.
    JobFailed,
    /// A second Ctrl-C.
    Interrupted,
}

/// The table `--help` shows.
pub(crate) const HELP: &str = "\
Exit codes:
  0    done
  1    failure not named below
  2    wrong arguments, or a request the server finds invalid
  3    not found
  4    conflict, or a condition (--if-absent, --if-revision) that did not hold
  5    unavailable or timed out; trying again may help
  6    the job failed or was cancelled
  130  interrupted";

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Conflict => 4,
            Self::Unavailable => 5,
            Self::JobFailed => 6,
            Self::Interrupted => 130,
        }
    }

    /// How a command that failed with this ended.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        error
            .chain()
            .find_map(|cause| {
                if cause.is::<UsageError>() {
                    return Some(Self::Usage);
                }
                cause.downcast_ref::<client::Error>().map(Self::of_client)
            })
            .unwrap_or(Self::Failure)
    }

    fn of_client(error: &client::Error) -> Self {
        match error {
            client::Error::Refused(problem) => Self::of_code(problem.code),
            client::Error::Unreachable { .. } | client::Error::Timeout { .. } => Self::Unavailable,
            client::Error::Foreign { status: 502..=504, .. } => Self::Unavailable,
            client::Error::Foreign { status: 404, .. } => Self::NotFound,
            client::Error::Foreign { .. } | client::Error::Broken { .. } => Self::Failure,
        }
    }

    const fn of_code(code: ErrorCode) -> Self {
        match code {
            ErrorCode::InvalidArgument | ErrorCode::TooLarge => Self::Usage,
            ErrorCode::NotFound => Self::NotFound,
            ErrorCode::Conflict | ErrorCode::PreconditionFailed => Self::Conflict,
            ErrorCode::Unavailable | ErrorCode::Timeout | ErrorCode::RateLimited | ErrorCode::NotLeader => Self::Unavailable,
            ErrorCode::Unauthenticated | ErrorCode::Forbidden | ErrorCode::Internal => Self::Failure,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Arguments that are each valid but wrong together, or wrong in a way only seen when they are used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Whether the reader of our standard output has gone away.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let broken = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(broken))
}

#[cfg(test)]
mod tests {
    use api::Problem;

    use super::*;

    fn refused(code: ErrorCode) -> anyhow::Error {
        client::Error::Refused(Box::new(Problem::new(code, "why"))).into()
    }

    #[test]
    fn each_code_of_the_api_has_its_exit_code() {
        let expected = [
            (ErrorCode::InvalidArgument, 2),
            (ErrorCode::Unauthenticated, 1),
            (ErrorCode::Forbidden, 1),
            (ErrorCode::NotFound, 3),
            (ErrorCode::Conflict, 4),
            (ErrorCode::PreconditionFailed, 4),
            (ErrorCode::TooLarge, 2),
            (ErrorCode::NotLeader, 5),
            (ErrorCode::RateLimited, 5),
            (ErrorCode::Unavailable, 5),
            (ErrorCode::Timeout, 5),
            (ErrorCode::Internal, 1),
        ];
        for (code, exit) in expected {
            assert_eq!(Exit::of(&refused(code)).code(), exit, "{code:?}");
        }
    }

    #[test]
    fn context_around_a_failure_keeps_its_exit_code() {
        let error = refused(ErrorCode::NotFound).context("cannot read the key");
        assert_eq!(Exit::of(&error), Exit::NotFound);
        assert_eq!(
            Exit::of(&anyhow::Error::from(UsageError("no".to_owned())).context("more")),
            Exit::Usage
        );
    }

    #[test]
    fn every_exit_code_is_in_the_help() {
        let all = [
            Exit::Ok,
            Exit::Failure,
            Exit::Usage,
            Exit::NotFound,
            Exit::Conflict,
            Exit::Unavailable,
            Exit::JobFailed,
            Exit::Interrupted,
        ];
        for exit in all {
            let number = exit.code().to_string();
            assert!(
                HELP.lines()
                    .any(|line| line.split_whitespace().next() == Some(number.as_str())),
                "{exit:?}"
            );
        }
    }

    #[test]
    fn closed_pipe_is_told_from_other_io_errors() {
        assert!(is_closed_pipe(&io::Error::from(io::ErrorKind::BrokenPipe).into()));
        assert!(!is_closed_pipe(&io::Error::from(io::ErrorKind::StorageFull).into()));
    }
}
