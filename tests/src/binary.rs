//! Where the built binaries are.

use std::path::PathBuf;

/// How to build them, for people.
const BUILD: &str = "cargo build --workspace --all-features --bins";

/// Path of a built binary: in `ELASTICORE_BIN_DIR`, else beside the directory of this test's executable.
///
/// # Panics
/// When it is not there, with the command that builds it.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let directory = std::env::var_os("ELASTICORE_BIN_DIR").map_or_else(
        || {
            let test = std::env::current_exe().expect("this test has an executable");
            // target/debug/deps/system-… → target/debug
            test.ancestors().nth(2).expect("it lies in target/<profile>/deps").to_owned()
        },
        PathBuf::from,
    );
    let path = directory.join(name);
    assert!(path.is_file(), "{} is missing: build it with `{BUILD}`", path.display());
    path
}
