//! Headers, block heads, footers and items of backups, their checksums right: see `targets::backup_parts`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::backup_parts(data));
