//! What fuzzers tried and found, tried again: inputs that broke a parser once must not do it twice, and need no fuzzer for that.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "all of this is a test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[path = "../../../fuzz/src/targets.rs"]
#[allow(unreachable_pub, reason = "fuzzers reach it")]
mod targets;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    entries.map(name).collect()
}

#[test]
fn no_input_of_the_corpus_breaks_a_parser() {
    let mut tried = 0;
    for (name, target) in targets::TARGETS {
        let directory = fuzz().join("corpus").join(name);
        for input in names(&directory) {
            let data = std::fs::read(directory.join(&input)).unwrap();
            let outcome = std::panic::catch_unwind(|| target(&data));
            assert!(
                outcome.is_ok(),
                "fuzz/corpus/{name}/{input} breaks it; see what it said above"
            );
            tried += 1;
        }
    }
    assert!(tried >= targets::TARGETS.len(), "only {tried} inputs");
}

#[test]
fn every_target_has_a_fuzzer_and_a_corpus_and_nothing_else_has() {
    let known: BTreeSet<String> = targets::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&fuzz().join("corpus")), known);
    let fuzzers = names(&fuzz().join("fuzz_targets"));
    assert_eq!(
        fuzzers
            .iter()
            .map(|file| file.trim_end_matches(".rs").to_owned())
            .collect::<BTreeSet<_>>(),
        known
    );
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in &known {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "fuzz/Cargo.toml has no binary {name}"
        );
    }
}
