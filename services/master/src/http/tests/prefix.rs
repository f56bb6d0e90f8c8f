//! Deletes by prefix.

use api::member::Phase;

use super::stack::Stack;

async fn fill(stack: &Stack) {
    for key in 0..20 {
        for ns in ["", "a"] {
            for kind in ["user", "item"] {
                stack.put_value(&format!("/cache/{kind}%2F{key}?ns={ns}"), "v").await;
            }
        }
    }
}

#[tokio::test]
async fn only_keys_of_the_namespace_that_begin_so_are_removed() {
    let stack = Stack::start(3, 2).await;
    fill(&stack).await;
    let deleted = stack.ask("POST", "/cache/_delete?prefix=user%2F").await.expect(200).json();
    assert_eq!(deleted["deleted"], 20);
    stack.get("/cache/user%2F1").await.expect(404);
    stack.get("/cache/item%2F1").await.expect(200);
    stack.get("/cache/user%2F1?ns=a").await.expect(200);
    let again = stack.ask("DELETE", "/cache?prefix=user%2F").await.expect(200).json();
    assert_eq!(again["deleted"], 0);
    let namespace = stack.ask("DELETE", "/cache/?ns=a&prefix=").await.expect(200).json();
    assert_eq!(namespace["deleted"], 40);
    let rest = stack.ask("POST", "/cache/_delete?all=true").await.expect(200).json();
    assert_eq!(rest["deleted"], 20);
}

#[tokio::test]
async fn scope_must_be_said() {
    let stack = Stack::start(1, 1).await;
    stack.put_value("/cache/k", "v").await.expect(201);
    for (method, path, said) in [
        ("POST", "/cache/_delete", "all=true"),
        ("POST", "/cache/_delete?prefix=", "all=true"),
        ("POST", "/cache/_delete?all=false", "all=true"),
        ("POST", "/cache/_delete?all=perhaps", "all"),
        ("POST", "/cache/_delete?ns=a/b", "namespace"),
        ("DELETE", "/cache?prefix=", "all=true"),
        ("DELETE", "/cache?ns=a", "give key"),
        ("DELETE", "/cache/", "give key"),
        ("DELETE", "/cache/?key=k&prefix=k", "give key"),
        ("DELETE", "/cache/?key=k&all=true", "give key"),
    ] {
        stack.ask(method, path).await.problem(400, "invalid_argument", said);
    }
    let long = format!("/cache/_delete?prefix={}", "k".repeat(1025));
    stack
        .ask("POST", &long)
        .await
        .problem(400, "invalid_argument", "at most 1024");
    stack.get("/cache/k").await.expect(200);
}

#[tokio::test]
async fn node_that_does_not_answer_makes_the_outcome_known_or_unknown() {
    let stack = Stack::start(2, 2).await;
    fill(&stack).await;
    stack.nodes.iter().for_each(|node| node.fail(true));
    let nothing = stack.ask("POST", "/cache/_delete?prefix=user").await;
    nothing.problem(503, "unavailable", "nothing was deleted");
    stack.nodes[0].fail(false);
    let some = stack.ask("POST", "/cache/_delete?prefix=user").await;
    some.problem(504, "timeout", "auxiliary-2");
}

#[tokio::test]
async fn every_node_deletes_under_one_stamp() {
    let stack = Stack::start(3, 2).await;
    stack.ask("POST", "/cache/_delete?prefix=x&ns=n").await.expect(200);
    let asked: Vec<_> = stack.nodes.iter().flat_map(|node| node.asked("delete_prefix")).collect();
    assert_eq!(asked.len(), 3);
    assert!(
        asked
            .iter()
            .all(|body| body == &asked[0] && body["version"].as_u64() > Some(0)),
        "{asked:?}"
    );
    assert_eq!((&asked[0]["namespace"], &asked[0]["prefix"]), (&"n".into(), &"x".into()));
}

#[tokio::test]
async fn node_that_leaves_is_asked_while_it_has_a_part_in_the_ring() {
    let stack = Stack::start(3, 2).await;
    let all: Vec<_> = stack.nodes.iter().map(|node| node.ring_member()).collect();
    let rest = all[..2].to_vec();
    stack.write_ring(2, Phase::Moving, 2, rest.clone(), Some(all)).await;
    stack.ask("POST", "/cache/_delete?prefix=x").await.expect(200);
    assert_eq!(stack.nodes[2].asked("delete_prefix").len(), 1);
    stack.write_ring(3, Phase::Stable, 2, rest, None).await;
    stack.ask("POST", "/cache/_delete?prefix=x").await.expect(200);
    assert_eq!(stack.nodes[2].asked("delete_prefix").len(), 1);
}
