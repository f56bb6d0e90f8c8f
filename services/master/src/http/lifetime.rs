//! How long something lives, as clients say it: `ttl`, or `expires_at`, and `stale`.

use std::time::{Duration, UNIX_EPOCH};

use api::cache::Lifetime;
use cache::{Skew, now_ms, wall_ms};
use transport::ApiError;

/// Longest time to live: ten years.
const MAX_TTL: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The life time that these parameters give; for ever without any.
pub(super) fn lifetime(ttl: Option<&str>, expires_at: Option<&str>, stale: Option<&str>) -> Result<Lifetime, ApiError> {
    if ttl.is_none() && expires_at.is_none() && stale.is_none() {
        return Ok(Lifetime::default());
    }
    let now_ms = now_ms();
    let fresh_until_ms = match (ttl, expires_at) {
        (Some(_), Some(_)) => return Err(ApiError::invalid("give ttl or expires_at, not both")),
        (Some(text), None) => now_ms + milliseconds(duration("ttl", text)?),
        (None, Some(text)) => {
            // The caller means the time of day; life times are counted by a clock that nobody sets.
            let wall_ms = wall_ms();
            Skew::between(wall_ms, now_ms).ours(point_in_time(text, wall_ms)?)
        }
        (None, None) => {
            return Err(ApiError::invalid(
                "stale is the time an entry is served after its ttl; give ttl or expires_at too",
            ));
        }
    };
    let stale = stale.map(|text| duration("stale", text)).transpose()?;
    let stale_ms = stale.map_or(0, milliseconds);
    Ok(Lifetime {
        fresh_until_ms,
        expires_at_ms: fresh_until_ms + stale_ms,
    })
}

/// A life time in whole seconds, as JSON gives it.
pub(super) fn lifetime_of_seconds(ttl: Option<u64>, stale: Option<u64>) -> Result<Lifetime, ApiError> {
    let (ttl, stale) = (ttl.map(|ttl| ttl.to_string()), stale.map(|stale| stale.to_string()));
    lifetime(ttl.as_deref(), None, stale.as_deref())
}

/// A time to live.
pub(super) fn ttl(text: &str) -> Result<Duration, ApiError> {
    duration("ttl", text)
}

/// Seconds (`60`, `1.5`) or a duration (`5m`).
pub(super) fn duration(name: &str, text: &str) -> Result<Duration, ApiError> {
    let refuse = || {
        ApiError::invalid(format!(
            "{name} {text:?} is not valid: write seconds (60) or a duration (5m), more than 0 and at most 10 years"
        ))
    };
    let parsed = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| refuse())?,
        Err(_) => humantime::parse_duration(text).map_err(|_| refuse())?,
    };
    if parsed.is_zero() || parsed > MAX_TTL {
        Err(refuse())
    } else {
        Ok(parsed)
    }
}

/// Seconds left until then, rounded up; none for never.
pub(super) fn seconds_left(at_ms: u64) -> Option<u64> {
    (at_ms > 0).then(|| at_ms.saturating_sub(now_ms()).div_ceil(1000))
}

/// Whether that time has come.
pub(super) fn is_stale(lifetime: Lifetime) -> bool {
    lifetime.fresh_until_ms > 0 && lifetime.fresh_until_ms <= now_ms()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4).max(1)
}

/// Unix seconds or RFC 3339, in the future.
fn point_in_time(text: &str, now_ms: u64) -> Result<u64, ApiError> {
    let refuse = |why: &str| {
        ApiError::invalid(format!(
            "expires_at {text:?} {why}: write Unix seconds (1767225600) or RFC 3339 (2026-01-01T00:00:00Z, with + as %2B), \
             in the future and at most 10 years from now"
        ))
    };
    let since_1970 = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => rfc3339(text),
    };
    let at_ms = since_1970.map(milliseconds).ok_or_else(|| refuse("is not valid"))?;
    if at_ms <= now_ms {
        return Err(refuse("is over"));
    }
    if at_ms - now_ms > milliseconds(MAX_TTL) {
        return Err(refuse("is too far away"));
    }
    Ok(at_ms)
}

/// The time since 1970 that RFC 3339 spells. The library knows only `Z`.
fn rfc3339(text: &str) -> Option<Duration> {
    let since = |utc: &str| humantime::parse_rfc3339(utc).ok()?.duration_since(UNIX_EPOCH).ok();
    if let Some(utc) = text.strip_suffix(['Z', 'z']) {
        return since(&format!("{utc}Z"));
    }
    let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let (sign, offset) = offset.split_at_checked(1)?;
    let (hours, minutes) = offset.split_once(':')?;
    let number = |digits: &str, below: u64| {
        let is_number = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        let number = digits.parse::<u64>().ok()?;
        (is_number && number < below).then_some(number)
    };
    let offset = Duration::from_secs(number(hours, 24)? * 3600 + number(minutes, 60)? * 60);
    let local = since(&format!("{local}Z"))?;
    match sign {
        "+" => local.checked_sub(offset),
        "-" => local.checked_add(offset),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ttl_takes_seconds_and_durations_and_nothing_else() {
        assert_eq!(ttl("60").unwrap(), Duration::from_secs(60));
        assert_eq!(ttl("1.5").unwrap(), Duration::from_millis(1500));
        assert_eq!(ttl("5m").unwrap(), Duration::from_secs(300));
        for text in ["", "0", "-1", "NaN", "inf", "1e300", "99999999999", "5 fortnights"] {
            assert!(ttl(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn points_in_time_are_unix_seconds_or_rfc_3339() {
        const NOW: u64 = 1_700_000_000_000;
        for text in [
            "1767225600",
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00.000z",
            "2026-01-01T02:00:00+02:00",
            "2025-12-31T18:30:00-05:30",
        ] {
            assert_eq!(point_in_time(text, NOW).unwrap(), 1_767_225_600_000, "{text}");
        }
        for text in [
            "",
            "tomorrow",
            "-5",
            "NaN",
            "2026-01-01",
            "2026-13-01T00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00+2:00",
            "2026-01-01T00:00:00+25:00",
            "2026-01-01T00:00:00é02:00",
        ] {
            assert!(point_in_time(text, NOW).is_err(), "{text:?}");
        }
        let refused = point_in_time("1767225600", 1_767_225_600_000).unwrap_err();
        assert!(refused.detail.contains("is over"), "{refused}");
        assert!(
            point_in_time("1767225600", 1_000_000_000_000).is_err(),
            "more than ten years away"
        );
    }

    #[test]
    fn stale_is_served_after_the_time_to_live() {
        let lifetime = |ttl, at, stale| super::lifetime(ttl, at, stale);
        assert_eq!(lifetime(None, None, None).unwrap(), Lifetime::default());
        let plain = lifetime(Some("60"), None, None).unwrap();
        assert_eq!(plain.fresh_until_ms, plain.expires_at_ms);
        let both = lifetime(Some("60"), None, Some("5m")).unwrap();
        assert_eq!(both.expires_at_ms - both.fresh_until_ms, 300_000);
        assert_eq!(seconds_left(both.fresh_until_ms), Some(60));
        assert!(!is_stale(both) && !is_stale(Lifetime::default()));
        assert!(is_stale(Lifetime {
            fresh_until_ms: 1,
            ..both
        }));
        assert!(lifetime(None, None, Some("5m")).is_err());
        assert!(lifetime(Some("1"), Some("4000000000"), None).is_err());
    }

    #[test]
    fn what_expires_never_has_no_seconds_left() {
        assert_eq!(seconds_left(0), None);
        assert_eq!(seconds_left(1), Some(0));
    }
}
