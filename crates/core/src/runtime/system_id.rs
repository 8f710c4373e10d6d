//! The number of a thread in the operating system.

/// Returns the number of the calling thread, by which tools such as `perf` and `gdb` name it; 0
/// where it is not known.
// Read once for each thread, so the file system is fast enough, and no system call has to be made
// by hand. Not under Miri, which has no such file.
#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) fn own() -> u32 {
    // A link to `PID/task/TID`.
    let link = std::fs::read_link("/proc/thread-self").ok();
    let number = link.as_ref().and_then(|link| link.file_name()?.to_str());
    number.and_then(|it| it.parse().ok()).unwrap_or(0)
}

/// Returns 0: this system has no such file.
#[cfg(not(all(target_os = "linux", not(miri))))]
pub(crate) fn own() -> u32 {
    0
}
