//! The engine over an S3-compatible store, asked through a real S3 server in this process.

use std::sync::Arc;

use blobs::conformance::{check_all, content, pieces, whole};
use blobs::{BlobSettings, BlobStore, Content, Error};
use cluster::View;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use transport::peer::{PeerClient, PeerPolicy};

const KEY: &str = "key";
const SECRET: &str = "secret";

struct Server {
    directory: TempDir,
    endpoint: String,
}

impl Server {
    /// With one bucket, `bucket`.
    async fn start() -> Self {
        let directory = TempDir::new().expect("scratch directory");
        std::fs::create_dir(directory.path().join("bucket")).expect("bucket");
        let mut service = S3ServiceBuilder::new(FileSystem::new(directory.path()).expect("server"));
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let endpoint = format!("http://{}", listener.local_addr().expect("address"));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let serving = http1::Builder::new().serve_connection(TokioIo::new(socket), service.clone());
                tokio::spawn(async move { serving.await.ok() });
            }
        });
        Self { directory, endpoint }
    }

    fn blobs(&self, secret: &str) -> Arc<dyn BlobStore> {
        let settings = BlobSettings {
            store: "s3://bucket/some/prefix".to_owned(),
            endpoint: self.endpoint.clone(),
            region: String::new(),
            access_key_id: KEY.to_owned(),
            secret_access_key: secret.to_owned(),
        };
        assert_eq!(settings.problems(), Vec::<String>::new());
        let registry = telemetry::new_registry();
        let client = PeerClient::new("token", PeerPolicy::default(), &registry);
        let view = Arc::new(View::new(Arc::new(Nowhere), &registry));
        blobs::open(&settings, client, view).expect("settings")
    }
}

/// No control store: blobs in S3 need none.
#[derive(Debug)]
struct Nowhere;

#[async_trait::async_trait]
impl control::ControlStore for Nowhere {
    async fn range(&self, _: control::Range, _: control::Consistency) -> control::Result<control::RangeResponse> {
        Err(control::Error::Unavailable("there is none".to_owned()))
    }
    async fn txn(&self, _: control::Txn) -> control::Result<control::TxnResponse> {
        Err(control::Error::Unavailable("there is none".to_owned()))
    }
    async fn lease_grant(&self, _: std::time::Duration) -> control::Result<control::Lease> {
        Err(control::Error::Unavailable("there is none".to_owned()))
    }
    async fn keep_alive(&self, _: control::LeaseId) -> control::Result<std::time::Duration> {
        Err(control::Error::Unavailable("there is none".to_owned()))
    }
    async fn revoke(&self, _: control::LeaseId) -> control::Result<()> {
        Err(control::Error::Unavailable("there is none".to_owned()))
    }
    async fn watch(&self, _: String, _: control::Revision) -> control::Result<control::Watch> {
        Err(control::Error::Unavailable("there is none".to_owned()))
    }
    async fn get(&self, _: &str, _: control::Consistency) -> control::Result<Option<control::KeyValue>> {
        Err(control::Error::Unavailable("there is none".to_owned()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_of_all_engines_passes() {
    let server = Server::start().await;
    check_all(server.blobs(SECRET)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_are_objects_under_the_prefix() {
    let server = Server::start().await;
    server
        .blobs(SECRET)
        .put("results/j/0-0.arrow", Content::bytes("rows"))
        .await
        .expect("put");
    let object = server.directory.path().join("bucket/some/prefix/results/j/0-0.arrow");
    assert_eq!(std::fs::read(object).expect("object"), b"rows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_blob_is_written_in_parts_and_is_there_only_when_it_is_whole() {
    let server = Server::start().await;
    let blobs = server.blobs(SECRET);
    let written = content(50_000_001);
    blobs.put("large", pieces(written.clone(), 300_000)).await.expect("put");
    let (_, read) = blobs.get("large", Some(33_000_000..50_000_001)).await.expect("get");
    assert!(whole(read).await.expect("read") == written[33_000_000..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_told() {
    let server = Server::start().await;
    let refused = server.blobs("wrong").put("x", Content::bytes("x")).await;
    let Err(Error::Unavailable(said)) = refused else {
        panic!("{refused:?}")
    };
    assert!(said.contains("the object store refused"), "{said}");
}
