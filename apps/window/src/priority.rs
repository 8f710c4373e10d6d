//! Lowers the priority of threads that compute, in favor of the window's.

/// The lowest priority except for idle classes.
#[cfg(target_os = "linux")]
const NICE: i32 = 19;

/// Lowers the priority of the calling thread. On a machine whose cores are all busy with tiles, the
/// window's thread would otherwise sometimes wait for some 20 ms. Has an effect only on Linux,
/// where each thread has its own priority.
pub fn step_back() {
    #[cfg(target_os = "linux")]
    {
        thread_local! {
            static IS_DONE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
        }
        // Once per thread: this is a system call, and each tile comes here.
        if !IS_DONE.replace(true) {
            // If this is forbidden, tiles and frames compete at equal priority.
            let _ = rustix::process::setpriority_process(None, NICE);
        }
    }
}
