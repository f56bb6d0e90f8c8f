//! A master that falls asleep with writes in its hands. What it does with them when it wakes up must not win over what was
//! written meanwhile.

use std::time::Duration;

use system_tests::{Sandbox, eventually, raw};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::{Fault, Limits, rounds};

/// Twice as long as a master tries to execute a write.
const ASLEEP: Duration = Duration::from_secs(10);
/// Writes that wait in a sleeping master's sockets.
const GIVEN_UP: usize = 40;
/// Clients give up a read after 3 s and a write after 7 s, and ask another master.
const CLIENTS_PATIENCE: Limits = Limits {
    reads: Duration::from_secs(5),
    writes: Duration::from_secs(9),
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn master_asleep_for_ten_seconds_wakes_up_and_overwrites_nothing() {
    let mut stack = Sandbox::etcd(1).workers(0).without_nginx().start().await;
    let fault = Fault::begin("SIGSTOP of a master for 10 s (of three, clients ask them directly)", &stack).await;
    for round in 0..rounds() {
        stack.masters[round % 3].pause();
        fault.lasts(ASLEEP).await;
        stack.masters[round % 3].resume();
    }
    fault.end(&mut stack, &[0, 1, 2], CLIENTS_PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_that_a_sleeping_master_had_begun_to_take_does_not_win() {
    let mut stack = Sandbox::etcd(1).workers(0).without_nginx().start().await;
    let (asleep, awake) = (stack.masters[0].public_address(), stack.masters[1].public());
    awake.put("/cache/held", "first").await.expect(201);

    // It says `100 Continue` when it has taken the head and wants the body.
    let mut late = raw::connect(&asleep).await;
    let head = format!("PUT /cache/held HTTP/1.1\r\nHost: {asleep}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    late.write_all(head.as_bytes()).await.unwrap();
    let ready = raw::answer(&mut late, Duration::from_secs(5)).await.unwrap().unwrap();
    assert_eq!(ready.status, 100);
    stack.masters[0].pause();
    late.write_all(b"late").await.unwrap();
    awake.put("/cache/held", "newer").await.expect(200);
    tokio::time::sleep(ASLEEP).await;
    stack.masters[0].resume();

    // It may refuse the write or leave it without an answer, but it was told too late to execute it.
    let answer = raw::answer(&mut late, Duration::from_secs(20)).await;
    let executed = matches!(&answer, Ok(Some(answer)) if answer.status < 400);
    assert!(!executed, "{answer:?}");
    holds_everywhere(&stack, "held", "newer").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_were_given_up_while_their_master_slept_do_not_win() {
    let mut stack = Sandbox::etcd(1).workers(0).without_nginx().start().await;
    let (asleep, awake) = (stack.masters[0].public_address(), stack.masters[1].public());
    // The connections are there before, as a client's and a load balancer's are.
    let mut late = Vec::new();
    for key in 0..GIVEN_UP {
        awake.put(&format!("/cache/held-{key}"), "first").await.expect(201);
        let mut connection = raw::connect(&asleep).await;
        connection
            .write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let healthy = raw::answer(&mut connection, Duration::from_secs(5)).await.unwrap().unwrap();
        assert_eq!(healthy.status, 200);
        late.push(connection);
    }
    stack.masters[0].pause();
    for (key, connection) in late.iter_mut().enumerate() {
        let put = format!("PUT /cache/held-{key} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nlate");
        connection.write_all(put.as_bytes()).await.unwrap();
    }
    tokio::time::sleep(ASLEEP).await;
    // Who has waited enough closes the connection, and writes through another master.
    drop(late);
    for key in 0..GIVEN_UP {
        awake.put(&format!("/cache/held-{key}"), "newer").await.expect(200);
    }
    stack.masters[0].resume();

    // Once it serves writes again, it has done with what had waited for it.
    eventually("the master to write", Duration::from_secs(20), || async {
        let put = stack.masters[0].public().request("PUT", "/cache/another").body("v");
        let answer = put.attempt().await?;
        if answer.status < 300 {
            Ok(())
        } else {
            Err(answer.to_string())
        }
    })
    .await;
    stack.settled(&[0, 1, 2], 0, Duration::from_secs(30)).await;
    for key in 0..GIVEN_UP {
        holds_everywhere(&stack, &format!("held-{key}"), "newer").await;
    }
    assert_eq!(stack.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_that_a_sleeping_master_had_stamped_does_not_win() {
    let mut stack = Sandbox::etcd(1).workers(0).without_nginx().start().await;
    let (asleep, awake) = (stack.masters[0].public(), stack.masters[1].public());
    awake.put("/cache/held", "first").await.expect(201);
    let placed = awake.get("/ring?key=held").await.expect(200).json();
    let primary = placed["owners"][0]["node"].as_str().unwrap().to_owned();
    let primary = stack.auxiliaries.iter().position(|node| node.name() == primary).unwrap();

    // The key's primary sleeps, so the master has the stamped write in its hands when it falls asleep itself.
    stack.auxiliaries[primary].pause();
    let mut late = tokio::spawn(async move { asleep.request("PUT", "/cache/held").body("late").attempt().await });
    let early = timeout(Duration::from_millis(300), &mut late).await;
    assert!(early.is_err(), "the write ended without the key's primary: {early:?}");
    stack.masters[0].pause();
    stack.auxiliaries[primary].resume();
    eventually("the other masters to write the key", Duration::from_secs(20), || async {
        let answer = awake.request("PUT", "/cache/held").body("newer").attempt().await?;
        if answer.status == 200 {
            Ok(())
        } else {
            Err(answer.to_string())
        }
    })
    .await;
    tokio::time::sleep(ASLEEP).await;
    stack.masters[0].resume();

    // Whatever it was told: acknowledged or not, it came before the newer one.
    let _ = timeout(Duration::from_secs(20), late).await.expect("the late write ends");
    holds_everywhere(&stack, "held", "newer").await;
    stack.settled(&[0, 1, 2], 0, Duration::from_secs(30)).await;
    stack.copies_agree(&[0, 1, 2], Duration::from_secs(30)).await;
    holds_everywhere(&stack, "held", "newer").await;
    assert_eq!(stack.panics(), Vec::<String>::new());
}

async fn holds_everywhere(stack: &Sandbox, key: &str, value: &str) {
    for master in &stack.masters {
        let answer = master.public().get(&format!("/cache/{key}")).await.expect(200);
        assert_eq!(answer.text(), value, "through {}", master.name());
    }
}
