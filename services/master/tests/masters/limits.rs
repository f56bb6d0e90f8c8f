//! Limits of addresses, behind NGINX too.

use std::process::{Child, Command, Stdio};

use crate::access::Guarded;
use crate::raw::{Request, connect_from};
use crate::support::Masters;
use control::conformance::Port;

/// One master with limits.
async fn limited(change: impl FnOnce(&mut master::Settings)) -> Masters {
    let mut masters = Masters::of(1);
    masters.change(1, change);
    masters.start_all(&[1]).await;
    masters
}

/// NGINX as it is deployed, ended with the test.
struct Nginx(Child, Port);

impl Nginx {
    async fn before(masters: &Masters) -> Self {
        let (port, status) = (Port::reserve(), Port::reserve());
        let path = std::env::var("PATH").unwrap_or_default();
        let child = Command::new("sh")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../nginx/start"))
            .env("PATH", format!("{path}:/usr/sbin:/sbin"))
            .env("MASTERS", masters.public(1))
            .env("LISTEN", port.address())
            .env("STATUS_LISTEN", status.address())
            .env("RUNTIME_DIR", masters.scratch("nginx"))
            .env("WORKERS", "1")
            .env("ACCESS_LOG", "off")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self(child, port);
        masters
            .until("NGINX to listen", async || {
                connect_from("127.0.0.1", &nginx.1.address()).await.is_ok()
            })
            .await;
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Not at once: its workers go with it only when it tells them.
        let ended = Command::new("kill").arg(self.0.id().to_string()).status();
        assert!(ended.is_ok_and(|status| status.success()), "NGINX cannot be ended");
        self.0.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_requests_are_refused_until_it_is_time_again() {
    let masters = limited(|settings| (settings.rate_limit_per_address, settings.rate_limit_burst) = (1, 3)).await;
    let ask = async || Request::get("/kv").send("127.0.0.1", &masters.public(1)).await;
    let mut remaining = Vec::new();
    let refused = loop {
        let answer = ask().await;
        if answer.status == 429 {
            break answer;
        }
        assert_eq!((answer.status, answer.header("ratelimit-limit")), (200, "3"));
        assert_eq!(answer.header("ratelimit-policy"), "1;w=1;burst=3");
        remaining.push(answer.header("ratelimit-remaining").to_owned());
    };
    assert_eq!(remaining[0], "2", "{remaining:?}");
    assert!(refused.body.contains(r#""code":"rate_limited""#), "{}", refused.body);
    assert_eq!(
        (refused.header("retry-after"), refused.header("ratelimit-remaining")),
        ("1", "0")
    );
    assert!(["2", "3"].contains(&refused.header("ratelimit-reset")), "{refused:?}");
    // Another address has its own, and probes have none.
    assert_eq!(Request::get("/kv").send("127.0.0.2", &masters.public(1)).await.status, 200);
    for _ in 0..20 {
        let probe = Request::get("/health").send("127.0.0.1", &masters.public(1)).await;
        assert_eq!((probe.status, probe.header("ratelimit-limit")), (200, ""));
    }
    masters.until("the next token", async || ask().await.status == 200).await;
    let metrics = Request::get("/metrics").send("127.0.0.1", &masters.private(1)).await;
    assert!(
        metrics.body.contains("requests_limited_total{limit=\"address_rate\"}"),
        "{}",
        metrics.body
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_without_a_key_shares_the_limit_with_all_who_do() {
    let masters = limited(|settings| (settings.rate_limit_per_key, settings.rate_limit_burst) = (1, 2)).await;
    let mut refused = 0;
    for at in 1..=20 {
        let from = format!("127.0.0.{at}");
        refused += u32::from(Request::get("/kv").send(&from, &masters.public(1)).await.status == 429);
    }
    assert!(refused >= 1, "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_under_way_until_it_ends() {
    let masters = limited(|settings| settings.max_in_flight_per_address = 2).await;
    let address = masters.public(1);
    let watch = async || Request::get("/kv/_watch").open("127.0.0.1", &address).await;
    let (one, two) = (watch().await, watch().await);
    assert_eq!((one.status(), two.status()), (200, 200));
    let refused = Request::get("/kv").send("127.0.0.1", &address).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"), "{refused:?}");
    assert_eq!(
        Request::get("/kv").send("127.0.0.2", &address).await.status,
        200,
        "others are not concerned"
    );
    drop(one);
    let free = async || Request::get("/kv").send("127.0.0.1", &address).await.status == 200;
    masters.until("the place of the stream that ended", free).await;
    // Answers that are whole leave nothing behind.
    for _ in 0..20 {
        assert_eq!(Request::get("/kv").send("127.0.0.1", &address).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_somebody_else_through_nginx() {
    let masters = limited(|settings| {
        (settings.rate_limit_per_address, settings.rate_limit_burst) = (1, 2);
        settings.trusted_proxies = "127.0.0.1".parse().unwrap();
    })
    .await;
    let nginx = Nginx::before(&masters).await;
    let door = nginx.1.address();
    // A client that claims to be another one each time, in all the ways there are.
    let mut refused = 0;
    for claim in 0..20 {
        let request = Request::get("/kv")
            .header("X-Forwarded-For", &format!("203.0.113.{claim}"))
            .header("X-Forwarded-For", &format!("10.0.0.{claim}, 127.0.0.1"))
            .header("Forwarded", &format!("for=203.0.113.{claim}"))
            .header("X-Real-IP", &format!("203.0.113.{claim}"));
        refused += u32::from(request.send("127.0.0.2", &door).await.status == 429);
    }
    assert!(refused >= 5, "{refused} of 20 were refused");
    assert_eq!(
        Request::get("/kv").send("127.0.0.3", &door).await.status,
        200,
        "others are counted apart"
    );
    // Past NGINX nobody is believed but NGINX.
    let mut refused = 0;
    for claim in 0..20 {
        let request = Request::get("/kv").header("X-Forwarded-For", &format!("203.0.113.{claim}"));
        refused += u32::from(request.send("127.0.0.4", &masters.public(1)).await.status == 429);
    }
    assert!(refused >= 5, "{refused} of 20 were refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_have_limits_of_their_own_and_guesses_that_of_their_address() {
    let guarded = Guarded::start(1, |settings| {
        (settings.rate_limit_per_key, settings.rate_limit_burst) = (2, 20);
    })
    .await;
    let (_, one) = guarded.key(1, &["reader:*:*"]).await;
    let (_, two) = guarded.key(1, &["reader:*:*"]).await;
    let mut refused = 0;
    for _ in 0..60 {
        refused += u32::from(guarded.status(1, &one, "GET", "/kv").await == 429);
    }
    assert!(refused >= 10, "{refused} of 60");
    assert_eq!(
        guarded.status(1, &two, "GET", "/kv").await,
        200,
        "another key is not concerned"
    );
    guarded.stop(1).await;

    let guarded = Guarded::start(1, |settings| {
        (settings.rate_limit_per_address, settings.rate_limit_burst) = (2, 4)
    })
    .await;
    let mut answers = Vec::new();
    for guess in 0..20 {
        let request = Request::get("/kv").header("Authorization", &format!("Bearer guess-{guess}"));
        answers.push(request.send("127.0.0.9", &guarded.masters.public(1)).await.status);
    }
    let count = |status| answers.iter().filter(|answer| **answer == status).count();
    assert!(
        answers[..3].iter().all(|answer| *answer == 401) && count(429) >= 10,
        "{answers:?}"
    );
    assert_eq!(count(401) + count(429), 20, "{answers:?}");
    guarded.stop(1).await;
}
