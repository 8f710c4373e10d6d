//! From values to places.

/// Maps a range of values to a range of places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    values: (f64, f64),
    places: (f64, f64),
}

impl Scale {
    pub(super) fn new(values: (f64, f64), places: (f64, f64)) -> Self {
        let (low, high) = values;
        // Equal values are in the middle.
        let values = match high > low {
            true => (low, high),
            false => (
                low - low.abs().max(1.0) / 2.0,
                low + low.abs().max(1.0) / 2.0,
            ),
        };
        Self { values, places }
    }

    pub(super) fn at(&self, value: f64) -> f64 {
        let (low, high) = self.values;
        let (start, end) = self.places;
        start + (value - low) / (high - low) * (end - start)
    }

    /// Returns about so many round values.
    pub(super) fn ticks(&self, about: usize) -> Vec<f64> {
        let (low, high) = self.values;
        let rough = (high - low) / about as f64;
        let unit = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .find(|it| it * unit >= rough)
            .unwrap_or(10.0)
            * unit;
        let first = (low / step).ceil();
        let last = (high / step + 1e-9).floor();
        let count = (last - first).clamp(0.0, 100.0) as usize;
        // `+ 0.0` makes zero of a negative zero.
        (0..=count)
            .map(|index| (first + index as f64) * step + 0.0)
            .collect()
    }
}
