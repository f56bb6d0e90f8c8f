//! Files of backups: see `targets::backup_file`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::backup_file(data));
