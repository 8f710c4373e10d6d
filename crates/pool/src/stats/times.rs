//! Distributions of times in bounded memory.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::Latency;

/// A histogram of nanoseconds; made when the first time is recorded, since it takes 30 KB.
#[derive(Debug, Clone, Default)]
pub(crate) struct Times(Option<Box<Histogram<u64>>>);

/// Times beyond a day are recorded as a day.
const LONGEST_NS: u64 = 24 * 3600 * 1_000_000_000;

impl Times {
    pub(crate) fn record(&mut self, time: Duration) {
        self.record_nanos(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn record_nanos(&mut self, nanos: u64) {
        if let Some(histogram) = self.histogram() {
            histogram.saturating_record(nanos.min(LONGEST_NS));
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        if let (Some(other), Some(histogram)) = (&other.0, self.histogram()) {
            // Both have the same bounds, so that nothing can fall outside.
            let _same_bounds = histogram.add(&**other);
        }
    }

    /// The times that were recorded after those of `before`, which was a copy of this.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let mut recent = self.clone();
        if let (Some(before), Some(recent)) = (&before.0, recent.0.as_deref_mut()) {
            // Each count of a copy is at most the present one.
            let _same_bounds = recent.subtract(&**before);
        }
        recent
    }

    fn histogram(&mut self) -> Option<&mut Histogram<u64>> {
        if self.0.is_none() {
            // Fails for bounds that make no sense only.
            // Two digits: exact to one percent.
            self.0 = Histogram::new_with_bounds(1, LONGEST_NS, 2)
                .ok()
                .map(Box::new);
        }
        self.0.as_deref_mut()
    }

    pub(crate) fn latency(&self) -> Latency {
        let Some(histogram) = &self.0 else {
            return Latency::default();
        };
        let at = |quantile| Duration::from_nanos(histogram.value_at_quantile(quantile));
        Latency {
            samples: histogram.len(),
            // Of its buckets, and so exact to one percent too. Not below zero, and at most a day.
            mean: Duration::from_nanos(histogram.mean() as u64),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: Duration::from_nanos(histogram.max()),
        }
    }

    /// Returns how many times there are up to each power of two, and above half of it.
    pub(crate) fn by_powers(&self) -> Vec<(Duration, u64)> {
        let mut powers: Vec<(Duration, u64)> = Vec::new();
        let recorded = self.0.iter().flat_map(|it| it.iter_recorded());
        for value in recorded {
            let nanos = value.value_iterated_to().next_power_of_two();
            let (time, count) = (Duration::from_nanos(nanos), value.count_at_value());
            match powers.last_mut() {
                Some(last) if last.0 == time => last.1 += count,
                _ => powers.push((time, count)),
            }
        }
        powers
    }
}
