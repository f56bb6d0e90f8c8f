//! Queries of every shape, in several partitions, against the engine in one piece.

use super::cluster::{Cluster, rows, sorted_rows};
use super::data::Numbers;

/// Name, query, and whether its order is part of the answer.
pub(super) const QUERIES: &[(&str, &str, bool)] = &[
    (
        "group by",
        "SELECT note, count(*) n, sum(price) p, avg(weight) w, min(day) d FROM orders GROUP BY note",
        false,
    ),
    (
        "group by with null keys",
        "SELECT customer, count(*) n FROM orders GROUP BY customer HAVING count(*) > 3",
        false,
    ),
    (
        "aggregate without groups",
        "SELECT count(*), count(customer), sum(weight), max(price) FROM orders",
        false,
    ),
    (
        "join of two formats",
        "SELECT c.segment, count(*) n, sum(o.price) p FROM orders o JOIN customers c ON o.customer = c.id GROUP BY c.segment",
        false,
    ),
    (
        "join of three",
        "SELECT c.segment, e.kind, count(*) n FROM events e JOIN orders o ON e.orders_id = o.id JOIN customers c ON o.customer = c.id \
         GROUP BY c.segment, e.kind",
        false,
    ),
    (
        "left join",
        "SELECT c.id, o.id oid FROM customers c LEFT JOIN orders o ON c.id = o.customer AND o.weight > 100",
        false,
    ),
    (
        "right join",
        "SELECT c.id, o.id oid FROM customers c RIGHT JOIN orders o ON c.id = o.customer WHERE o.id < 500",
        false,
    ),
    (
        "full join",
        "SELECT c.id, o.id oid FROM customers c FULL JOIN orders o ON c.id = o.customer AND c.segment = 'trade'",
        false,
    ),
    (
        "semi join",
        "SELECT count(*) FROM orders WHERE customer IN (SELECT id FROM customers WHERE balance < 0)",
        false,
    ),
    (
        "not in with nulls on the right",
        "SELECT count(*) FROM customers WHERE id NOT IN (SELECT customer FROM orders)",
        false,
    ),
    (
        "not in without nulls on the right",
        "SELECT id FROM customers WHERE id NOT IN (SELECT customer FROM orders WHERE customer IS NOT NULL)",
        false,
    ),
    (
        "not in with nulls on the left",
        "SELECT id FROM orders WHERE customer NOT IN (SELECT id FROM customers WHERE balance < 7000)",
        false,
    ),
    (
        "not in nothing",
        "SELECT count(*) FROM orders WHERE customer NOT IN (SELECT id FROM customers WHERE id < 0)",
        false,
    ),
    (
        "not exists",
        "SELECT id FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer = c.id)",
        false,
    ),
    (
        "order by and limit",
        "SELECT id, price, day FROM orders ORDER BY price DESC NULLS LAST, id LIMIT 25",
        true,
    ),
    (
        "order by and offset",
        "SELECT id FROM orders ORDER BY day, id LIMIT 20 OFFSET 3000",
        true,
    ),
    (
        "order by everything",
        "SELECT id, note FROM orders WHERE id % 3 = 0 ORDER BY note, weight, id",
        true,
    ),
    (
        "union all",
        "SELECT id FROM orders WHERE id < 100 UNION ALL SELECT id FROM customers WHERE id < 100",
        false,
    ),
    (
        "union",
        "SELECT customer FROM orders UNION SELECT id FROM customers UNION SELECT orders_id FROM events",
        false,
    ),
    (
        "intersect and except",
        "(SELECT customer FROM orders INTERSECT SELECT id FROM customers) EXCEPT SELECT orders_id FROM events",
        false,
    ),
    (
        "window",
        "SELECT id, row_number() OVER (PARTITION BY customer ORDER BY id) r, sum(weight) OVER (PARTITION BY customer ORDER BY id) s FROM orders",
        false,
    ),
    (
        "window over everything",
        "SELECT id, rank() OVER (ORDER BY day, id) r FROM orders WHERE note = 'urgent'",
        false,
    ),
    (
        "scalar subquery",
        "SELECT count(*) FROM orders WHERE weight > (SELECT avg(weight) FROM orders)",
        false,
    ),
    (
        "scalar subquery of no rows",
        "SELECT id, (SELECT max(id) FROM customers WHERE id < 0) m FROM orders WHERE id < 5",
        false,
    ),
    (
        "correlated subquery",
        "SELECT id FROM orders o WHERE weight = (SELECT max(weight) FROM orders i WHERE i.customer = o.customer)",
        false,
    ),
    (
        "count distinct",
        "SELECT note, count(DISTINCT customer) c, count(DISTINCT day) d FROM orders GROUP BY note",
        false,
    ),
    ("distinct", "SELECT DISTINCT note, day FROM orders", false),
    (
        "nested loop join that emits its collected side",
        "SELECT c.id, count(o.id) n FROM customers c LEFT JOIN orders o ON o.customer < c.id AND o.id < 40 WHERE c.id < 200 GROUP BY c.id",
        false,
    ),
    (
        "nested loop full join",
        "SELECT a.id, b.id bid FROM (SELECT id FROM customers WHERE id < 60) a FULL JOIN (SELECT id FROM orders WHERE id < 90) b \
         ON a.id * 2 > b.id + 100",
        false,
    ),
    (
        "cross join",
        "SELECT count(*) n, sum(a.id) s FROM (SELECT id FROM customers WHERE id < 50) a, (SELECT id FROM orders WHERE id < 70) b",
        false,
    ),
    (
        "grouping sets",
        "SELECT note, day, count(*) n FROM orders GROUP BY ROLLUP (note, day)",
        false,
    ),
    (
        "cte used twice",
        "WITH t AS (SELECT customer c, count(*) n FROM orders GROUP BY customer) SELECT a.c, b.n FROM t a JOIN t b ON a.n = b.n WHERE a.c < 30",
        false,
    ),
    (
        "recursive cte",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 50) SELECT sum(n) s, count(*) c FROM t",
        false,
    ),
    (
        "nested data",
        "SELECT kind, count(*) n FROM (SELECT kind, unnest(tags) tag FROM events) WHERE tag = 'b' GROUP BY kind",
        false,
    ),
    (
        "mark join",
        "SELECT id FROM orders WHERE id < 300 AND (customer IN (SELECT id FROM customers WHERE balance > 5000) OR weight < 10)",
        false,
    ),
    (
        "case and text",
        "SELECT upper(substr(name, 1, 10)) n, CASE WHEN balance < 0 THEN 'debt' ELSE 'ok' END s FROM customers WHERE name LIKE '%99%'",
        false,
    ),
    (
        "dates",
        "SELECT date_trunc('month', day) m, count(*) n FROM orders WHERE day >= DATE '1995-01-01' GROUP BY 1 ORDER BY 1",
        true,
    ),
    (
        "values",
        "SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (3, NULL)) t(n, s) ORDER BY n",
        true,
    ),
    (
        "no rows",
        "SELECT note, count(*) n FROM orders WHERE id < 0 GROUP BY note",
        false,
    ),
    (
        "null-safe join",
        "SELECT count(*) n FROM orders a JOIN orders b ON a.customer IS NOT DISTINCT FROM b.customer WHERE a.id < 50 AND b.id < 3000",
        false,
    ),
    (
        "ordered aggregate",
        "SELECT note, array_agg(id ORDER BY id) ids FROM orders WHERE id < 200 GROUP BY note",
        false,
    ),
    (
        "limit below a join",
        "SELECT c.name FROM (SELECT id FROM orders ORDER BY weight, id LIMIT 9) o JOIN customers c ON c.id = o.id",
        false,
    ),
    (
        "having and subquery",
        "SELECT customer, sum(weight) s FROM orders GROUP BY customer HAVING sum(weight) > (SELECT avg(weight) * 12 FROM orders)",
        false,
    ),
];

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
