//! Keys and tokens that callers show: see `targets::credentials`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::credentials(data));
