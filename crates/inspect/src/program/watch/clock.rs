//! The time that another thread has spent on the CPU.

use std::time::Duration;

/// A reader of a thread's time. Opened with the first reading, and then once for each thread.
#[derive(Default)]
pub(super) struct Clock {
    #[cfg(target_os = "linux")]
    file: Option<std::fs::File>,
    /// The last reading; `None` before the first.
    read: Option<Duration>,
}

/// Returns what the thread with this number in the system has spent since it began, where that is
/// known.
pub(in crate::program) fn time_of_thread(system_id: u32) -> Option<Duration> {
    Clock::default().read(system_id)
}

impl Clock {
    /// Returns what the thread with this number in the system has spent since the last reading;
    /// nothing for the first one, and where it is not known.
    pub(super) fn spent(&mut self, system_id: Option<u32>) -> Duration {
        let now = system_id.and_then(|number| self.read(number));
        let before = std::mem::replace(&mut self.read, now);
        let spent = now
            .zip(before)
            .map(|(now, before)| now.saturating_sub(before));
        spent.unwrap_or_default()
    }

    pub(super) fn is_known(&self) -> bool {
        self.read.is_some()
    }

    /// Reads the first number of the thread's `schedstat`: nanoseconds.
    // The clock of another thread needs a number that only a call without a safe form returns, and
    // this file costs some microseconds.
    #[cfg(target_os = "linux")]
    fn read(&mut self, system_id: u32) -> Option<Duration> {
        use std::os::unix::fs::FileExt;

        if self.file.is_none() {
            let path = format!("/proc/self/task/{system_id}/schedstat");
            self.file = std::fs::File::open(path).ok();
        }
        let mut bytes = [0; 64];
        let length = self.file.as_ref()?.read_at(&mut bytes, 0).ok()?;
        let text = std::str::from_utf8(&bytes[..length]).ok()?;
        let nanos = text.split_whitespace().next()?.parse().ok()?;
        Some(Duration::from_nanos(nanos))
    }

    /// Returns nothing: this system has no such file.
    #[cfg(not(target_os = "linux"))]
    fn read(&mut self, _: u32) -> Option<Duration> {
        None
    }
}
