//! Names that people give: see `targets::names`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::names(data));
