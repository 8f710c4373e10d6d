//! Frames: their numbers and times.

use insula_core::Instant;

/// One picture of many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Counted from 1.
    pub number: u64,
    /// What an animation should take for the present. Never earlier than that of the frame
    /// before, whatever the display says.
    pub time: Instant,
}

/// Makes frames of the times that a display tells.
#[derive(Debug, Default)]
pub(crate) struct FrameClock {
    last: Option<Frame>,
}

impl FrameClock {
    /// The frame that begins at `time`.
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
