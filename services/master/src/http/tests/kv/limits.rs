//! Bounds, and what is said at them.

use super::{Side, on_both_engines};

on_both_engines! {
    keys_and_values_have_bounds
}

async fn keys_and_values_have_bounds(kv: Side) {
    kv.put(&format!("/kv/{}", "k".repeat(1024)), vec![b'v'; 1 << 20])
        .await
        .expect(201);
    kv.put(&format!("/kv/{}", "k".repeat(1025)), "v")
        .await
        .problem(413, "too_large", "1024");
    kv.put("/kv/k", vec![b'v'; (1 << 20) + 1])
        .await
        .problem(413, "too_large", "1048576");
    for wrong in ["ttl=0", "ttl=-1", "ttl=soon", "ttl=", "ttl=1e99", "expires=1"] {
        kv.put(&format!("/kv/k?{wrong}"), "v")
            .await
            .problem(400, "invalid_argument", "");
    }
    kv.get("/kv/k").await.expect(404);
}

/// etcd has one quota for all that is in it.
#[tokio::test]
async fn users_keys_have_a_quota_of_their_own() {
    let kv = Side::raft_with(|options| options.kv_quota_bytes = 100_000).await;
    for i in 0..9 {
        kv.put(&format!("/kv/k{i}"), vec![b'v'; 10_000]).await.expect(201);
    }
    let refused = kv.put("/kv/too-much", vec![b'v'; 20_000]).await;
    assert_eq!(refused.header("retry-after"), "1");
    refused.problem(429, "rate_limited", "100000 allowed");
    kv.get("/kv/too-much").await.expect(404);
    // What shrinks is taken, and then there is room.
    kv.put("/kv/k0", "small").await.expect(200);
    kv.ask("DELETE", "/kv/k1").await.expect(204);
    kv.put("/kv/fits", vec![b'v'; 10_000]).await.expect(201);
}
