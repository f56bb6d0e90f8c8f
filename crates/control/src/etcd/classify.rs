//! What an etcd failure means to the caller: above all, whether the call may have been executed.

use std::error::Error as StdError;

use etcd_client::Error as EtcdError;
use tonic::{Code, ConnectError, Status};

use crate::Error;
use crate::failover::Failure;

/// What `etcd-client` says when a keep-alive is answered with a ttl of zero.
pub(super) const LEASE_NOT_FOUND: &str = "lease not found";

/// What etcd says to a token that is older than its users and roles.
const OLD_USERS: &str = "revision of auth store is old";

/// Maps a failure of the server at `endpoint`. When in doubt the outcome is unknown: [`Error::Timeout`].
pub(super) fn classify(error: EtcdError, endpoint: &str) -> Failure {
    let everywhere = matches!(&error, EtcdError::GRpcStatus(status) if refused_everywhere(status.code()));
    Failure {
        error: said_by(endpoint, meaning(error)),
        everywhere,
    }
}

/// Names the server: of several, that is the one to look at.
fn said_by(endpoint: &str, error: Error) -> Error {
    let named = |text: String| format!("etcd at {endpoint}: {text}");
    match error {
        Error::Unavailable(text) => Error::Unavailable(named(text)),
        Error::Timeout(text) => Error::Timeout(named(text)),
        Error::Damaged(text) => Error::Damaged(named(text)),
        other => other,
    }
}

/// Whether a server refused a call because of the token that came with it: users or roles have changed since it was given, or the server
/// has forgotten it. A new one will do.
pub(super) fn is_stale_token(error: &EtcdError) -> bool {
    let EtcdError::GRpcStatus(status) = error else {
        return false;
    };
    status.code() == Code::Unauthenticated || status.message().ends_with(OLD_USERS)
}

fn meaning(error: EtcdError) -> Error {
    match error {
        EtcdError::GRpcStatus(status) => status_error(&status),
        EtcdError::InvalidArgs(reason) => Error::Invalid(reason),
        EtcdError::InvalidUri(reason) => Error::Invalid(reason.to_string()),
        EtcdError::LeaseKeepAliveError(reason) if reason == LEASE_NOT_FOUND => Error::LeaseNotFound,
        other => Error::Timeout(other.to_string()),
    }
}

fn status_error(status: &Status) -> Error {
    let text = describe(status);
    match status.code() {
        _ if never_sent(status) => Error::Unavailable(text),
        Code::NotFound if status.message().contains("lease not found") => Error::LeaseNotFound,
        Code::InvalidArgument if status.message().ends_with(OLD_USERS) => Error::Unavailable(text),
        Code::InvalidArgument if status.message().ends_with("user name is empty") => Error::Invalid(format!(
            "{text}: etcd wants to know who asks; set ETCD_USER and ETCD_PASSWORD"
        )),
        Code::FailedPrecondition if status.message().ends_with("authentication is not enabled") => Error::Invalid(format!(
            "{text}: etcd asks nobody who they are; unset ETCD_USER and ETCD_PASSWORD"
        )),
        Code::InvalidArgument | Code::FailedPrecondition | Code::NotFound => Error::Invalid(text),
        // The server's gRPC layer refuses what is larger than it would ever accept.
        Code::ResourceExhausted if status.message().contains("larger than max") => Error::Invalid(text),
        code if refused_everywhere(code) => Error::Unavailable(text),
        Code::Unavailable if refused(status.message()) => Error::Unavailable(text),
        Code::DataLoss => Error::Damaged(text),
        _ => Error::Timeout(text),
    }
}

/// Whether the connection could not even be opened.
fn never_sent(status: &Status) -> bool {
    causes(status).any(|cause| cause.is::<ConnectError>())
}

/// Too many requests, no space, no permission: refused before anything is proposed, and another member would say the same.
const fn refused_everywhere(code: Code) -> bool {
    matches!(
        code,
        Code::ResourceExhausted | Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented
    )
}

/// What a member answers before it proposes anything; its other `Unavailable` answers may come after.
fn refused(message: &str) -> bool {
    ["no leader", "leader changed", "not capable", "not supported for learner"]
        .iter()
        .any(|known| message.ends_with(known))
}

/// The message and the innermost cause, which is the one that helps (`Connection refused`).
fn describe(status: &Status) -> String {
    match causes(status).last() {
        Some(root) if root.to_string() != status.message() => format!("{}: {root}", status.message()),
        _ => status.message().to_owned(),
    }
}

fn causes(status: &Status) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(status.source(), |cause: &&(dyn StdError + 'static)| (*cause).source())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classified(code: Code, message: &str) -> Error {
        classify(EtcdError::GRpcStatus(Status::new(code, message)), "e:2379").error
    }

    #[test]
    fn only_what_was_certainly_not_executed_is_unavailable() {
        for (code, message) in [
            (Code::Unavailable, "etcdserver: no leader"),
            (Code::ResourceExhausted, "etcdserver: too many requests"),
            (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded"),
        ] {
            assert!(matches!(classified(code, message), Error::Unavailable(_)), "{message}");
        }
        for (code, message) in [
            (Code::Unavailable, "etcdserver: request timed out"),
            (Code::Unavailable, "etcdserver: server stopped"),
            (Code::Unavailable, "keep-alive timed out"),
            (Code::Cancelled, "operation was canceled"),
            (Code::Unknown, "transport error"),
        ] {
            assert!(matches!(classified(code, message), Error::Timeout(_)), "{message}");
        }
    }

    #[test]
    fn server_that_fails_is_named() {
        let said = |code, message| classified(code, message).to_string();
        assert_eq!(
            said(Code::Unavailable, "etcdserver: no leader"),
            "the control store is unavailable: etcd at e:2379: etcdserver: no leader"
        );
        assert!(said(Code::Unknown, "transport error").ends_with("etcd at e:2379: transport error"));
    }

    #[test]
    fn refusals_of_the_request_itself_are_not_repeated() {
        for (code, message) in [
            (Code::InvalidArgument, "etcdserver: duplicate key given in txn request"),
            (Code::InvalidArgument, "etcdserver: request is too large"),
            (Code::ResourceExhausted, "grpc: received message larger than max (5 vs. 4)"),
        ] {
            assert!(matches!(classified(code, message), Error::Invalid(_)), "{message}");
        }
        assert_eq!(
            classified(Code::NotFound, "etcdserver: requested lease not found"),
            Error::LeaseNotFound
        );
    }
}
