//! How [`ShuffleRead`] travels inside an encoded plan: version, then a protobuf message.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::{internal_err, plan_datafusion_err};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use datafusion_proto::protobuf;
use prost::Message;

use super::facts::Facts;
use super::read::{ReadMode, ShuffleRead};

const VERSION: u8 = 1;
/// More than any plan has: beyond it, bytes are damaged, and would only make a reader reserve memory for them.
const MAX_COUNT: u32 = 1 << 20;

/// Codec of the one node that is ours.
#[derive(Debug)]
pub(crate) struct Codec;

#[derive(Clone, PartialEq, Message)]
struct Encoded {
    #[prost(uint32, tag = "1")]
    stage: u32,
    #[prost(uint32, tag = "2")]
    producers: u32,
    /// 1 hash, 2 each, 3 concatenated.
    #[prost(uint32, tag = "3")]
    mode: u32,
    /// Only of hash.
    #[prost(uint32, tag = "4")]
    outputs: u32,
    #[prost(message, optional, tag = "5")]
    schema: Option<protobuf::Schema>,
    #[prost(message, repeated, tag = "6")]
    equal: Vec<Group>,
    #[prost(uint32, repeated, tag = "7")]
    constant: Vec<u32>,
}

/// Columns that are equal.
#[derive(Clone, PartialEq, Message)]
struct Group {
    #[prost(uint32, repeated, tag = "1")]
    columns: Vec<u32>,
}

impl PhysicalExtensionCodec for Codec {
    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        _ctx: &TaskContext,
        _converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !inputs.is_empty() {
            return internal_err!("a shuffle reader with inputs of its own");
        }
        Ok(Arc::new(decode(bytes)?))
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        out: &mut Vec<u8>,
        _converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        match node.downcast_ref::<ShuffleRead>() {
            Some(read) => encode(read, out),
            None => Err(plan_datafusion_err!("{} cannot leave its process", node.name())),
        }
    }
}

fn encode(read: &ShuffleRead, out: &mut Vec<u8>) -> Result<()> {
    let narrow = |count: usize| u32::try_from(count).map_err(|_| plan_datafusion_err!("{count} partitions are too many"));
    let (mode, outputs) = match read.mode() {
        ReadMode::Hash { outputs } => (1, narrow(outputs)?),
        ReadMode::Each => (2, 0),
        ReadMode::Concatenated => (3, 0),
    };
    let schema = protobuf::Schema::try_from(read.schema().as_ref())?;
    out.push(VERSION);
    let encoded = Encoded {
        stage: read.stage(),
        producers: narrow(read.producers())?,
        mode,
        outputs,
        schema: Some(schema),
        equal: read
            .facts()
            .equal
            .iter()
            .map(|columns| Group {
                columns: columns.clone(),
            })
            .collect(),
        constant: read.facts().constant.clone(),
    };
    encoded.encode(out).map_err(|error| plan_datafusion_err!("{error}"))
}

fn decode(bytes: &[u8]) -> Result<ShuffleRead> {
    let refuse = |why: &str| plan_datafusion_err!("a shuffle reader in the plan {why}");
    let (version, message) = bytes.split_first().ok_or_else(|| refuse("is empty"))?;
    if *version != VERSION {
        return Err(refuse(&format!("has version {version}, this worker knows version {VERSION}")));
    }
    let encoded = Encoded::decode(message).map_err(|error| refuse(&error.to_string()))?;
    let within = |count: u32| {
        if count <= MAX_COUNT {
            Ok(count as usize)
        } else {
            Err(refuse("has too many partitions"))
        }
    };
    let mode = match encoded.mode {
        1 if encoded.outputs > 0 => ReadMode::Hash {
            outputs: within(encoded.outputs)?,
        },
        2 => ReadMode::Each,
        3 => ReadMode::Concatenated,
        _ => return Err(refuse("reads in an unknown way")),
    };
    let schema = encoded.schema.ok_or_else(|| refuse("has no schema"))?;
    let schema = Schema::try_from(&schema).map_err(|error| refuse(&error.to_string()))?;
    let facts = Facts {
        equal: encoded.equal.into_iter().map(|group| group.columns).collect(),
        constant: encoded.constant,
    };
    ShuffleRead::new(encoded.stage, within(encoded.producers)?, mode, Arc::new(schema)).with_facts(facts)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
    use proptest::prelude::*;

    use super::*;

    fn encoded(mode: ReadMode) -> Vec<u8> {
        let fields = vec![
            Field::new("a", DataType::Decimal128(20, 3), true),
            Field::new("b", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), false),
            Field::new("c", DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))), true),
        ];
        let mut out = Vec::new();
        let facts = Facts {
            equal: vec![vec![0, 2]],
            constant: vec![1],
        };
        let read = ShuffleRead::new(7, 3, mode, Arc::new(Schema::new(fields)))
            .with_facts(facts)
            .unwrap();
        encode(&read, &mut out).unwrap();
        out
    }

    #[test]
    fn every_mode_survives_the_wire() {
        for mode in [ReadMode::Hash { outputs: 5 }, ReadMode::Each, ReadMode::Concatenated] {
            let read = decode(&encoded(mode)).unwrap();
            assert_eq!((read.stage(), read.producers(), read.mode()), (7, 3, mode));
            assert_eq!(
                read.schema().field(1).data_type(),
                &DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
            );
            assert!(!read.schema().field(1).is_nullable());
            assert_eq!(
                (read.facts().equal.as_slice(), read.facts().constant.as_slice()),
                ([vec![0, 2]].as_slice(), [1].as_slice())
            );
        }
    }

    #[test]
    fn another_version_is_refused() {
        let mut bytes = encoded(ReadMode::Each);
        bytes[0] = 2;
        assert!(decode(&bytes).unwrap_err().to_string().contains("version 2"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
            let _ = decode(&[&[VERSION], bytes.as_slice()].concat());
        }

        #[test]
        fn damaged_bytes_are_decoded_or_refused(position in 0_usize..1_000, byte in any::<u8>(), length in 0_usize..1_000) {
            let mut bytes = encoded(ReadMode::Hash { outputs: 4 });
            let position = position % bytes.len();
            bytes[position] = byte;
            bytes.truncate(length);
            let _ = decode(&bytes);
        }
    }
}
