//! What the operating system says of this process.

/// Returns the bytes of the process's memory that are resident, where that is known.
#[cfg(target_os = "linux")]
pub(super) fn memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Returns nothing: this system has no such file.
#[cfg(not(target_os = "linux"))]
pub(super) fn memory_bytes() -> Option<u64> {
    None
}

/// Returns the milliseconds that the process has spent on the CPU, where that is known.
#[cfg(unix)]
pub(super) fn cpu_ms() -> Option<u64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let nanos = u64::try_from(time.tv_nsec).ok()?;
    Some(seconds * 1_000 + nanos / 1_000_000)
}

/// Returns nothing: this system has no such clock.
#[cfg(not(unix))]
pub(super) fn cpu_ms() -> Option<u64> {
    None
}
