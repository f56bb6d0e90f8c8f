//! `datasets get`.

use super::{GetArgs, path_of};
use crate::client::{Client, Request};
use crate::commands::cache::save;
use crate::exit::Exit;
use crate::output::Output;

pub(super) async fn run(arguments: GetArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let request = Request::get(path_of(&arguments.name, &arguments.file)).query("ns", arguments.place.namespace);
    let answer = client.send(&request).await?;
    save(answer, arguments.out.as_deref(), output).await?;
    Ok(Exit::Ok)
}
