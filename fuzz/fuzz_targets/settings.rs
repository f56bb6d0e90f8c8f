//! Durations, sizes and lists as people write them: see `targets::settings_values`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::settings_values(data));
