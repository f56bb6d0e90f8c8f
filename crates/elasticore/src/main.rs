//! The `elasticore` binary.

use std::process::ExitCode;

use mimalloc::MiMalloc;

// Cache values of all sizes come and go; glibc's allocator fragments under that, and is slower.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    elasticore::run(std::env::args_os())
}
