//! How much memory there is on this machine, or in this container.

use std::fs;

/// Of what there is, the part that tasks may reserve unless it is set: the rest is for what they hold besides, for shuffle files
/// in the page cache, and for neighbours.
const SHARE: u64 = 2;
/// When nothing can be found out.
const UNKNOWN: u64 = 1 << 30;
/// Limits of containers, version 2 and version 1.
const LIMITS: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// Memory of tasks unless it is set.
pub(crate) fn default_for_tasks() -> u64 {
    let limits = LIMITS.iter().filter_map(|path| fs::read_to_string(path).ok());
    share_of(fs::read_to_string("/proc/meminfo").ok().as_deref(), limits)
}

fn share_of(meminfo: Option<&str>, limits: impl Iterator<Item = String>) -> u64 {
    let total = meminfo.and_then(total_of);
    let least = limits.filter_map(|limit| limit.trim().parse().ok()).chain(total).min();
    // Whole MiB are what people write.
    least.map_or(UNKNOWN, |bytes: u64| ((bytes / SHARE) >> 20) << 20)
}

fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_get_half_of_the_machine_or_of_the_container() {
        let machine = Some("MemFree: 1 kB\nMemTotal:       8388608 kB\n");
        let share = |machine, limits: &[&str]| share_of(machine, limits.iter().map(|limit| (*limit).to_owned())) >> 20;
        assert_eq!(share(machine, &[]), 4096);
        assert_eq!(share(machine, &["max\n"]), 4096);
        assert_eq!(share(machine, &["1073741824\n"]), 512);
        assert_eq!(share(machine, &["9223372036854771712\n"]), 4096);
        assert_eq!(share(None, &[]), 1024);
    }
}
