//! `datasets put`.

use std::time::Duration;

use api::dataset::Uploaded;
use indicatif::{HumanBytes, HumanCount};

use super::files::{Found, find};
use super::{PutArgs, path_of};
use crate::client::{Client, Request, Upload};
use crate::exit::Exit;
use crate::output::{Bar, Output, printable};

/// How often the bar is drawn.
const PACE: Duration = Duration::from_millis(100);

pub(super) async fn run(arguments: PutArgs, client: &Client, output: &mut Output) -> anyhow::Result<Exit> {
    let files = find(&arguments.paths, arguments.stored_as.as_deref())?;
    let all = files.len();
    for (at, file) in files.iter().enumerate() {
        let (body, uploaded) = put(&arguments, file, client, output, (at + 1, all)).await?;
        if output.is_json() {
            output.json(&body)?;
        } else {
            let rows = uploaded
                .file
                .rows
                .map(|rows| format!(", {} rows", HumanCount(rows)))
                .unwrap_or_default();
            let what = format!("{}/{}", arguments.name, file.stored_as);
            output.line(format_args!(
                "stored {}, {}{rows}",
                printable(&what),
                HumanBytes(uploaded.file.bytes)
            ))?;
        }
    }
    Ok(Exit::Ok)
}

async fn put(
    arguments: &PutArgs,
    file: &Found,
    client: &Client,
    output: &Output,
    (at, all): (usize, usize),
) -> anyhow::Result<(bytes::Bytes, Uploaded)> {
    let upload = Upload::of(&file.path)?;
    let request = Request::put(path_of(&arguments.name, &file.stored_as))
        .query("ns", arguments.place.namespace.as_deref())
        .query("format", arguments.format.as_deref())
        .header("if-none-match", arguments.if_absent.then_some("*"))
        .file(upload.clone());
    let bar = Bar::new(output.has_color(), "uploading");
    let what = format!("{at}/{all} {}", printable(&file.stored_as));
    let sending = async { client.send(&request).await?.json::<Uploaded>().await };
    let answer = tokio::select! {
        answer = sending => answer,
        () = draw(&bar, &upload, &what) => unreachable!("it draws until it is dropped"),
    };
    bar.clear();
    Ok(answer?)
}

/// Shows how much of a file has gone; until it is dropped.
async fn draw(bar: &Bar, upload: &Upload, what: &str) {
    loop {
        let (sent, of) = (upload.sent(), upload.bytes());
        let message = format!("{what}: {} of {}", HumanBytes(sent), HumanBytes(of));
        bar.show("uploading", sent, of, message);
        tokio::time::sleep(PACE).await;
    }
}
