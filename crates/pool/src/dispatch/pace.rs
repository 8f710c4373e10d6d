//! How long calls take, so that a call whose deadline would pass in the queue is turned away at once.

use std::time::Duration;

/// The mean time for which the last calls had a place.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// In seconds; `None` before the first call has ended.
    mean: Option<f64>,
}

/// The weight of the last call in the mean, in which some 30 calls then count.
const WEIGHT: f64 = 1.0 / 16.0;

impl Pace {
    pub(super) fn record(&mut self, time: Duration) {
        let time = time.as_secs_f64();
        let mean = self.mean.get_or_insert(time);
        *mean += (time - *mean) * WEIGHT;
    }

    /// The time that a call waits behind so many others, if this many run at once. Calls end evenly
    /// as far as the mean tells, one each `mean / places`. What is left of those that run is not known,
    /// and may be nothing, so it does not count. `None` if the mean is not known.
    pub(super) fn wait(&self, queued: usize, places: usize) -> Option<Duration> {
        let ends = queued as f64 / places.max(1) as f64;
        Duration::try_from_secs_f64(self.mean? * ends).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_follows_from_the_mean_the_queue_and_the_places() {
        let mut pace = Pace::default();
        assert_eq!(pace.wait(10, 2), None);
        pace.record(Duration::from_millis(20));
        assert_eq!(pace.wait(0, 2), Some(Duration::ZERO));
        assert_eq!(pace.wait(10, 2), Some(Duration::from_millis(100)));
        for _ in 0..1_000 {
            pace.record(Duration::from_millis(40));
        }
        let wait = pace.wait(1, 1).expect("a wait");
        assert!(wait.abs_diff(Duration::from_millis(40)) < Duration::from_micros(1));
        assert!(pace.wait(usize::MAX - 1, 0).is_some());
    }
}
