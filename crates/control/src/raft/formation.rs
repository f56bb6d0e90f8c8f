//! How a node with an empty directory finds its place: it begins a cluster with others whose directories are as new, or
//! takes the place that a cluster has for it.
//!
//! Only the first of the initial members, by name, begins the cluster, and only when all of them have answered that they are
//! new and have the same list; the others wait until it has. So there is one cluster, however often they are started anew,
//! and a member that has lost its directory finds that the others know it with another one, and is told what to do.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use super::format::Position;
use super::identity::{Identity, Place};
use super::initial::{InitialMember, initial_id};
use super::local::Local;
use super::network::NetworkError;
use super::network::message::{Answer, AskersPlace, Call, Hello, Refusal, Reply, Welcome};
use super::options::RaftOptions;
use super::runtime::new_id;
use super::serve::wiped;
use crate::error::Error;

const ASK_TIMEOUT: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(300);
/// How often it is said again what is waited for.
const REMIND: Duration = Duration::from_secs(10);

/// What came of asking everybody once.
enum Round {
    Found(Place),
    /// Somebody must act.
    Refused(String),
    Waiting(Vec<String>),
}

/// Waits until the node has a place.
pub(crate) async fn find_place(local: &Local, options: &RaftOptions) -> Result<Place, Error> {
    let initial = initial_members(options)?;
    let mut said: Option<(String, Instant)> = None;
    loop {
        match ask_everybody(local, options, &initial).await? {
            Round::Found(place) => {
                local.identity.take(place.clone()).await?;
                return Ok(place);
            }
            Round::Refused(reason) => return Err(Error::Invalid(reason)),
            Round::Waiting(reasons) => {
                let text = reasons.join("; ");
                local.waiting.send_replace(Some(text.clone()));
                if said
                    .as_ref()
                    .is_none_or(|(before, at)| *before != text || at.elapsed() > REMIND)
                {
                    tracing::info!("the control store waits: {text}");
                    said = Some((text, Instant::now()));
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whom this node would begin a cluster with; nobody when it joins one.
pub(crate) fn initial_members(options: &RaftOptions) -> Result<Vec<InitialMember>, Error> {
    let given = InitialMember::check(options.initial_cluster.clone())?;
    let named = given.iter().any(|member| member.name == options.name);
    match (given.is_empty(), options.join.is_empty()) {
        (true, true) => Ok(vec![InitialMember {
            name: options.name.clone(),
            address: options.address.clone(),
        }]),
        (false, true) if !named => Err(Error::Invalid(format!(
            "RAFT_INITIAL_CLUSTER does not name {} (NODE_ID); a master that comes later has RAFT_JOIN",
            options.name
        ))),
        _ if named => Ok(given),
        _ => Ok(Vec::new()),
    }
}

async fn ask_everybody(local: &Local, options: &RaftOptions, initial: &[InitialMember]) -> Result<Round, Error> {
    let name = options.name.clone();
    let others = initial.iter().filter(|member| member.name != name);
    let mut asked: Vec<(String, String)> = others.map(|member| (member.name.clone(), member.address.clone())).collect();
    for address in options
        .initial_cluster
        .iter()
        .map(|member| &member.address)
        .chain(&options.join)
    {
        let own = initial.iter().any(|member| member.name == name && member.address == *address) || options.address == *address;
        if !own && !asked.iter().any(|(_, known)| known == address) {
            asked.push((address.clone(), address.clone()));
        }
    }
    let hello = || {
        Call::Hello(Hello {
            name: name.clone(),
            initial: initial.to_vec(),
        })
    };
    let answers = join_all(
        asked
            .iter()
            .map(|(_, address)| local.client.ask(address, hello(), ASK_TIMEOUT)),
    )
    .await;
    let (mut new, mut reasons, mut refused) = (0, Vec::new(), None);
    let mut offers = Vec::new();
    for ((whom, _), answer) in asked.iter().zip(answers) {
        match judge(&local.identity, initial, whom, answer).await? {
            Heard::Offer(offer) => offers.push(offer),
            Heard::New => new += 1,
            Heard::Wait(reason) => reasons.push(reason),
            Heard::Refused(reason) => refused = Some(reason),
        }
    }
    // Whoever knows the latest membership knows best; of two with the same, the one that refuses has met more.
    if let Some(offer) = offers.into_iter().max_by_key(|offer| (offer.as_of, offer.place.is_err())) {
        return Ok(match offer.place {
            Ok((place, members)) => {
                for (id, member) in members {
                    local.contacts.learn(id, &member.address);
                }
                Round::Found(place)
            }
            Err(reason) => Round::Refused(reason),
        });
    }
    if let Some(reason) = refused {
        return Ok(Round::Refused(reason));
    }
    let begins = initial.first().is_some_and(|first| first.name == name);
    if begins && new + 1 == initial.len() && reasons.is_empty() {
        let place = Place {
            cluster: new_id(),
            node_id: initial_id(&name),
            initial: initial.to_vec(),
        };
        tracing::info!(cluster = %place.cluster, members = initial.len(), "a cluster of masters begins");
        return Ok(Round::Found(place));
    }
    if reasons.is_empty()
        && let Some(first) = initial.first()
    {
        reasons.push(format!("{} has to begin the cluster", first.name));
    }
    Ok(Round::Waiting(reasons))
}

/// What one answer means.
enum Heard {
    /// Of a member of a cluster that names this node.
    Offer(Offer),
    New,
    Wait(String),
    /// Of somebody without a place.
    Refused(String),
}

/// A place with all members of the cluster, or why this node may not have it.
struct Offer {
    as_of: Option<Position>,
    place: Result<(Place, Vec<(u64, InitialMember)>), String>,
}

async fn judge(
    identity: &Identity,
    initial: &[InitialMember],
    whom: &str,
    answer: Result<Answer, NetworkError>,
) -> Result<Heard, Error> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Ok(Heard::Wait(format!("{whom} does not answer yet ({error})"))),
    };
    let welcome = match answer.outcome {
        Ok(Reply::Hello(welcome)) => welcome,
        Ok(_) => return Ok(Heard::Wait(format!("{whom} gave an answer to something else"))),
        Err(Refusal::Stranger(reason)) => return Ok(Heard::Refused(reason)),
        Err(refusal) => return Ok(Heard::Wait(format!("{whom}: {refusal}"))),
    };
    match welcome {
        Welcome::New { initial: theirs } => {
            if theirs != initial {
                let text = format!("{whom} has another RAFT_INITIAL_CLUSTER ({})", shown(&theirs));
                return Ok(Heard::Wait(text));
            }
            if identity.meet(initial_id(whom), answer.store).await? {
                Ok(Heard::New)
            } else {
                Ok(Heard::Wait(wiped(whom)))
            }
        }
        Welcome::Member {
            cluster,
            place,
            as_of,
            members,
        } => match place {
            AskersPlace::Member { id } => {
                if !identity.meet(answer.id, answer.store).await? {
                    return Ok(Heard::Wait(wiped(whom)));
                }
                let place = Place {
                    cluster,
                    node_id: id,
                    initial: Vec::new(),
                };
                let place = Ok((place, members));
                Ok(Heard::Offer(Offer { as_of, place }))
            }
            AskersPlace::Taken => {
                let place = Err(wiped(&identity.name()));
                Ok(Heard::Offer(Offer { as_of, place }))
            }
            AskersPlace::Unknown => Ok(Heard::Wait(format!(
                "{whom} is of a cluster that has no place for {0}: `elasticore cluster add {0} ADDRESS`",
                identity.name()
            ))),
        },
    }
}

fn shown(initial: &[InitialMember]) -> String {
    let parts: Vec<_> = initial
        .iter()
        .map(|member| format!("{}={}", member.name, member.address))
        .collect();
    parts.join(",")
}
