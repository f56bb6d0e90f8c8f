//! The stream of events.

use std::time::Duration;

use api::member::Phase;
use axum::body::BodyDataStream;
use futures::StreamExt;
use serde_json::json;

use super::eventually;
use super::stack::Stack;
use crate::app::events::MAX_LISTENERS;

/// Events of a stream, one at a time.
struct Heard {
    body: BodyDataStream,
    text: String,
}

impl Heard {
    async fn of(stack: &Stack, path: &str) -> Self {
        let response = stack.stream(path).await;
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let body = response.into_body().into_data_stream();
        let mut heard = Self {
            body,
            text: String::new(),
        };
        assert_eq!(heard.next().await, r#"event: listening / data: {"complete":true}"#);
        heard
    }

    /// The next event; an empty text at the end.
    async fn next(&mut self) -> String {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.replace('\n', " / "), rest.to_owned());
                self.text = rest;
                return event;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(20), self.body.next());
            match chunk.await.expect("an event in time") {
                Some(chunk) => self.text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap()),
                None => return String::new(),
            }
        }
    }
}

fn line(kind: &str, namespace: &str, key: &str) -> String {
    json!({ "kind": kind, "namespace": namespace, "key": key, "version": 7 }).to_string()
}

/// Has so much time go by at once.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

fn tell(stack: &Stack, node: usize, line: impl Into<String>) {
    stack.nodes[node].lines.send(line.into()).expect("somebody listens");
}

#[tokio::test]
async fn events_of_all_auxiliaries_are_one_stream() {
    let stack = Stack::start(2, 1).await;
    let mut heard = Heard::of(&stack, "/events?ns=*").await;
    let mut own = Heard::of(&stack, "/events").await;
    tell(&stack, 0, line("set", "", "a"));
    assert_eq!(heard.next().await, format!("event: set / data: {}", line("set", "", "a")));
    tell(&stack, 1, line("expire", "n", "b"));
    assert_eq!(
        heard.next().await,
        format!("event: expire / data: {}", line("expire", "n", "b"))
    );
    tell(&stack, 1, r#"{"lagged":12}"#);
    assert_eq!(heard.next().await, r#"event: missed / data: {"missed":12}"#);
    assert_eq!(own.next().await, format!("event: set / data: {}", line("set", "", "a")));
    assert_eq!(
        own.next().await,
        r#"event: missed / data: {"missed":null}"#,
        "of n it hears nothing"
    );
}

#[tokio::test]
async fn listeners_hear_what_they_asked_for() {
    let stack = Stack::start(1, 1).await;
    let mut heard = Heard::of(&stack, "/events?ns=n&prefix=user%2F&kinds=set,delete").await;
    for (kind, namespace, key) in [
        ("evict", "n", "user/1"),
        ("set", "", "user/1"),
        ("set", "n", "item/1"),
        ("delete", "n", "user/2"),
    ] {
        tell(&stack, 0, line(kind, namespace, key));
    }
    assert_eq!(
        heard.next().await,
        format!("event: delete / data: {}", line("delete", "n", "user/2"))
    );
    for (query, said) in [
        ("kinds=touch", "set, delete, expire"),
        ("ns=_x", "namespace"),
        ("bogus=1", "unknown field"),
    ] {
        stack
            .get(&format!("/events?{query}"))
            .await
            .problem(400, "invalid_argument", said);
    }
}

#[tokio::test]
async fn auxiliary_is_heard_again_after_its_stream_ended() {
    let stack = Stack::start(2, 1).await;
    let mut heard = Heard::of(&stack, "/events").await;
    tell(&stack, 0, "end");
    assert_eq!(heard.next().await, r#"event: missed / data: {"missed":null}"#);
    eventually(|| async { stack.nodes[0].asked("events").len() >= 2 && stack.nodes[0].lines.receiver_count() > 0 }).await;
    tell(&stack, 0, line("set", "", "later"));
    assert_eq!(heard.next().await, format!("event: set / data: {}", line("set", "", "later")));
}

#[tokio::test]
async fn auxiliary_that_falls_silent_is_noticed_and_heard_again() {
    let stack = Stack::start(1, 1).await;
    let mut heard = Heard::of(&stack, "/events").await;
    for key in ["a", "b", "c"] {
        pass(Duration::from_secs(4)).await;
        tell(&stack, 0, "");
        tell(&stack, 0, line("set", "", key));
        assert_eq!(heard.next().await, format!("event: set / data: {}", line("set", "", key)));
    }
    assert_eq!(stack.nodes[0].asked("events").len(), 1, "who gives signs of life is heard on");
    // Its connection stays open: a machine that lost its power closes nothing.
    pass(Duration::from_secs(6)).await;
    assert_eq!(heard.next().await, r#"event: missed / data: {"missed":null}"#);
    eventually(|| async { stack.nodes[0].asked("events").len() == 2 && stack.nodes[0].lines.receiver_count() == 1 }).await;
    tell(&stack, 0, line("set", "", "d"));
    assert_eq!(heard.next().await, format!("event: set / data: {}", line("set", "", "d")));
}

#[tokio::test]
async fn auxiliary_that_joins_is_heard_and_one_that_left_is_not() {
    let stack = Stack::start(2, 1).await;
    let (first, second) = (stack.nodes[0].ring_member(), stack.nodes[1].ring_member());
    stack.write_ring(2, Phase::Stable, 1, vec![first], None).await;
    let mut heard = Heard::of(&stack, "/events").await;
    assert!(stack.nodes[1].asked("events").is_empty());
    stack.write_ring(3, Phase::Stable, 1, vec![second], None).await;
    eventually(|| async { stack.nodes[1].lines.receiver_count() > 0 && stack.nodes[0].lines.receiver_count() == 0 }).await;
    tell(&stack, 1, line("set", "", "k"));
    assert_eq!(heard.next().await, format!("event: set / data: {}", line("set", "", "k")));
}

#[tokio::test]
async fn nobody_is_listened_to_for_nobody() {
    let stack = Stack::start(1, 1).await;
    assert!(stack.nodes[0].asked("events").is_empty());
    let (one, other) = (Heard::of(&stack, "/events").await, Heard::of(&stack, "/events").await);
    assert_eq!(stack.nodes[0].asked("events").len(), 1, "one stream for both");
    drop(one);
    drop(other);
    eventually(|| async { stack.nodes[0].lines.receiver_count() == 0 }).await;
}

#[tokio::test]
async fn listeners_are_bounded_and_end_with_the_master() {
    let stack = Stack::start(0, 1).await;
    let mut all = Vec::new();
    for _ in 0..MAX_LISTENERS {
        all.push(Heard::of(&stack, "/events").await);
    }
    stack.get("/events").await.problem(503, "unavailable", "another one");
    drop(all.pop());
    all.push(Heard::of(&stack, "/events").await);
    stack.app.stop.cancel();
    assert_eq!(all[0].next().await, "");
}
