//! Tables behind HTTP and in S3, from servers that the tests start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use api::ErrorCode;
use api::job::TableSpec;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode, header};

use super::cluster::{Cluster, sorted_rows};
use crate::{DataDirs, Engine, EngineSettings, Failure, Remote, S3Settings};

/// Files by path, and what was asked.
#[derive(Debug, Default)]
struct Server {
    files: BTreeMap<String, Vec<u8>>,
    asked: Mutex<Vec<String>>,
}

async fn serve(files: BTreeMap<String, Vec<u8>>) -> (Arc<Server>, String) {
    let server = Arc::new(Server {
        files,
        asked: Mutex::default(),
    });
    let router = Router::new().fallback(answer).with_state(Arc::clone(&server));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (server, address)
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    let path = percent_encoding::percent_decode_str(request.uri().path());
    let path = path.decode_utf8_lossy().into_owned();
    let header_of = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let range = header_of(header::RANGE);
    server.asked.lock().unwrap().push(format!(
        "{} {path} {range} {}",
        request.method(),
        header_of(header::AUTHORIZATION)
    ));
    let status = |status: StatusCode| Response::builder().status(status);
    // `/to/{port}/{file}`, port 0 for this server itself.
    if let Some((port, file)) = path.strip_prefix("/to/").and_then(|to| to.split_once('/')) {
        let to = match port {
            "0" => format!("/{file}"),
            port => format!("http://127.0.0.1:{port}/{file}"),
        };
        return status(StatusCode::FOUND)
            .header(header::LOCATION, to)
            .body(Body::empty())
            .unwrap();
    }
    if let Some(query) = request.uri().query().filter(|query| query.contains("list-type=2")) {
        return status(StatusCode::OK).body(server.listing(&path, query).into()).unwrap();
    }
    let Some(content) = server.files.get(&path) else {
        return status(StatusCode::NOT_FOUND).body("nothing here".into()).unwrap();
    };
    let common = |status: StatusCode| {
        Response::builder()
            .status(status)
            .header(header::ETAG, "\"1\"")
            .header(header::ACCEPT_RANGES, "bytes")
            .header(header::LAST_MODIFIED, "Sat, 21 Nov 2026 20:00:00 GMT")
    };
    let Some((from, to)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return common(StatusCode::OK).body(content.clone().into()).unwrap();
    };
    let from: usize = from.parse().unwrap();
    let to = to.parse().map_or(content.len(), |to: usize| (to + 1).min(content.len()));
    common(StatusCode::PARTIAL_CONTENT)
        .header(header::CONTENT_RANGE, format!("bytes {from}-{}/{}", to - 1, content.len()))
        .body(content[from..to].to_vec().into())
        .unwrap()
}

impl Server {
    /// `ListObjectsV2`.
    fn listing(&self, bucket: &str, query: &str) -> String {
        let prefix = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("prefix="))
            .unwrap_or_default();
        let prefix = percent_encoding::percent_decode_str(prefix).decode_utf8_lossy().into_owned();
        let bucket = format!("{}/", bucket.trim_end_matches('/'));
        let keys = self
            .files
            .iter()
            .filter_map(|(path, content)| Some((path.strip_prefix(&bucket)?, content.len())));
        let item = |(key, size): (&str, usize)| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2026-11-21T20:00:00.000Z</LastModified><ETag>\"1\"</ETag>\
                 <Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            )
        };
        let items: String = keys.filter(|(key, _)| key.starts_with(&prefix)).map(item).collect();
        format!("<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated>{items}</ListBucketResult>")
    }
}

fn allow(cluster: &mut Cluster, remote: Remote) {
    cluster.engine = Engine::try_new(EngineSettings {
        memory_bytes: 64 << 20,
        spill_dir: cluster.dir.path().join("spill"),
        spill_limit_bytes: 1 << 30,
        data_dirs: DataDirs::try_new([cluster.dir.path().join("data")]).unwrap(),
        remote,
        ..EngineSettings::default()
    })
    .unwrap();
}

fn at(uri: String) -> TableSpec {
    TableSpec {
        uri: Some(uri),
        ..TableSpec::default()
    }
}

fn files_of(cluster: &Cluster) -> BTreeMap<String, Vec<u8>> {
    let read = |name: &str| std::fs::read(cluster.dir.path().join("data").join(name)).unwrap();
    [
        ("/customers.csv", read("customers.csv")),
        ("/events.ndjson", read("events.ndjson")),
        ("/orders.parquet", read("orders/part-0.parquet")),
        ("/lake/orders/day=1/a.parquet", read("orders/part-0.parquet")),
        ("/lake/orders/day=2/a.parquet", read("orders/part-1.parquet")),
        ("/lake/orders/_SUCCESS", Vec::new()),
        ("/lake/customers.csv", read("customers.csv")),
        ("/secret/a.csv", b"a\n1\n".to_vec()),
    ]
    .map(|(path, content)| (path.to_owned(), content))
    .into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_behind_http_are_tables_where_the_host_is_allowed() {
    let mut cluster = Cluster::new();
    let (server, address) = serve(files_of(&cluster)).await;
    let (_, other) = serve(files_of(&cluster)).await;
    let port = other.rsplit_once(':').unwrap().1;
    let sql = "SELECT count(*), sum(o.id), max(c.name) FROM orders o JOIN customers c ON o.customer = c.id JOIN events e ON e.id = o.id";
    let local = cluster.tables.clone();
    let part = super::data::table(&cluster.dir.path().join("data/orders/part-0.parquet"));
    cluster.tables.insert("orders".to_owned(), part);
    let expected = sorted_rows(&cluster.query(sql, 3).await);

    for (name, file) in [
        ("orders", "orders.parquet"),
        ("customers", "customers.csv"),
        ("events", "events.ndjson"),
    ] {
        cluster.tables.insert(name.to_owned(), at(format!("http://{address}/{file}")));
    }
    let refused = cluster.engine.plan_sql(cluster.request(sql, 3)).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Forbidden);
    assert!(refused.to_string().contains("ALLOWED_HOSTS"), "{refused}");
    allow(
        &mut cluster,
        Remote {
            hosts: vec!["*".to_owned()],
            ..Remote::default()
        },
    );
    let refused = cluster.engine.plan_sql(cluster.request(sql, 3)).await.unwrap_err();
    assert!(
        refused.to_string().contains("ALLOWED_HOSTS"),
        "a pattern has no port: {refused}"
    );
    assert!(server.asked.lock().unwrap().is_empty(), "nobody was to be asked");

    allow(
        &mut cluster,
        Remote {
            hosts: vec![address.clone()],
            ..Remote::default()
        },
    );
    assert_eq!(sorted_rows(&cluster.query(sql, 3).await), expected);
    let graph = cluster.plan("SELECT sum(id) FROM orders", 1).await;

    for (uri, words) in [
        (format!("http://{address}/nothing.csv"), "there is nothing at"),
        (format!("http://{address}/to/{port}/customers.csv"), "another host"),
        (format!("http://{address}/customers.csv?x=1"), "a query"),
        (format!("http://{other}/customers.csv"), "ALLOWED_HOSTS"),
    ] {
        let mut spec = at(uri.clone());
        spec.format = Some(api::job::TableFormat::Csv);
        cluster.tables.insert("t".to_owned(), spec);
        let error = cluster
            .engine
            .plan_sql(cluster.request("SELECT * FROM t", 1))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(words), "{uri}: {error}");
    }
    cluster.tables.insert(
        "t".to_owned(),
        TableSpec {
            format: Some(api::job::TableFormat::Csv),
            ..at(format!("http://{address}/to/0/customers.csv"))
        },
    );
    assert_eq!(
        sorted_rows(&cluster.query("SELECT count(*) FROM t", 1).await),
        ["|2000|"],
        "on the same host"
    );

    // A plan that came from elsewhere opens nothing that is not allowed here.
    allow(&mut cluster, Remote::default());
    let failure = cluster.run(&graph, &mut |_, _| {}).await.err();
    assert!(
        matches!(
            &failure,
            Some(Failure::User {
                code: ErrorCode::Forbidden,
                ..
            })
        ),
        "{failure:?}"
    );
    cluster.tables = local;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_of_a_bucket_are_tables_where_the_bucket_is_allowed() {
    let mut cluster = Cluster::new();
    let (server, address) = serve(files_of(&cluster)).await;
    let s3 = || S3Settings {
        endpoint: Some(format!("http://{address}")),
        region: Some("eu-west-1".to_owned()),
        credentials: Some(("KEYID".to_owned(), "secret".to_owned())),
    };
    allow(
        &mut cluster,
        Remote {
            buckets: vec!["lake".to_owned()],
            s3: s3(),
            ..Remote::default()
        },
    );
    for (uri, sql, expected) in [
        ("s3://lake/customers.csv", "SELECT count(*), max(id) FROM t", "|2000|1999|"),
        (
            "s3://lake/orders/",
            "SELECT day, count(*) FROM t WHERE day = 2 GROUP BY day",
            "|2|4000|",
        ),
        (
            "s3://lake/orders/**/*.parquet",
            "SELECT count(*), sum(day) FROM t",
            "|8000|12000|",
        ),
        ("s3://lake/orders/day=[1]/a.*", "SELECT count(*) FROM t", "|4000|"),
    ] {
        cluster.tables.insert("t".to_owned(), at(uri.to_owned()));
        assert_eq!(sorted_rows(&cluster.query(sql, 2).await), [expected], "{uri}");
    }
    let asked = server.asked.lock().unwrap().clone();
    assert!(
        asked
            .iter()
            .all(|line| line.contains("Credential=KEYID/") && line.contains("/eu-west-1/s3/")),
        "{asked:?}"
    );
    assert!(
        asked.iter().any(|line| line.contains("bytes=")),
        "parts of Parquet files: {asked:?}"
    );
    for (uri, code) in [
        ("s3://secret/a.csv", ErrorCode::Forbidden),
        ("s3://lake/none.csv", ErrorCode::NotFound),
        ("s3://lake/none/", ErrorCode::NotFound),
        ("s3://lake/../secret/a.csv", ErrorCode::InvalidArgument),
    ] {
        cluster.tables.insert("t".to_owned(), at(uri.to_owned()));
        let error = cluster
            .engine
            .plan_sql(cluster.request("SELECT * FROM t", 1))
            .await
            .unwrap_err();
        assert_eq!(error.code(), code, "{uri}: {error}");
    }
}
