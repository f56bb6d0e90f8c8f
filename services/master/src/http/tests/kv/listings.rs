//! Keys with a prefix, page by page.

use serde_json::{Value, json};

use super::{Side, on_both_engines};

on_both_engines! {
    pages_meet_without_a_gap
    prefix_is_of_bytes_and_no_pattern
    page_of_large_values_is_short
    what_is_no_text_is_base64
    only_the_users_keys_are_listed
}

fn keys(listing: &Value) -> Vec<String> {
    let items = listing["items"].as_array().unwrap();
    items.iter().map(|item| item["key"].as_str().unwrap().to_owned()).collect()
}

async fn pages_meet_without_a_gap(kv: Side) {
    for i in 0..25 {
        kv.put(&format!("/kv/app%2F{i:02}"), i.to_string()).await.expect(201);
    }
    kv.put("/kv/apq", "").await.expect(201);
    let (mut seen, mut after) = (Vec::new(), String::new());
    for page in 1.. {
        let listing = kv.get(&format!("/kv?prefix=app/&limit=10{after}")).await.expect(200).json();
        seen.extend(keys(&listing));
        let Some(next) = listing["next"].as_str() else {
            assert_eq!(page, 3);
            break;
        };
        after = format!("&after={next}");
    }
    assert_eq!(seen, (0..25).map(|i| format!("app/{i:02}")).collect::<Vec<_>>());
    let listing = kv.get("/kv?prefix=app/&limit=25").await.expect(200).json();
    assert_eq!(
        (keys(&listing).len(), &listing["next"]),
        (25, &Value::Null),
        "a page that ends with the keys is the last"
    );
}

async fn prefix_is_of_bytes_and_no_pattern(kv: Side) {
    for key in ["a", "a*", "ab", "b", "%C3%A9"] {
        kv.put(&format!("/kv/{key}"), "").await.expect(201);
    }
    for (prefix, expected) in [("a", &["a", "a*", "ab"][..]), ("a*", &["a*"]), ("%C3%A9", &["é"]), ("c", &[])] {
        assert_eq!(
            keys(&kv.get(&format!("/kv?prefix={prefix}")).await.expect(200).json()),
            expected,
            "{prefix}"
        );
    }
    assert_eq!(keys(&kv.get("/kv").await.expect(200).json()), ["a", "a*", "ab", "b", "é"]);
    assert_eq!(
        keys(&kv.get("/kv?prefix=a&after=0").await.expect(200).json()),
        ["a", "a*", "ab"]
    );
    assert_eq!(keys(&kv.get("/kv?prefix=a&after=b").await.expect(200).json()), [""; 0]);
}

async fn page_of_large_values_is_short(kv: Side) {
    for i in 0..10 {
        kv.put(&format!("/kv/large{i}"), vec![b'x'; 1 << 20]).await.expect(201);
    }
    let page = kv.get("/kv?prefix=large").await.expect(200).json();
    assert_eq!((keys(&page).len(), &page["next"]), (8, &json!("large7")));
    let rest = kv.get("/kv?prefix=large&after=large7").await.expect(200).json();
    assert_eq!(
        (keys(&rest), &rest["next"]),
        (vec!["large8".to_owned(), "large9".to_owned()], &Value::Null)
    );
}

async fn what_is_no_text_is_base64(kv: Side) {
    kv.put("/kv/bytes", vec![0xff, 0]).await.expect(201);
    let revision = kv
        .put("/kv/text", "é")
        .await
        .expect(201)
        .header("etag")
        .trim_matches('"')
        .parse::<u64>()
        .unwrap();
    let items = kv.get("/kv").await.expect(200).json();
    assert_eq!(items["items"][0]["encoding"], "base64");
    assert_eq!(items["items"][0]["value"], "/wA=");
    assert_eq!(
        items["items"][1],
        json!({ "key": "text", "value": "é", "revision": revision })
    );
    assert_eq!(items["revision"], revision);
}

/// Members, ring and jobs are in the same store, and none of a client's business.
async fn only_the_users_keys_are_listed(kv: Side) {
    kv.put("/kv/ring", "mine").await.expect(201);
    let listing = kv.get("/kv?prefix=").await.expect(200).json();
    assert_eq!(keys(&listing), ["ring"]);
    for wrong in [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=ten",
        "limit=1&limit=2",
        "pre=x",
        "prefix=%FF",
    ] {
        kv.get(&format!("/kv?{wrong}")).await.problem(400, "invalid_argument", "");
    }
}
