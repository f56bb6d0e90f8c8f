//! JSON bodies of clients and records: see `targets::api_json`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::api_json(data));
