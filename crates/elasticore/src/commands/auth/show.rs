//! Commands that look at keys.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::auth::{ApiKey, ApiKeyList, KeyStatus, WhoAmI};

use crate::client::{Client, Request, segment};
use crate::commands::ago;
use crate::exit::Exit;
use crate::output::{Cell, Output, Table, Tint};

pub(super) async fn list(client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let (mut items, mut after) = (Vec::new(), None::<String>);
    loop {
        let request = Request::get("/auth/keys").query("limit", Some(1000)).query("after", after);
        let (_, page) = client.send(&request).await?.json::<ApiKeyList>().await?;
        items.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if output.is_json() {
        let all = ApiKeyList { items, next: None };
        output.json(&serde_json::to_vec(&all)?)?;
        return Ok(Exit::Ok);
    }
    output.table(&table(&items))?;
    Ok(Exit::Ok)
}

pub(super) async fn one(id: &str, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let request = Request::get(format!("/auth/keys/{}", segment(id)));
    let (body, key) = client.send(&request).await?.json::<ApiKey>().await?;
    if output.is_json() {
        output.json(&body)?;
    } else {
        output.table(&table(std::slice::from_ref(&key)))?;
    }
    Ok(Exit::Ok)
}

pub(super) async fn whoami(client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let (body, me) = client.send(&Request::get("/auth/whoami")).await?.json::<WhoAmI>().await?;
    if output.is_json() {
        output.json(&body)?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(["AUTH", "KIND", "ID", "NAME", "GRANTS", "EXPIRES"]);
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    table.row([
        Cell::from(word(serde_json::to_value(me.auth)?)),
        word(serde_json::to_value(me.kind)?).into(),
        me.id.into(),
        me.name.into(),
        me.grants.join(" ").into(),
        me.expires_at_ms.map(until).unwrap_or_default().into(),
    ]);
    output.table(&table)?;
    Ok(Exit::Ok)
}

fn table(keys: &[ApiKey]) -> Table {
    let mut table = Table::new(["ID", "NAME", "STATUS", "GRANTS", "CREATED", "EXPIRES", "LAST USED"]);
    for key in keys {
        let status = match key.status {
            KeyStatus::Active => Cell::tinted("active", Tint::Good),
            KeyStatus::Expired => Cell::tinted("expired", Tint::Bad),
            KeyStatus::Revoked => Cell::tinted("revoked", Tint::Bad),
        };
        table.row([
            Cell::from(&key.id),
            Cell::from(&key.name),
            status,
            key.grants.join(" ").into(),
            ago(key.created_at_ms).into(),
            key.expires_at_ms.map_or_else(|| "never".to_owned(), until).into(),
            key.last_used_at_ms.map_or_else(|| "never".to_owned(), ago).into(),
        ]);
    }
    table
}

/// How long it is until then, in its largest unit; or how long ago it was.
fn until(at_ms: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = Duration::from_millis(at_ms).saturating_sub(now).as_secs();
    match left {
        0 => ago(at_ms),
        1..60 => format!("in {left}s"),
        60..3600 => format!("in {}m", left / 60),
        3600..86400 => format!("in {}h", left / 3600),
        _ => format!("in {}d", left / 86400),
    }
}
