//! How plans and tasks of a job are kept in the control store: in pieces well below the 1.5 MB a request of etcd.

use api::JobId;
use api::task::{Stage, StageGraph};
use bytes::{Bytes, BytesMut};
use control::{Consistency, ControlStore, KeyValue, Range};
use jobs::TaskChunk;

use super::{Error, keys};

/// Largest value written.
const PIECE: usize = 512 * 1024;
/// Pieces read at once.
const PIECES_AT_ONCE: usize = 6;
/// First byte of an encoded chunk of tasks.
const CHUNK_VERSION: u8 = 1;

/// A key and its value.
pub(super) type Piece = (String, Bytes);

/// The graph without the encoded plans of its stages: what people see.
pub(super) fn graph_pieces(job: JobId, run: u32, graph: &StageGraph) -> Result<Vec<Piece>, Error> {
    let bare = |stage: &Stage| Stage {
        plan: Bytes::new(),
        partitions: stage.partitions,
        output_partitions: stage.output_partitions,
        inputs: stage.inputs.clone(),
        deterministic: stage.deterministic,
        display: stage.display.clone(),
        blobs: stage.blobs.clone(),
    };
    let bare = StageGraph {
        stages: graph.stages.iter().map(bare).collect(),
        columns: graph.columns.clone(),
        output: graph.output.clone(),
    };
    let prefix = keys::graph(job, run);
    let encoded = serde_json::to_vec(&bare).map_err(|source| Error::Record {
        key: prefix.clone(),
        source,
    })?;
    Ok(pieces(&prefix, &encoded.into()))
}

/// The graph with everything a new leader needs; the last piece says that the others are there.
pub(super) fn plan_pieces(job: JobId, run: u32, graph: &StageGraph) -> Result<Vec<Piece>, Error> {
    let mut all = graph_pieces(job, run, graph)?;
    for (number, stage) in graph.stages.iter().enumerate() {
        all.extend(pieces(&keys::stage_plan(job, run, number), &stage.plan));
    }
    let count = all.len().to_string();
    all.push((keys::planned(job, run), count.into()));
    Ok(all)
}

/// What became of tasks.
pub(super) fn chunk_pieces(job: JobId, run: u32, chunks: &[TaskChunk]) -> Result<Vec<Piece>, Error> {
    let encode = |chunk: &TaskChunk| {
        let key = keys::task_chunk(job, run, chunk.stage, chunk.index);
        match postcard::to_extend(chunk, vec![CHUNK_VERSION]) {
            Ok(encoded) => Ok((key, encoded.into())),
            Err(error) => Err(Error::Unavailable(format!("{key} cannot be encoded: {error}"))),
        }
    };
    chunks.iter().map(encode).collect()
}

fn pieces(prefix: &str, value: &Bytes) -> Vec<Piece> {
    let count = value.len().div_ceil(PIECE);
    let piece = |n: usize| value.slice(n * PIECE..value.len().min((n + 1) * PIECE));
    (0..count).map(|n| (format!("{prefix}{n:05}"), piece(n))).collect()
}

/// All keys with a prefix, a few at a time: an answer of etcd may have 4 MB.
async fn all(store: &dyn ControlStore, prefix: String) -> Result<Vec<KeyValue>, Error> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let range = Range {
            prefix: prefix.clone(),
            limit: PIECES_AT_ONCE,
            after: after.take(),
        };
        let page = store.range(range, Consistency::Linearizable).await?;
        found.extend(page.items);
        if !page.more {
            return Ok(found);
        }
        after = found.last().map(|entry| entry.key.clone());
    }
}

/// The graph as people see it, if the job was planned.
pub(super) async fn load_graph(store: &dyn ControlStore, job: JobId, run: u32) -> Result<Option<StageGraph>, Error> {
    let prefix = keys::graph(job, run);
    let found = all(store, prefix.clone()).await?;
    decode_graph(&prefix, &found)
}

/// Graph and plans of a run, if they are whole.
pub(super) async fn load_plan(store: &dyn ControlStore, job: JobId, run: u32) -> Result<Option<StageGraph>, Error> {
    let found = all(store, keys::plan(job, run)).await?;
    let whole = keys::planned(job, run);
    let expected = found.iter().find(|entry| entry.key == whole);
    let expected = expected.and_then(|entry| std::str::from_utf8(&entry.value).ok()?.parse::<usize>().ok());
    if expected != Some(found.len().saturating_sub(1)) {
        return Ok(None);
    }
    let Some(mut graph) = decode_graph(&keys::graph(job, run), &found)? else {
        return Ok(None);
    };
    for (number, stage) in graph.stages.iter_mut().enumerate() {
        stage.plan = joined(&keys::stage_plan(job, run, number), &found);
    }
    Ok(Some(graph))
}

/// What became of the tasks of a run. A chunk that cannot be read counts as not written.
pub(super) async fn load_tasks(store: &dyn ControlStore, job: JobId, run: u32) -> Result<Vec<TaskChunk>, Error> {
    let found = all(store, keys::tasks(job, run)).await?;
    let decode = |entry: &KeyValue| match entry.value.split_first() {
        Some((&CHUNK_VERSION, encoded)) => postcard::from_bytes(encoded)
            .inspect_err(|error| tracing::error!(key = entry.key, %error, "tasks of a job cannot be read"))
            .ok(),
        _ => None,
    };
    Ok(found.iter().filter_map(decode).collect())
}

fn decode_graph(prefix: &str, found: &[KeyValue]) -> Result<Option<StageGraph>, Error> {
    let encoded = joined(prefix, found);
    if encoded.is_empty() {
        return Ok(None);
    }
    let graph = serde_json::from_slice(&encoded).map_err(|source| Error::Record {
        key: prefix.to_owned(),
        source,
    })?;
    Ok(Some(graph))
}

fn joined(prefix: &str, found: &[KeyValue]) -> Bytes {
    let mut all = BytesMut::new();
    for entry in found.iter().filter(|entry| entry.key.starts_with(prefix)) {
        all.extend_from_slice(&entry.value);
    }
    all.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_small_and_make_up_the_whole() {
        let value = Bytes::from((0..PIECE * 2 + 7).map(|n| (n % 251) as u8).collect::<Vec<_>>());
        let cut = pieces("p/", &value);
        assert_eq!(
            cut.iter().map(|(_, piece)| piece.len()).collect::<Vec<_>>(),
            [PIECE, PIECE, 7]
        );
        let entry = |(key, value): Piece| KeyValue {
            key,
            value,
            create_revision: 1,
            mod_revision: 1,
            version: 1,
            lease: None,
        };
        let found: Vec<_> = cut.into_iter().map(entry).collect();
        assert_eq!(joined("p/", &found), value);
        assert!(pieces("p/", &Bytes::new()).is_empty());
    }
}
