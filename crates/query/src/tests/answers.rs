//! Queries of every shape, in several partitions, against the engine in one piece.

use super::cluster::{Cluster, rows, sorted_rows};
use super::data::Numbers;
use super::queries::QUERIES;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed_answers_are_those_of_one_process() {
    let cluster = Cluster::new();
    let mut wrong = Vec::new();
    for (name, sql, ordered) in QUERIES {
        let truth = cluster.truth(sql).await;
        let answer = cluster.query(sql, 5).await;
        let same = if *ordered {
            rows(&answer) == rows(&truth)
        } else {
            sorted_rows(&answer) == sorted_rows(&truth)
        };
        if !same {
            wrong.push(format!("{name}: {} rows, not {}", rows(&answer).len(), rows(&truth).len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_outputs_are_recomputed_and_the_answers_stay_right() {
    let cluster = Cluster::new();
    let mut lost = 0;
    for (name, sql, ordered) in QUERIES {
        let graph = cluster.plan(sql, 3).await;
        let mut numbers = Numbers(name.len() as u64);
        let mut left = 6;
        let last = graph.stages.len() as u32 - 1;
        let (answer, seen) = cluster
            .run(&graph, &mut |files, task| {
                // Now and then an output is gone as soon as it is written, a few times for each job.
                if left > 0 && task.stage < last && numbers.below(3) == 0 {
                    left -= 1;
                    files.remove_attempt(task).unwrap();
                }
            })
            .await
            .unwrap_or_else(|failure| panic!("{name}: {failure}"));
        lost += seen.lost;
        let truth = cluster.truth(sql).await;
        let same = if *ordered {
            rows(&answer) == rows(&truth)
        } else {
            sorted_rows(&answer) == sorted_rows(&truth)
        };
        assert!(same, "{name} after {} losses", seen.lost);
    }
    assert!(lost > 20, "only {lost} outputs were lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_split_over_tasks_and_stages() {
    let cluster = Cluster::new();
    for table in ["orders", "customers", "events"] {
        let graph = cluster
            .plan(&format!("SELECT id % 10 k, count(*) n FROM {table} GROUP BY id % 10"), 4)
            .await;
        let shape: Vec<_> = graph
            .stages
            .iter()
            .map(|stage| (stage.partitions, stage.output_partitions, stage.inputs.clone()))
            .collect();
        assert_eq!(shape, vec![(4, 4, vec![]), (4, 1, vec![0])], "{table}");
        assert!(graph.stages.iter().all(|stage| stage.deterministic));
        let names: Vec<_> = graph
            .columns
            .iter()
            .map(|column| (column.name.as_str(), column.data_type.as_str()))
            .collect();
        assert_eq!(names, vec![("k", "Int64"), ("n", "Int64")]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_cannot_be_cut_runs_as_one_task() {
    let cluster = Cluster::new();
    for (name, sql, _) in QUERIES {
        let graph = cluster.plan(sql, 3).await;
        let alone = graph.stages[0].display.starts_with("runs as one task");
        assert_eq!(alone, *name == "recursive cte", "{name}: {}", graph.stages[0].display);
        for (number, stage) in graph.stages.iter().enumerate() {
            assert!(
                stage.inputs.iter().all(|input| (*input as usize) < number),
                "{name}: producers come first"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_csv_file_whose_fields_span_lines_is_read_whole_and_right() {
    let mut cluster = Cluster::new();
    let path = cluster.dir.path().join("data/notes.csv");
    let row = |id: usize| format!("{id},\"first line {id}\n{id},second line, with a comma\"\n");
    std::fs::write(&path, (0..20_000).fold("id,note\n".to_owned(), |text, id| text + &row(id))).unwrap();
    cluster.tables.insert("notes".to_owned(), super::data::table(&path));
    let answer = cluster
        .query("SELECT count(*) n, sum(id) s, min(length(note)) l FROM notes", 4)
        .await;
    assert_eq!(rows(&answer), ["|20000|199990000|40|"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_series_whose_values_nobody_asks_for_has_its_rows() {
    let cluster = Cluster::new();
    for (sql, answer) in [
        ("SELECT count(*) n FROM generate_series(1, 10)", vec!["|10|"]),
        ("SELECT 'x' a FROM range(0, 2)", vec!["|x|", "|x|"]),
        ("SELECT sum(value) s FROM range(1, 100)", vec!["|4950|"]),
    ] {
        assert_eq!(rows(&cluster.query(sql, 3).await), answer, "{sql}");
    }
}
