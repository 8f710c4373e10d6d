//! The memory of the process.

/// Bytes that are resident.
pub(super) struct Memory {
    /// Now.
    pub(super) resident: Option<u64>,
    /// At most, since the process began.
    pub(super) peak: Option<u64>,
}

/// Reads what the kernel says of this process. Elsewhere than on Linux there is no such file.
pub(super) fn read() -> Memory {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    Memory {
        resident: bytes(&status, "VmRSS:"),
        peak: bytes(&status, "VmHWM:"),
    }
}

/// Finds a line such as `VmRSS:     5124 kB`; see proc_pid_status(5).
fn bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    number.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_found_in_its_line() {
        let status = "Name:\tx\nVmHWM:\t    5200 kB\nVmRSS:\t    5124 kB\nThreads:\t2\n";
        assert_eq!(bytes(status, "VmRSS:"), Some(5124 * 1024));
        assert_eq!(bytes(status, "VmHWM:"), Some(5200 * 1024));
        for odd in [
            "",
            "VmRSS:",
            "VmRSS: many kB",
            "VmRSS: 18446744073709551615 kB",
        ] {
            assert_eq!(bytes(odd, "VmRSS:"), None, "{odd}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_of_this_process_is_known() {
        let memory = read();
        assert!(memory.resident.unwrap() > 0);
        assert!(memory.peak >= memory.resident);
    }
}
