//! Records of the control store, read behind the masters' backs: through etcd's own JSON gateway.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::Api;

/// A reader of etcd.
#[derive(Debug, Clone)]
pub struct Records(Api);

/// A key with its value and history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// Revision that created it.
    pub create_revision: u64,
    /// Revision that wrote it last.
    pub mod_revision: u64,
}

impl Records {
    /// Of the server at `host:port`.
    #[must_use]
    pub fn at(address: &str) -> Self {
        Self(Api::at(address))
    }

    /// One record.
    ///
    /// # Panics
    /// When etcd does not answer.
    pub async fn get(&self, key: &str) -> Option<Record> {
        let range = json!({ "key": STANDARD.encode(key) });
        self.range(&range).await.pop()
    }

    /// All records whose keys begin with a prefix.
    ///
    /// # Panics
    /// When etcd does not answer.
    pub async fn list(&self, prefix: &str) -> Vec<Record> {
        let mut end = prefix.as_bytes().to_vec();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        let range = json!({ "key": STANDARD.encode(prefix), "range_end": STANDARD.encode(end) });
        self.range(&range).await
    }

    async fn range(&self, range: &Value) -> Vec<Record> {
        let answer = self.0.post("/v3/kv/range", range).await.expect(200).json();
        let pairs = answer["kvs"].as_array().cloned().unwrap_or_default();
        pairs.iter().map(record).collect()
    }
}

fn record(pair: &Value) -> Record {
    let bytes = |name: &str| {
        STANDARD
            .decode(pair[name].as_str().unwrap_or_default())
            .expect("etcd encodes in base64")
    };
    let number = |name: &str| {
        pair[name]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("etcd writes numbers as text")
    };
    Record {
        key: String::from_utf8_lossy(&bytes("key")).into_owned(),
        value: bytes("value"),
        create_revision: number("create_revision"),
        mod_revision: number("mod_revision"),
    }
}
