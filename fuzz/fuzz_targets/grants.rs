//! Grants and patterns of namespaces: see `targets::grants`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::grants(data));
