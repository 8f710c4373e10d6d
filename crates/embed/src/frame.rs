//! The numbers and times of frames.

use insula_core::Instant;

/// One picture of an animation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Counted from 1.
    pub number: u64,
    /// The time that an animation should show. Never earlier than the time of the frame before,
    /// whatever the display reports.
    pub time: Instant,
}

/// Makes frames of the times that a display reports.
#[derive(Debug, Default)]
pub(crate) struct FrameClock {
    last: Option<Frame>,
}

impl FrameClock {
    /// Returns the frame that begins at `time`.
    pub(crate) fn begin(&mut self, time: Instant) -> Frame {
        let frame = self.last.map_or(Frame { number: 1, time }, |last| Frame {
            number: last.number + 1,
            time: time.max(last.time),
        });
        self.last = Some(frame);
        frame
    }
}

#[cfg(test)]
mod tests;
