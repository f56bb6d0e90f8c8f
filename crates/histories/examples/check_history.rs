//! Judges histories on disk again: `cargo run -p histories --example check_history -- FILE…`. Ends with 1 when one is a
//! violation, with 2 when one could not be decided or read.

use std::path::Path;
use std::process::ExitCode;

use histories::linearizability::Limits;
use histories::{History, judge};

fn main() -> ExitCode {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: check_history FILE…");
        return ExitCode::from(2);
    }
    let worst = files
        .iter()
        .map(|file| check(Path::new(file)))
        .fold(0, |worst, code| match (worst, code) {
            (1, _) | (_, 1) => 1,
            (worst, code) => code.max(worst),
        });
    ExitCode::from(worst)
}

fn check(file: &Path) -> u8 {
    let judgement = History::load(file).and_then(|history| judge(&history, Limits::default()));
    match judgement {
        Ok(judgement) => {
            print!("{}: {judgement}", file.display());
            match (judgement.is_violation(), judgement.is_proven()) {
                (true, _) => 1,
                (false, true) => 0,
                (false, false) => 2,
            }
        }
        Err(error) => {
            let mut chain = format!("{}: {error}", file.display());
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                chain.push_str(&format!(": {cause}"));
                source = cause.source();
            }
            eprintln!("{chain}");
            2
        }
    }
}
