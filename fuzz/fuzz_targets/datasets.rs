//! Names of datasets and paths in them: see `targets::datasets`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::datasets(data));
