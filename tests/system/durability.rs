//! What was acknowledged survives the crash of the only master.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use api::ErrorCode;
use system_tests::sample::Orders;
use system_tests::{Sandbox, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_raft_master_comes_back_with_all_it_acknowledged() {
    let mut stack = Sandbox::raft().start().await;
    let api = stack.api();
    let orders = Orders::write(&stack.data, "orders", 2, 200);
    let job = api.succeed(&orders.revenue_by_region(), Duration::from_secs(90)).await;
    let job_id = job["id"].as_str().unwrap();
    for i in 0..50 {
        api.put(&format!("/cache/entry-{i}"), i.to_string()).await.expect(201);
    }
    let brief = Instant::now();
    api.put("/kv/brief?ttl=3", "bound to a lease").await.expect(201);
    let first = api.put("/kv/first", "1").await.expect(201).header("etag").to_owned();

    // Eight writers, cut off in the middle.
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (api, stop) = (api.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for i in 0_u32.. {
                    let (key, value) = (format!("/kv/w{writer}-{i}"), format!("{writer}/{i}"));
                    match api.request("PUT", &key).body(value.clone()).attempt().await {
                        Ok(answer) if answer.status == 201 => acknowledged.push((key, value)),
                        _ if stop.load(Ordering::Relaxed) => break,
                        other => panic!("{key}: {other:?}"),
                    }
                }
                acknowledged
            })
        })
        .collect();
    eventually("some hundred writes", Duration::from_secs(60), || async {
        let listing = api.get("/kv?prefix=w").await.json();
        let count = listing["items"].as_array().map_or(0, Vec::len);
        if count >= 300 { Ok(()) } else { Err(format!("{count} keys")) }
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    stack.masters[0].kill();
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }

    stack.masters[0].start();
    stack.masters[0].ready(Duration::from_secs(60)).await;
    for (key, value) in &acknowledged {
        assert_eq!(api.get(key).await.expect(200).text(), *value, "{key} was acknowledged");
    }
    assert_eq!(
        api.get("/kv/first").await.expect(200).header("etag"),
        first,
        "revisions survive"
    );
    let seen = api.job(job_id).await.unwrap();
    assert_eq!((&seen["state"], &seen["result"]), (&job["state"], &job["result"]), "{seen}");
    assert_eq!(api.result(job_id, "json").await.json(), orders.revenue_by_region_answer());

    // A new leader of the engine gives every lease its whole time again, and no more.
    eventually("the lease-bound key to go", Duration::from_secs(20), || async {
        let answer = api.get("/kv/brief").await;
        if answer.status == 404 {
            Ok(())
        } else {
            Err(answer.to_string())
        }
    })
    .await;
    assert!(
        brief.elapsed() >= Duration::from_secs(3),
        "it went after {:?}",
        brief.elapsed()
    );

    // The others found the master again by themselves, and the cache lost nothing.
    stack.ring_of(&[0, 1, 2], Duration::from_secs(30)).await;
    for i in 0..50 {
        assert_eq!(api.get(&format!("/cache/entry-{i}")).await.expect(200).text(), i.to_string());
    }
    api.succeed(&orders.revenue_by_region(), Duration::from_secs(90)).await;
    api.get("/kv/never").await.problem(404, ErrorCode::NotFound);
    assert_eq!(stack.panics(), Vec::<String>::new());
}
