//! Threads that let the window's go first.

/// How far behind: the last place but for idle classes.
#[cfg(target_os = "linux")]
const NICE: i32 = 19;

/// From now on the calling thread computes only while nothing more urgent does. On a machine
/// whose cores are all busy with tiles, the window's thread would otherwise wait its turn, for
/// some 20 ms now and then. Does nothing but on Linux, where priorities are a thread's own.
pub fn step_back() {
    #[cfg(target_os = "linux")]
    {
        thread_local! {
            static IS_DONE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
        }
        if !IS_DONE.replace(true) {
            // Where that is forbidden, tiles and frames compete as before.
            let _ = rustix::process::setpriority_process(None, NICE);
        }
    }
}
