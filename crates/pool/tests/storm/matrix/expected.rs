//! The matrix.

use super::{Fault, Moment, Told};

/// Returns what the caller may be told if the fault comes at the moment.
pub(super) fn expected(fault: Fault, moment: Moment) -> &'static [Told] {
    use Told::{Answered, Died, ExpiredInQueue, ExpiredInRun, Left, Panicked, Rejected, Stopped};
    match (fault, moment) {
        // The fault has struck others.
        (
            Fault::Panic | Fault::Exit | Fault::Kill | Fault::Stuck | Fault::DestructorPanics,
            Moment::Queued,
        ) => &[Answered],
        (Fault::Panic, _) => &[Panicked],
        (Fault::Exit | Fault::Kill | Fault::Stuck, _) => &[Died],
        (Fault::DestructorPanics | Fault::CallerLeaves, _) => &[Left],
        (Fault::SlowConsumer, _) => &[Answered],
        (Fault::Deadline, Moment::Queued | Moment::Starting) => &[ExpiredInQueue],
        // The time is for the opening of the stream.
        (Fault::Deadline, Moment::Streaming) => &[Answered],
        (Fault::Deadline, _) => &[ExpiredInRun],
        (Fault::Shutdown, Moment::Queued) => &[Rejected],
        // A worker may have taken it or not.
        (Fault::Shutdown, Moment::Starting) => &[Rejected, Stopped],
        // The patient shutdown has begun before this one.
        (Fault::Shutdown, Moment::Draining) => &[Stopped, Answered],
        (Fault::Shutdown, _) => &[Stopped],
    }
}
