//! What stands behind the content of a blob: see `targets::blob_trailer`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::blob_trailer(data));
