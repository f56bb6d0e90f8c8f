//! Secrets of one port are nothing on the other.

use transport::peer::HeaderValue;

use super::{Guarded, ROOT, code};
use crate::support::TOKEN;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_ports_refuse_keys_and_public_ones_the_cluster_token() {
    let guarded = Guarded::start(1, |_| {}).await;
    let (_, admin) = guarded.key(1, &["admin"]).await;
    for key in [ROOT, &admin] {
        for header in ["authorization", "x-api-key", "x-cluster-token"] {
            let value = if header == "authorization" {
                format!("Bearer {key}")
            } else {
                key.to_owned()
            };
            let request = guarded
                .stranger
                .get(&guarded.masters.private(1), "/internal/v1/cluster/status");
            let request = request.header(header, HeaderValue::from_str(&value).unwrap());
            assert_eq!(code(&guarded.masters.send(request).await), 401, "{header}");
        }
    }
    let by_node = guarded
        .masters
        .peers
        .get(&guarded.masters.private(1), "/internal/v1/cluster/status");
    assert_eq!(code(&guarded.masters.send(by_node).await), 200);

    // Every call of this client has the cluster token.
    for path in ["/nodes", "/metrics", "/kv", "/auth/keys", "/cluster/status", "/auth/whoami"] {
        assert_eq!(code(&guarded.masters.get(1, path).await), 401, "{path}");
        assert_eq!(guarded.status(1, TOKEN, "GET", path).await, 401, "{path}");
        assert_eq!(guarded.status(1, &admin, "GET", path).await, 200, "{path}");
    }
    for path in ["/health", "/ready", "/openapi.json"] {
        assert_eq!(guarded.status(1, "", "GET", path).await, 200, "{path}");
    }
    guarded.stop(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_to_strangers_say_how_to_be_known() {
    let guarded = Guarded::start(1, |_| {}).await;
    let mut stream = tokio::net::TcpStream::connect(guarded.masters.public(1)).await.unwrap();
    let request = "GET /nodes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer)
        .await
        .unwrap();
    let answer = answer.to_ascii_lowercase();
    assert!(
        answer.starts_with("http/1.1 401") && answer.contains("www-authenticate: bearer"),
        "{answer}"
    );
    guarded.stop(1).await;
}
