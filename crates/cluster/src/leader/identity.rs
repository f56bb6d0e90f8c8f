//! The identity of the cluster.

use std::sync::Arc;

use bytes::Bytes;
use control::{Compare, ControlStore, Op, OpResult, Txn};
use uuid::Uuid;

use crate::{Error, keys};

/// The cluster's identity; the first to ask makes it.
///
/// # Errors
/// When the control store fails.
pub async fn cluster_id(store: &Arc<dyn ControlStore>) -> Result<String, Error> {
    let made = Uuid::new_v4().to_string();
    let key = keys::CLUSTER.to_owned();
    let txn = Txn {
        compares: vec![Compare::Absent(key.clone())],
        then: vec![Op::Put {
            key: key.clone(),
            value: Bytes::from(made.clone()),
            lease: None,
        }],
        otherwise: vec![Op::Get { key }],
    };
    let answer = store.txn(txn).await?;
    if answer.succeeded {
        return Ok(made);
    }
    let held = answer.results.into_iter().find_map(|result| match result {
        OpResult::Range(range) => range.items.into_iter().next(),
        _ => None,
    });
    held.and_then(|held| String::from_utf8(held.value.to_vec()).ok())
        .ok_or_else(|| control::Error::Damaged(format!("{} holds no text", keys::CLUSTER)).into())
}
