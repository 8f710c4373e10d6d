//! A bound on what is allocated.

use insula_memory::thread_counts;

/// Runs `work` on this thread, which may allocate at most so many bytes, whether they are freed
/// meanwhile or not.
///
/// # Panics
/// It allocates more.
pub fn within<R>(most: usize, work: impl FnOnce() -> R) -> R {
    let before = thread_counts().expect("the allocator counts");
    let result = work();
    let after = thread_counts().expect("the allocator counts");
    let allocated = after.since(before).allocated;
    assert!(
        allocated <= most as u64,
        "{allocated} bytes were allocated where {most} are allowed"
    );
    result
}
