//! Commands that make, change and revoke keys.

use api::auth::{ApiKey, IssuedKey, NewKey, RotateKey};
use bytes::Bytes;
use clap::Args;

use crate::client::{Client, Request, segment};
use crate::commands::parse_ttl;
use crate::exit::{Exit, UsageError};
use crate::output::Output;

/// Arguments of `auth init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The CLUSTER_TOKEN of the cluster.
    #[arg(long, env = "CLUSTER_TOKEN", hide_env_values = true, value_name = "SECRET")]
    cluster_token: Option<String>,
}

/// Arguments of `auth create`.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Name for people.
    name: String,
    /// What it may do, as in `writer:team-*:cache,kv` or `admin`; repeatable.
    #[arg(long = "grant", value_name = "ROLE:NAMESPACES:RESOURCES", required = true)]
    grants: Vec<String>,
    /// How long it works, as in 30d; for ever unless given.
    #[arg(long, value_name = "DURATION", value_parser = parse_ttl)]
    ttl: Option<String>,
}

/// Arguments of commands that are about one key.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// Its id: what stands between `eck_` and the next `_`.
    pub(super) id: String,
}

/// Arguments of `auth rotate`.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// Its id.
    id: String,
    /// How long the old secret works beside the new one, `0` for not at all; an hour unless given.
    #[arg(long, value_name = "DURATION")]
    grace: Option<String>,
}

pub(super) async fn init(arguments: InitArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let Some(token) = arguments.cluster_token else {
        let said = "the first key may do everything: give the cluster's secret with --cluster-token or CLUSTER_TOKEN";
        return Err(UsageError(said.to_owned()).into());
    };
    let request = Request::post("/auth/init").header(api::headers::CLUSTER_TOKEN, Some(token));
    let (body, issued) = client.send(&request).await?.json::<IssuedKey>().await?;
    tell(&body, &issued, output)
}

pub(super) async fn create(arguments: CreateArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let CreateArgs { name, grants, ttl } = arguments;
    let request = Request::post("/auth/keys").json(&NewKey { name, grants, ttl })?;
    let (body, issued) = client.send(&request).await?.json::<IssuedKey>().await?;
    tell(&body, &issued, output)
}

pub(super) async fn rotate(arguments: RotateArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let RotateArgs { id, grace } = arguments;
    let request = Request::post(format!("/auth/keys/{}/rotate", segment(&id))).json(&RotateKey { grace })?;
    let (body, issued) = client.send(&request).await?.json::<IssuedKey>().await?;
    tell(&body, &issued, output)
}

pub(super) async fn revoke(arguments: KeyArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let request = Request::delete(format!("/auth/keys/{}", segment(&arguments.id)));
    let (body, key) = client.send(&request).await?.json::<ApiKey>().await?;
    if output.is_json() {
        output.json(&body)?;
    } else {
        output.line(format_args!("revoked {} ({})", key.id, key.name))?;
    }
    Ok(Exit::Ok)
}

pub(super) fn generate(output: &mut Output) -> anyhow::Result<Exit> {
    let secret = access::generate();
    if output.is_json() {
        output.json(serde_json::json!({ "secret": secret }).to_string().as_bytes())?;
    } else {
        output.line(secret)?;
    }
    Ok(Exit::Ok)
}

/// The key alone goes to standard output, so that it can be piped to where it is kept.
fn tell(body: &Bytes, issued: &IssuedKey, output: &mut Output) -> anyhow::Result<Exit> {
    if output.is_json() {
        output.json(body)?;
        return Ok(Exit::Ok);
    }
    let about = &issued.about;
    eprintln!(
        "key {} ({}) may: {}. Keep it now: nobody can show it again.",
        about.id,
        about.name,
        about.grants.join(" ")
    );
    output.line(&issued.key)?;
    Ok(Exit::Ok)
}
