//! Damage to shuffle files: found wherever it is, and never an answer.

use std::sync::Arc;

use api::task::TaskId;
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;

use super::cluster::{Cluster, sorted_rows};
use super::data::Numbers;
use crate::{ByteStream, Failure, ShuffleDir, ShufflePart, ShuffleSource};

const SQL: &str = "SELECT customer, note, count(*), sum(price), sum(weight) FROM orders GROUP BY customer, note";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bit_flipped_anywhere_on_disk_is_a_lost_input() {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(20_261_121);
    eprintln!("SEED={seed}");
    let mut numbers = Numbers(seed);
    let cluster = Cluster::new();
    let graph = cluster.plan(SQL, 3).await;
    let truth = sorted_rows(&cluster.truth(SQL).await);
    for round in 0..40 {
        let (partition, output) = (numbers.below(3) as u32, numbers.below(3) as u32);
        let mut flipped = false;
        let (answer, seen) = cluster
            .run(&graph, &mut |files, task| {
                if task.stage == 0 && task.partition == partition && !flipped {
                    flipped = true;
                    let path = files.file(task, output);
                    let mut bytes = std::fs::read(&path).unwrap();
                    let at = numbers.below(bytes.len() as u64) as usize;
                    bytes[at] ^= 1 << numbers.below(8);
                    std::fs::write(&path, bytes).unwrap();
                }
            })
            .await
            .unwrap();
        assert!(flipped);
        assert_eq!(seen.lost, 1, "round {round}: the damage was not noticed");
        assert_eq!(sorted_rows(&answer), truth, "round {round}");
    }
}

/// Flips a bit of what is under way.
#[derive(Debug)]
struct Noisy {
    files: ShuffleDir,
    at: usize,
}

#[async_trait]
impl ShuffleSource for Noisy {
    async fn open(&self, part: &ShufflePart) -> std::io::Result<ByteStream> {
        let bytes = self.files.open(part).await?;
        if part.partition != 1 {
            return Ok(bytes);
        }
        let (mut left, mut done) = (self.at, false);
        Ok(bytes
            .map(move |chunk| {
                let mut chunk = chunk?.to_vec();
                if !done && left < chunk.len() {
                    chunk[left] ^= 4;
                    done = true;
                }
                left = left.saturating_sub(chunk.len());
                Ok(Bytes::from(chunk))
            })
            .boxed())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bit_flipped_under_way_names_its_producer() {
    let cluster = Cluster::new();
    let graph = cluster.plan(SQL, 3).await;
    let job = api::JobId::new_now();
    let task = |stage, partition| TaskId {
        job,
        stage,
        partition,
        attempt: 0,
    };
    let attempts = (0..3).map(|partition| ((0, partition), 0)).collect();
    for partition in 0..3 {
        cluster.run_task(&graph, task(0, partition), &attempts).await.unwrap();
    }
    let length = std::fs::metadata(cluster.shuffle.file(&task(0, 1), 0)).unwrap().len() as usize;
    for at in [0, 5, 9, 13, 16, length / 3, length / 2, length - 16, length - 1] {
        let source = Arc::new(Noisy {
            files: cluster.shuffle.clone(),
            at,
        });
        let failure = cluster.run_task_from(&graph, task(1, 0), &attempts, source).await.err();
        let Some(Failure::Fetch(lost)) = failure else {
            panic!("byte {at}: {failure:?}")
        };
        assert_eq!(
            (lost.stage, lost.partition, lost.attempt, lost.output),
            (0, 1, 0, 0),
            "{lost}"
        );
    }
    cluster.run_task(&graph, task(1, 0), &attempts).await.unwrap();
}
