//! Which requests are worth a trace.

use super::TraceContext;

/// What share of the requests that begin a trace is recorded, unless set: at tens of thousands of requests a second still hundreds of traces.
const DEFAULT_RATIO: f64 = 0.01;

/// Decides about traces where they begin, and may decide anew about those that clients began. Names are those of OpenTelemetry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Whether what the caller decided holds.
    follows_parent: bool,
    root: Root,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Root {
    All,
    None,
    /// As many as numbers of 63 bits lie below this bound.
    Below(u64),
}

impl Default for Sampler {
    fn default() -> Self {
        Self {
            follows_parent: true,
            root: below(DEFAULT_RATIO),
        }
    }
}

impl Sampler {
    /// By `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`; the default when the first is empty.
    ///
    /// # Errors
    /// What is wrong with them, naming the variable.
    pub fn of(name: &str, argument: &str) -> Result<Self, String> {
        let (follows_parent, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None if name.is_empty() => (true, "traceidratio"),
            None => (false, name),
        };
        let root = match root {
            "always_on" => Root::All,
            "always_off" => Root::None,
            "traceidratio" => below(ratio(argument)?),
            _ => {
                return Err(format!(
                    "OTEL_TRACES_SAMPLER is {name:?}; use always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or \
                     parentbased_traceidratio"
                ));
            }
        };
        Ok(Self { follows_parent, root })
    }

    /// Whether nothing is ever recorded, whatever callers say.
    pub(super) const fn is_off(self) -> bool {
        matches!(
            self,
            Self {
                follows_parent: false,
                root: Root::None
            }
        )
    }

    /// Whether this request is recorded. What is `precious` is exempt from the ratio: it is rare, and each is worth a trace.
    ///
    /// It is drawn, not read off the trace's id, as SDKs do: an id may be the caller's, and then the caller would choose; and those of UUIDs are
    /// not random where SDKs look. Nobody has to come to the same decision, for the flag travels.
    pub(super) fn takes(self, parent: Option<TraceContext>, precious: bool) -> bool {
        match (parent, self.root) {
            (Some(parent), _) if self.follows_parent => parent.is_sampled(),
            (_, Root::All) => true,
            (_, Root::None) => false,
            (_, Root::Below(bound)) => precious && bound > 0 || fastrand::u64(..) >> 1 < bound,
        }
    }
}

fn ratio(argument: &str) -> Result<f64, String> {
    if argument.is_empty() {
        return Ok(DEFAULT_RATIO);
    }
    let ratio = argument.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| format!("OTEL_TRACES_SAMPLER_ARG is {argument:?}; it is a share between 0 and 1, as in 0.01"))
}

fn below(ratio: f64) -> Root {
    Root::Below((ratio * (1_u64 << 63) as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent(sampled: bool) -> Option<TraceContext> {
        Some(TraceContext::begin([7; 16], sampled))
    }

    /// What becomes of a request whose caller recorded, one whose caller did not, and one that begins a trace.
    fn decisions(name: &str, argument: &str) -> [bool; 3] {
        let sampler = Sampler::of(name, argument).unwrap();
        [parent(true), parent(false), None].map(|parent| sampler.takes(parent, false))
    }

    #[test]
    fn samplers_are_those_of_opentelemetry() {
        assert_eq!(decisions("always_on", ""), [true, true, true]);
        assert_eq!(decisions("always_off", ""), [false, false, false]);
        assert_eq!(decisions("traceidratio", "1"), [true, true, true]);
        assert_eq!(decisions("traceidratio", "0"), [false, false, false]);
        assert_eq!(decisions("parentbased_always_on", ""), [true, false, true]);
        assert_eq!(decisions("parentbased_always_off", ""), [true, false, false]);
        assert_eq!(decisions("parentbased_traceidratio", "1.0"), [true, false, true]);
        assert_eq!(decisions("", "0"), [true, false, false]);
        assert!(Sampler::of("always_off", "").unwrap().is_off());
        assert!(!Sampler::of("parentbased_always_off", "").unwrap().is_off());
        assert_eq!(Sampler::of("", ""), Ok(Sampler::default()));
        for (name, argument) in [
            ("always", ""),
            ("parentbased_", ""),
            ("traceidratio", "2"),
            ("traceidratio", "NaN"),
            ("", "x"),
        ] {
            assert!(Sampler::of(name, argument).is_err(), "{name} {argument}");
        }
    }

    #[test]
    fn a_ratio_takes_about_its_share_and_all_that_is_precious() {
        let sampler = Sampler::default();
        let taken = (0..100_000).filter(|_| sampler.takes(None, false)).count();
        assert!((700..1_300).contains(&taken), "{taken}");
        assert!((0..100).all(|_| sampler.takes(None, true)));
        assert!(!Sampler::of("", "0").unwrap().takes(None, true));
        assert!(!sampler.takes(parent(false), true), "its caller said no");
    }
}
