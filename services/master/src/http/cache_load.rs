//! `GET /cache/{key}?load=`: get or set, with one loader.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use cache::front::{Action, Operation, Outcome};
use transport::ApiError;

use super::cache::{CACHE_LOAD, GRANTED, entry_response, miss};
use super::lifetime::duration;
use super::params::failure;
use crate::app::App;
use crate::app::loading;

/// Longest time a load may take.
const MAX_LOAD: Duration = Duration::from_secs(60 * 60);
/// Wait for somebody else's load, unless the client says otherwise.
const WAIT: Duration = Duration::from_secs(5);

/// A read that may make its caller the one who loads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// How long others wait for this caller, should it be the one.
    patience: Duration,
    /// How long this caller waits for another one.
    wait: Duration,
}

impl Load {
    /// From the parameters `load` and `wait`; none without `load`.
    pub(super) fn parse(load: Option<&str>, wait: Option<&str>, max_wait: Duration) -> Result<Option<Self>, ApiError> {
        let Some(load) = load else {
            return match wait {
                Some(_) => Err(ApiError::invalid(
                    "wait is the longest wait for somebody else's load; give load too",
                )),
                None => Ok(None),
            };
        };
        let patience = duration("load", load)?;
        if patience > MAX_LOAD {
            return Err(ApiError::invalid(format!("load is {load}; it must be at most 1h")));
        }
        let wait = match wait {
            None => WAIT.min(max_wait),
            Some("0") => Duration::ZERO,
            Some(text) => duration("wait", text)?,
        };
        if wait > max_wait {
            let limit = humantime::format_duration(max_wait);
            let detail = format!(
                "wait is {}; it must be at most {limit} here",
                humantime::format_duration(wait)
            );
            return Err(ApiError::invalid(detail));
        }
        Ok(Some(Self { patience, wait }))
    }

    /// What to do with the key.
    pub(super) fn action(&self) -> Action {
        Action::Load {
            patience_ms: u32::try_from(self.patience.as_millis()).unwrap_or(u32::MAX).max(1),
        }
    }
}

/// The value; or a miss, with the task to load it; or, when somebody else had that and is not done in time, 503.
pub(super) async fn get(app: &App, operation: Operation, load: Load) -> Result<Response, ApiError> {
    let answer = loading::load(&app.cache, operation, load.wait).await.map_err(failure)?;
    match answer.outcome {
        Outcome::Loading => {
            let wait = humantime::format_duration(load.wait);
            let mut late = ApiError::unavailable(format!(
                "somebody else loads this key, and it did not come within {wait}; ask again"
            ));
            late.retry_after = Some(Duration::from_secs(1));
            Err(late)
        }
        Outcome::Miss { load: true } => {
            let mut granted = miss().into_response();
            granted.headers_mut().insert(CACHE_LOAD, GRANTED);
            Ok(granted)
        }
        _ => entry_response(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_and_wait_are_bounded() {
        let longest = Duration::from_secs(9);
        let parse = |load, wait| Load::parse(load, wait, longest);
        assert!(parse(None, None).unwrap().is_none());
        let plain = parse(Some("30s"), None).unwrap().unwrap();
        assert_eq!((plain.patience, plain.wait), (Duration::from_secs(30), WAIT));
        assert_eq!(parse(Some("1"), Some("0")).unwrap().unwrap().wait, Duration::ZERO);
        assert_eq!(parse(Some("1"), Some("9s")).unwrap().unwrap().wait, longest);
        for (load, wait) in [
            (None, Some("5s")),
            (Some(""), None),
            (Some("0"), None),
            (Some("2h"), None),
            (Some("1"), Some("-1")),
            (Some("1"), Some("soon")),
            (Some("1"), Some("10s")),
        ] {
            assert!(parse(load, wait).is_err(), "{load:?} {wait:?}");
        }
    }
}
