//! Free memory of the allocator, given back to the system.

#[cfg(test)]
mod tests;

/// Returns free memory of the allocator to the system, as far as it can. Returns whether any was
/// returned.
///
/// This concerns the allocator of glibc, which [`System`](std::alloc::System) is on most Linux
/// systems: it keeps freed memory for the next allocations. With another allocator of the system
/// nothing is done, and the result is `false`. A program whose global allocator is another one has
/// to ask that one.
///
/// # Blocking
/// Locks the heaps of the allocator one after another and goes through the free memory of each. A
/// thread that allocates meanwhile may wait for that.
pub fn purge() -> bool {
    trim()
}

#[cfg(all(unix, target_env = "gnu"))]
fn trim() -> bool {
    // SAFETY: has no precondition, and locks what it touches.
    let was_released = unsafe { libc::malloc_trim(0) };
    was_released == 1
}

#[cfg(not(all(unix, target_env = "gnu")))]
fn trim() -> bool {
    false
}
