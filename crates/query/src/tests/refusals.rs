//! Queries that are refused, and what the refusal says.

use api::job::{TableFormat, TableOptions, TableSpec};

use super::cluster::Cluster;
use super::data::table;
use crate::Error;

async fn refused(cluster: &Cluster, sql: &str) -> Error {
    cluster
        .engine
        .plan_sql(cluster.request(sql, 3))
        .await
        .err()
        .unwrap_or_else(|| panic!("accepted: {sql:.80}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_sql_is_explained_in_the_engines_words() {
    let cluster = Cluster::new();
    for (sql, words) in [
        ("SELEC 1", "SELEC"),
        ("SELECT 1 +", "Expected: an expression"),
        ("", "empty"),
        ("  -- nothing\n", "empty"),
        ("SELECT pricee FROM orders", "price"),
        ("SELECT * FROM nowhere", "the job's `tables` are customers, events, orders"),
        ("SELECT nosuch(id) FROM orders", "nosuch"),
        ("SELECT id FROM orders GROUP BY note", "GROUP BY"),
        ("SELECT 1; SELECT 2", "several statements"),
        ("SELECT 'abc", "SQL"),
    ] {
        let error = refused(&cluster, sql).await;
        assert!(
            matches!(&error, Error::Invalid(text) if text.contains(words)),
            "{sql}: {error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_reading_the_jobs_tables_is_possible() {
    let cluster = Cluster::new();
    let out = cluster.dir.path().join("data/out.csv");
    let orders = cluster.dir.path().join("data/orders/part-0.parquet");
    for sql in [
        "CREATE TABLE x (a INT)".to_owned(),
        "CREATE TABLE IF NOT EXISTS x AS SELECT 1".to_owned(),
        "CREATE VIEW x AS SELECT 1".to_owned(),
        format!("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '{}'", out.display()),
        format!("COPY (SELECT 1) TO '{}'", out.display()),
        format!("COPY orders TO '{}' STORED AS CSV", out.display()),
        "INSERT INTO orders SELECT * FROM orders".to_owned(),
        "WITH x AS (SELECT 1) INSERT INTO orders SELECT * FROM orders".to_owned(),
        "DELETE FROM orders".to_owned(),
        "UPDATE orders SET id = 1".to_owned(),
        "DROP TABLE orders".to_owned(),
        "SET datafusion.execution.batch_size = 1".to_owned(),
        "RESET datafusion.execution.batch_size".to_owned(),
        "SHOW TABLES".to_owned(),
        "DESCRIBE orders".to_owned(),
        "EXPLAIN DROP TABLE orders".to_owned(),
        "EXPLAIN ANALYZE SELECT 1".to_owned(),
        "PREPARE p AS SELECT 1".to_owned(),
        "BEGIN".to_owned(),
        "SELECT * FROM '/etc/passwd.csv'".to_owned(),
        format!("SELECT * FROM '{}'", orders.display()),
        format!("SELECT * FROM 'file://{}'", orders.display()),
        "SELECT * FROM read_csv('/etc/passwd')".to_owned(),
        "SELECT * FROM information_schema.tables".to_owned(),
        "SELECT 1 INTO x".to_owned(),
    ] {
        let error = refused(&cluster, &sql).await;
        assert!(matches!(error, Error::Invalid(_)), "{sql}: {error:?}");
    }
    assert!(!out.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_outside_the_data_directories_or_missing_say_so() {
    let mut cluster = Cluster::new();
    let data = cluster.dir.path().join("data");
    std::fs::write(cluster.dir.path().join("secret.csv"), "a\n1\n").unwrap();
    std::os::unix::fs::symlink(cluster.dir.path().join("secret.csv"), data.join("link.csv")).unwrap();
    std::fs::create_dir(data.join("linked")).unwrap();
    std::os::unix::fs::symlink(cluster.dir.path().join("secret.csv"), data.join("linked/a.csv")).unwrap();
    std::fs::create_dir(data.join("empty")).unwrap();
    std::fs::write(data.join("nothing.csv"), "").unwrap();
    std::fs::write(data.join("what.xyz"), "a\n1\n").unwrap();
    let at = |path: &str| format!("file://{}/{path}", data.display());
    for (uri, code, words) in [
        ("file:///etc/passwd".to_owned(), 403, "outside the data directories"),
        (at("../secret.csv"), 403, "outside"),
        (at("%2e%2e/secret.csv"), 403, "outside"),
        (at("..%2Fsecret.csv"), 400, "not a valid URI"),
        (at("link.csv"), 403, "outside"),
        (at("linked"), 403, "outside"),
        (at("none.csv"), 404, "none.csv does not exist"),
        (at("empty/"), 404, "no CSV, Parquet or NDJSON"),
        (at("nothing.csv"), 400, "empty"),
        (at("what.xyz"), 400, "format"),
        ("/etc/passwd".to_owned(), 400, "file:///"),
        ("file://host/data/a.csv".to_owned(), 400, "file:///"),
        ("http://example.org/a.csv".to_owned(), 403, "ALLOWED_HOSTS"),
        ("https://169.254.169.254/latest".to_owned(), 403, "ALLOWED_HOSTS"),
        ("s3://bucket/a.csv".to_owned(), 403, "ALLOWED_BUCKETS"),
        ("ftp://example.org/a.csv".to_owned(), 400, "file:///"),
        (at("a.csv?x=1"), 404, "no file matches"),
        (at("a.csv#x"), 400, "fragment"),
    ] {
        let spec = TableSpec {
            uri: Some(uri.clone()),
            ..TableSpec::default()
        };
        cluster.tables.insert("t".to_owned(), spec);
        let error = refused(&cluster, "SELECT * FROM t").await;
        assert_eq!(error.code().status(), code, "{uri}: {error}");
        assert!(
            error.to_string().contains(words) && error.to_string().contains("table \"t\""),
            "{uri}: {error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_and_odd_names_work() {
    let mut cluster = Cluster::new();
    let data = cluster.dir.path().join("data");
    let csv = |header, delimiter| TableOptions {
        header,
        delimiter,
        ..TableOptions::default()
    };
    for (file, content, format, options) in [
        ("plain.csv", "1,a\n2,b\n", None, csv(Some(false), None)),
        ("semi.csv", "n;s\n1;a\n2;b\n", None, csv(None, Some(';'))),
        ("tabs.tsv", "n\ts\n1\ta\n2\tb\n", None, csv(None, None)),
        (
            "lines.txt",
            "{\"n\":1}\n{\"n\":2}\n",
            Some(TableFormat::Ndjson),
            csv(None, None),
        ),
        ("lines.jsonl", "{\"n\":1}\n{\"n\":2}\n", None, csv(None, None)),
        ("lines.json", "{\"n\":1}\n{\"n\":2}\n", None, csv(None, None)),
        ("odd [1] *?#%41 é.csv", "n\n1\n2\n", None, csv(None, None)),
    ] {
        std::fs::write(data.join(file), content).unwrap();
        let encoded = file.replace('%', "%25").replace('?', "%3F").replace('#', "%23");
        let uri = format!("file://{}/{encoded}", data.display());
        let uri = Some(uri);
        let spec = TableSpec {
            uri,
            format,
            options,
            ..TableSpec::default()
        };
        cluster.tables.insert("Mixed".to_owned(), spec);
        for sql in ["SELECT * FROM mixed", "SELECT * FROM \"Mixed\""] {
            let answer = cluster.query(sql, 3).await;
            assert_eq!(answer.iter().map(|batch| batch.num_rows()).sum::<usize>(), 2, "{file}: {sql}");
        }
    }
    let path = data.join("plain.csv");
    for (delimiter, words) in [('é', "ASCII"), ('"', "quote")] {
        let spec = TableSpec {
            options: csv(None, Some(delimiter)),
            ..table(&path)
        };
        cluster.tables.insert("t".to_owned(), spec);
        assert!(refused(&cluster, "SELECT * FROM t").await.to_string().contains(words));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_of_one_name_are_told_apart() {
    let cluster = Cluster::new();
    let graph = cluster
        .plan(
            "SELECT a.id, b.id, a.id AS id_2, 1 FROM orders a JOIN orders b ON a.id = b.id",
            3,
        )
        .await;
    let names: Vec<_> = graph.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "id_3", "id_2", "Int64(1)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scalar_subquery_of_many_rows_is_an_error_and_never_more_rows() {
    let cluster = Cluster::new();
    let graph = cluster
        .plan(
            "SELECT id FROM orders WHERE customer = (SELECT id FROM customers WHERE id < 5)",
            3,
        )
        .await;
    let failure = cluster.run(&graph, &mut |_, _| {}).await.err();
    assert!(
        matches!(&failure, Some(crate::Failure::User { detail, .. }) if detail.contains("row")),
        "{failure:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_and_long_queries_are_planned_or_refused_but_never_crash() {
    let cluster = Cluster::new();
    let deep = [
        format!("SELECT {}", vec!["1"; 10_000].join(" + ")),
        format!(
            "SELECT id FROM orders WHERE {}",
            (0..10_000).map(|n| format!("id = {n}")).collect::<Vec<_>>().join(" OR ")
        ),
        format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000)),
        format!("SELECT {}1{}", "abs(".repeat(10_000), ")".repeat(10_000)),
        format!("{}SELECT 1{}", "SELECT * FROM (".repeat(5_000), ")".repeat(5_000)),
        vec!["SELECT 1"; 10_000].join(" UNION ALL "),
    ];
    for sql in deep {
        assert!(matches!(refused(&cluster, &sql).await, Error::TooLarge(_)), "{sql:.60}");
    }
    let long = format!("SELECT '{}'", "x".repeat(300_000));
    assert!(matches!(refused(&cluster, &long).await, Error::TooLarge(_)));
    assert!(matches!(
        refused(&cluster, &format!("SELECT {}1{}", "(".repeat(500), ")".repeat(500))).await,
        Error::Invalid(_)
    ));

    // As deep as is accepted: must plan and run.
    let chain = format!("SELECT {} AS n", vec!["1"; 950].join(" + "));
    assert_eq!(super::cluster::rows(&cluster.query(&chain, 2).await), ["|950|"]);
    let either = (0..450).map(|n| format!("id = {n}")).collect::<Vec<_>>().join(" OR ");
    let answer = cluster.query(&format!("SELECT count(*) FROM orders WHERE {either}"), 2).await;
    assert_eq!(super::cluster::rows(&answer), ["|450|"]);
}
