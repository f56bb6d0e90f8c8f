//! Keys of namespaces: each has its own, under names that only its users see.

use serde_json::{Value, json};

use super::{Side, on_both_engines};

on_both_engines! {
    same_key_is_another_one_in_each_namespace
    listings_and_their_pages_stay_in_the_namespace
    transactions_stay_in_the_namespace
    watches_tell_of_their_namespace_alone
    conditions_are_of_the_namespaces_key
}

fn keys(listing: &Value) -> Vec<&str> {
    let items = listing["items"].as_array().unwrap();
    items.iter().map(|item| item["key"].as_str().unwrap()).collect()
}

async fn same_key_is_another_one_in_each_namespace(kv: Side) {
    for ns in ["", "a", "ab"] {
        kv.put(&format!("/kv/k?ns={ns}"), format!("of {ns}")).await.expect(201);
    }
    let by_header = kv.ask_with("GET", "/kv/k", &[("x-namespace", "a")], "").await.expect(200);
    assert_eq!(by_header.text(), "of a");
    assert_eq!(kv.get("/kv/k").await.expect(200).text(), "of ");
    kv.ask("DELETE", "/kv/k?ns=a").await.expect(204);
    kv.ask("DELETE", "/kv/k?ns=a").await.problem(404, "not_found", "");
    kv.get("/kv/k?ns=a").await.problem(404, "not_found", "");
    for ns in ["", "ab"] {
        assert_eq!(kv.get(&format!("/kv/k?ns={ns}")).await.expect(200).text(), format!("of {ns}"));
    }
    for wrong in ["_own", "a%2Fb", "a%0A", "*", "a*", "a&ns=b"] {
        for (method, path) in [
            ("GET", "/kv/k"),
            ("PUT", "/kv/k"),
            ("DELETE", "/kv/k"),
            ("GET", "/kv"),
            ("GET", "/kv/_watch"),
        ] {
            let answer = kv.ask(method, &format!("{path}?ns={wrong}")).await;
            assert_eq!(answer.status, 400, "{method} {path} {wrong}: {}", answer.text());
        }
    }
}

async fn listings_and_their_pages_stay_in_the_namespace(kv: Side) {
    // Keys of the default namespace that look like the places where those of others are.
    for key in ["kvns%2Fa%2Fk", "ns%2Fa%2Fk", "a%2Fk"] {
        kv.put(&format!("/kv/{key}"), "plain").await.expect(201);
    }
    for i in 0..5 {
        kv.put(&format!("/kv/k{i}?ns=a"), "of a").await.expect(201);
        kv.put(&format!("/kv/k{i}?ns=b"), "of b").await.expect(201);
    }
    let plain = kv.get("/kv").await.expect(200).json();
    assert_eq!(keys(&plain), ["a/k", "kvns/a/k", "ns/a/k"]);
    let (mut seen, mut after) = (Vec::new(), String::new());
    while seen.len() < 10 {
        let page = kv.get(&format!("/kv?ns=a&limit=2{after}")).await.expect(200).json();
        assert!(
            page["items"].as_array().unwrap().iter().all(|item| item["value"] == "of a"),
            "{page}"
        );
        seen.extend(keys(&page).into_iter().map(str::to_owned));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["k0", "k1", "k2", "k3", "k4"]);
    for nothing in [
        "prefix=kv",
        "prefix=/",
        "prefix=../",
        "prefix=a/",
        "after=k4",
        "prefix=b/",
        "after=zz",
    ] {
        let page = kv.get(&format!("/kv?ns=a&{nothing}")).await.expect(200).json();
        assert_eq!(page["items"], json!([]), "{nothing}");
    }
}

async fn transactions_stay_in_the_namespace(kv: Side) {
    kv.put("/kv/k", "default").await.expect(201);
    let create = json!({
        "compare": [{ "key": "k", "exists": false }],
        "then": [{ "op": "put", "key": "k", "value": "of a" }, { "op": "put", "key": "brief", "value": "v", "ttl": 600 }],
        "else": [{ "op": "get", "key": "k" }, { "op": "delete", "key": "k" }],
    });
    let done = kv.json("POST", "/kv/_txn?ns=a", &create).await.expect(200).json();
    assert_eq!(done["succeeded"], true, "{done}");
    let again = kv.json("POST", "/kv/_txn?ns=a", &create).await.expect(200).json();
    let held = json!({ "key": "k", "value": "of a", "revision": done["revision"] });
    assert_eq!(again["results"], json!([{ "get": held }, { "deleted": true }]));
    assert_eq!(kv.get("/kv/k").await.expect(200).text(), "default");
    kv.get("/kv/brief").await.problem(404, "not_found", "");
    assert_eq!(kv.get("/kv/brief?ns=a").await.expect(200).text(), "v");
    for wrong in ["ns=*", "ns=_a", "ns=a&ns=b"] {
        kv.json("POST", &format!("/kv/_txn?{wrong}"), &create).await.expect(400);
    }
}

async fn watches_tell_of_their_namespace_alone(kv: Side) {
    let mut of_a = kv.watch("/kv/_watch?ns=a", &[]).await;
    let mut of_default = kv.watch("/kv/_watch", &[]).await;
    for events in [&mut of_a, &mut of_default] {
        assert_eq!(events.next().await.unwrap().name, "listening");
    }
    kv.put("/kv/k?ns=b", "not watched").await.expect(201);
    kv.put("/kv/k?ns=ab", "not watched").await.expect(201);
    kv.put("/kv/kvns%2Fa%2Fk", "not a's").await.expect(201);
    kv.put("/kv/k?ns=a", "v").await.expect(201);
    kv.ask("DELETE", "/kv/k?ns=a").await.expect(204);
    kv.put("/kv/end", "v").await.expect(201);
    let told = of_a.take(2).await;
    assert_eq!([told[0].change(), told[1].change()], [("put", "k"), ("delete", "k")]);
    assert_eq!(told[0].data["value"], "v");
    let told = of_default.take(2).await;
    assert_eq!([told[0].change(), told[1].change()], [("put", "kvns/a/k"), ("put", "end")]);
}

async fn conditions_are_of_the_namespaces_key(kv: Side) {
    let tag = kv.put("/kv/k?ns=a", "1").await.expect(201).header("etag").to_owned();
    let guarded = [("if-match", tag.as_str())];
    kv.ask_with("PUT", "/kv/k?ns=b", &guarded, "2").await.expect(412);
    kv.ask_with("DELETE", "/kv/k", &guarded, "").await.expect(412);
    kv.ask_with("PUT", "/kv/k?ns=b", &[("if-none-match", "*")], "first")
        .await
        .expect(201);
    kv.ask_with("PUT", "/kv/k?ns=a", &guarded, "2").await.expect(200);
}
