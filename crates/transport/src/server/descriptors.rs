//! How many files, connections among them, this process may have open.

use std::fs;

/// The limit that applies now; none where the system does not say or sets none.
pub(super) fn soft_limit() -> Option<usize> {
    of(&fs::read_to_string("/proc/self/limits").ok()?)
}

fn of(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_stands_first() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max open files            1024                 1048576              files\n";
        assert_eq!(of(text), Some(1024));
        assert_eq!(
            of("Max open files            unlimited            unlimited            files"),
            None
        );
        assert_eq!(of(""), None);
    }
}
