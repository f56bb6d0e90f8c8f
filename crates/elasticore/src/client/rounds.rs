//! Finding somebody who does it: all addresses in turn, where they point to, and again while the cluster changes its leader.
//!
//! What stays true: a request is sent again only when it was certainly not executed, or when it only reads.

use std::time::{Duration, Instant};

use api::ErrorCode;
use serde::Deserialize;

use super::{Answer, Client, Endpoint, Error, Request};

/// Longest time for which a request is repeated that nobody can do now: an election takes seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// First and longest pause between two rounds.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// Most redirects that are followed for one request.
const MAX_HOPS: usize = 5;

/// What an address that did not do it is good for.
enum Miss {
    /// Nobody is there.
    Nobody(Vec<(String, String)>),
    /// Another address may do it, and this one later.
    NotNow(Error),
    /// Another address may do it; this one will not.
    NotHere(Error),
    /// Another one would say the same, or it may be done already.
    Final(Error),
}

/// Answer of `GET /nodes`, as far as it says who leads.
#[derive(Deserialize)]
struct Nodes {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    #[serde(default)]
    leader: bool,
    public_address: Option<String>,
}

impl Client {
    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// When no address can be reached, none answers in time, or the answer is a problem.
    pub(crate) async fn send(&self, request: &Request) -> Result<Answer, Error> {
        let give_up = Instant::now() + PATIENCE.min(self.timeout);
        let mut pause = PAUSES.0;
        loop {
            let (error, again) = match self.round(request).await {
                Ok(answer) => return Ok(answer),
                Err(missed) => missed,
            };
            if !again || Instant::now() + pause >= give_up {
                return Err(error);
            }
            self.say(|| format!("* nobody can do it now; trying again in {pause:?}"));
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Asks all addresses, beginning with the one that answered last; the failure that says most, and whether to ask again.
    async fn round(&self, request: &Request) -> Result<Answer, (Error, bool)> {
        let (mut nobody, mut said, mut again) = (Vec::new(), None, false);
        let endpoints = self.in_turn();
        for (at, endpoint) in endpoints.iter().enumerate() {
            let miss = match self.try_at(endpoint, request).await {
                Ok(answer) => return Ok(answer),
                Err(miss) => miss,
            };
            let next = if at + 1 < endpoints.len() {
                "; trying the next address"
            } else {
                ""
            };
            match miss {
                Miss::Final(error) => return Err((error, false)),
                Miss::Nobody(tried) => {
                    self.say(|| format!("* {endpoint} cannot be reached{next}"));
                    nobody.extend(tried);
                }
                Miss::NotNow(error) => {
                    self.say(|| format!("* {endpoint}: {error}{next}"));
                    (said, again) = (Some(error), true);
                }
                Miss::NotHere(error) => {
                    self.say(|| format!("* {endpoint}: {error}{next}"));
                    said = said.or(Some(error));
                }
            }
        }
        Err((said.unwrap_or(Error::Unreachable { tried: nobody }), again))
    }

    /// Asks one address, and those it points to.
    async fn try_at(&self, endpoint: &Endpoint, request: &Request) -> Result<Answer, Miss> {
        let (mut endpoint, mut url) = (endpoint.clone(), request.url(endpoint));
        for _ in 0..=MAX_HOPS {
            let answer = self
                .attempt(&endpoint, &url, request)
                .await
                .map_err(|error| judge(error, request))?;
            let target = answer
                .header("location")
                .filter(|_| matches!(answer.status(), 307 | 308 | 421));
            if let Some(target) = target {
                let Some((there, target)) = resolve(&url, target) else {
                    return Err(Miss::NotHere(foreign(&endpoint, answer.status(), target)));
                };
                self.say(|| format!("* {endpoint} points to {target}; following"));
                (endpoint, url) = (there, target);
                continue;
            }
            match answer.into_success().await {
                Err(Error::Refused(problem)) if problem.code == ErrorCode::NotLeader => {
                    let Some(leader) = self.leader_known_to(&endpoint).await.filter(|leader| *leader != endpoint) else {
                        return Err(Miss::NotNow(Error::Refused(problem)));
                    };
                    self.say(|| format!("* {endpoint} does not lead; it names {leader} as the leader"));
                    url = request.url(&leader);
                    endpoint = leader;
                }
                outcome => {
                    let answer = outcome.map_err(|error| judge(error, request))?;
                    // A redirect may have led below another path, or to something that is good for this request alone.
                    if url == request.url(&endpoint) {
                        self.answered(endpoint);
                    }
                    return Ok(answer);
                }
            }
        }
        Err(Miss::NotHere(foreign(
            &endpoint,
            308,
            "it points from one address to the next without an end",
        )))
    }

    /// The public address of the master that leads, when the one asked knows it.
    async fn leader_known_to(&self, endpoint: &Endpoint) -> Option<Endpoint> {
        let request = Request::get("/nodes");
        let answer = self.attempt(endpoint, &request.url(endpoint), &request).await.ok()?;
        let (_, nodes) = answer.into_success().await.ok()?.json::<Nodes>().await.ok()?;
        let leader = nodes.nodes.into_iter().find(|node| node.leader)?;
        leader.public_address?.parse().ok()
    }
}

/// What a failure of one address means for the others.
fn judge(error: Error, request: &Request) -> Miss {
    match error {
        Error::Unreachable { tried } => Miss::Nobody(tried),
        Error::Refused(problem) => match problem.code {
            ErrorCode::Unavailable | ErrorCode::NotLeader => Miss::NotNow(Error::Refused(problem)),
            // The next address may have room; this one will not in a moment.
            ErrorCode::RateLimited => Miss::NotHere(Error::Refused(problem)),
            ErrorCode::Timeout if request.only_reads() => Miss::NotNow(Error::Refused(problem)),
            _ => Miss::Final(Error::Refused(problem)),
        },
        Error::Timeout { .. } | Error::Broken { .. } if request.only_reads() => Miss::NotNow(error),
        other => Miss::Final(other),
    }
}

/// Where a redirect leads: the address to be asked, and the whole URL.
fn resolve(from: &str, target: &str) -> Option<(Endpoint, String)> {
    let url = reqwest::Url::parse(from).ok()?.join(target).ok()?;
    // Never from an encrypted connection to a plain one.
    if url.scheme() != reqwest::Url::parse(from).ok()?.scheme() {
        return None;
    }
    let port = url.port_or_known_default()?;
    let endpoint = format!("{}://{}:{port}", url.scheme(), url.host_str()?).parse().ok()?;
    Some((endpoint, url.to_string()))
}

fn foreign(endpoint: &Endpoint, status: u16, excerpt: &str) -> Error {
    Error::Foreign {
        endpoint: endpoint.to_string(),
        status,
        excerpt: excerpt.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_resolved_against_what_was_asked() {
        let from = "http://a:1/kv/k?ttl=5";
        for (target, endpoint, url) in [
            ("http://b:2/kv/k?ttl=5", "http://b:2", "http://b:2/kv/k?ttl=5"),
            ("//b:2/kv/k", "http://b:2", "http://b:2/kv/k"),
            ("/other", "http://a:1", "http://a:1/other"),
        ] {
            let (there, whole) = resolve(from, target).unwrap();
            assert_eq!((there.to_string().as_str(), whole.as_str()), (endpoint, url));
        }
        assert!(resolve(from, "https://b:2/").is_none());
        assert!(resolve("https://a:1/", "http://b:2/").is_none());
        assert_eq!(resolve("https://a:1/", "/x").unwrap().0.to_string(), "https://a:1");
    }
}
