//! The bytes of a stage's plan: opaque to everyone between the worker that planned and the worker that runs.
//!
//! `"ECSP"`, version, kind, CRC-32C of kind and payload (little endian), payload. Bytes that are damaged or of another version are
//! refused with a reason, never half understood.

use std::sync::Arc;

use api::task::PlanTable;
use bytes::{BufMut, Bytes, BytesMut};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::bytes::{physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::Query;
use crate::Error;
use crate::shuffle::Codec;

const MAGIC: &[u8; 4] = b"ECSP";
const VERSION: u8 = 2;
const HEADER: usize = 10;
const KIND_PHYSICAL: u8 = 0;
const KIND_SQL: u8 = 1;

/// What a stage's bytes say.
#[derive(Debug)]
pub(crate) enum StagePlan {
    /// An encoded physical plan.
    Physical(Bytes),
    /// A query that runs whole and is planned where it runs.
    Sql(Query),
}

#[derive(Serialize, Deserialize)]
struct SqlPayload {
    sql: String,
    tables: BTreeMap<String, PlanTable>,
    now_ms: u64,
    /// Absent in plans of versions that knew one namespace of keys.
    #[serde(default)]
    namespace: String,
}

impl StagePlan {
    /// Encodes a physical plan, and makes sure that it can be decoded.
    pub(crate) fn physical(plan: &Arc<dyn ExecutionPlan>, ctx: &TaskContext) -> EngineResult<Self> {
        let bytes = physical_plan_to_bytes_with_extension_codec(Arc::clone(plan), &Codec)?;
        let again = decode(&bytes, ctx)?;
        if again.schema().fields() != plan.schema().fields() {
            return Err(DataFusionError::NotImplemented(
                "the plan changes when it is encoded".to_owned(),
            ));
        }
        Ok(Self::Physical(bytes))
    }

    /// The bytes.
    pub(crate) fn encode(&self) -> Result<Bytes, Error> {
        let (kind, payload) = match self {
            Self::Physical(bytes) => (KIND_PHYSICAL, bytes.clone()),
            Self::Sql(query) => {
                let payload = SqlPayload {
                    sql: query.sql.clone(),
                    tables: query.tables.clone(),
                    now_ms: query.now_ms,
                    namespace: query.namespace.clone(),
                };
                (
                    KIND_SQL,
                    serde_json::to_vec(&payload)
                        .map_err(|error| Error::Internal(error.to_string()))?
                        .into(),
                )
            }
        };
        let mut out = BytesMut::with_capacity(HEADER + payload.len());
        out.put_slice(MAGIC);
        out.put_u8(VERSION);
        out.put_u8(kind);
        out.put_u32_le(checksum(kind, &payload));
        out.put(payload);
        Ok(out.freeze())
    }

    /// Reads the bytes; an error says what is wrong with them.
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, String> {
        let (Some(header), Some(payload)) = (bytes.first_chunk::<HEADER>(), bytes.get(HEADER..)) else {
            return Err("the stage's plan is cut short".to_owned());
        };
        let [m0, m1, m2, m3, version, kind, c0, c1, c2, c3] = *header;
        if [m0, m1, m2, m3] != *MAGIC {
            return Err("the stage's plan is no plan".to_owned());
        }
        if version != VERSION {
            return Err(format!(
                "the stage's plan has version {version}, this worker knows version {VERSION}"
            ));
        }
        if u32::from_le_bytes([c0, c1, c2, c3]) != checksum(kind, payload) {
            return Err("the stage's plan is damaged (checksum)".to_owned());
        }
        match kind {
            KIND_PHYSICAL => Ok(Self::Physical(bytes.slice(HEADER..))),
            KIND_SQL => {
                let payload: SqlPayload = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
                Ok(Self::Sql(Query {
                    sql: payload.sql,
                    tables: payload.tables,
                    now_ms: payload.now_ms,
                    namespace: payload.namespace,
                }))
            }
            _ => Err(format!("the stage's plan is of the unknown kind {kind}")),
        }
    }
}

fn checksum(kind: u8, payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&[kind]), payload)
}

/// Decodes a physical plan.
pub(crate) fn decode(bytes: &[u8], ctx: &TaskContext) -> EngineResult<Arc<dyn ExecutionPlan>> {
    physical_plan_from_bytes_with_extension_codec(bytes, ctx, &Codec)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sql_plan() -> Bytes {
        StagePlan::Sql(Query {
            sql: "SELECT 1".to_owned(),
            tables: BTreeMap::new(),
            now_ms: 7,
            namespace: "team".to_owned(),
        })
        .encode()
        .unwrap()
    }

    #[test]
    fn query_that_is_planned_where_it_runs_keeps_its_namespace() {
        let StagePlan::Sql(query) = StagePlan::decode(&sql_plan()).unwrap() else {
            panic!("it is SQL")
        };
        assert_eq!((query.now_ms, query.namespace.as_str()), (7, "team"));
    }

    #[test]
    fn another_version_and_another_kind_are_refused_by_name() {
        for (position, word) in [(4, "version 9"), (5, "kind 9"), (0, "no plan")] {
            let mut bytes = sql_plan().to_vec();
            bytes[position] = 9;
            let sum = checksum(bytes[5], &bytes[HEADER..]);
            bytes[6..HEADER].copy_from_slice(&sum.to_le_bytes());
            assert!(StagePlan::decode(&bytes.into()).unwrap_err().contains(word));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = StagePlan::decode(&bytes.into());
        }

        #[test]
        fn any_flipped_bit_is_noticed(position in 0_usize..1_000, bit in 0_u8..8) {
            let mut bytes = sql_plan().to_vec();
            let position = position % bytes.len();
            bytes[position] ^= 1 << bit;
            prop_assert!(StagePlan::decode(&bytes.into()).is_err());
        }
    }
}
