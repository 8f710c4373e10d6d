//! The analysis of points as they come.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A measurement at a time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataPoint {
    /// The time in seconds, since any moment.
    pub time: f64,
    /// The measured value.
    pub value: f64,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RealtimeConfig {
    /// The time before each point with which it is compared.
    pub window: Duration,
    /// The distance from the mean of the window, in standard deviations, from which on a point is an
    /// anomaly. Without it, none is.
    pub threshold: Option<f64>,
    /// Whether the trend is computed.
    pub trend: TrendAnalysis,
}

/// Whether the trend is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrendAnalysis {
    /// It is.
    #[default]
    On,
    /// It is not.
    Off,
}

impl Default for RealtimeConfig {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(5 * 60),
            threshold: Some(4.0),
            trend: TrendAnalysis::On,
        }
    }
}

/// What is known of a point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// The time of the point.
    pub time: f64,
    /// Its value.
    pub value: f64,
    /// The points in the window before it.
    pub count: usize,
    /// Their mean, if there are any.
    pub mean: Option<f64>,
    /// Their standard deviation, if there are two.
    pub standard_deviation: Option<f64>,
    /// The anomaly, if the point is one.
    pub anomaly: Option<Anomaly>,
    /// The trend of the window with this point in it, if it can be told.
    pub trend: Option<Trend>,
    /// Whether the point is older than one before it. Such a point is compared, and not kept.
    pub is_late: bool,
    /// Whether the time of the point is a jump, see [`Window`]. Such a point is compared with none, and
    /// not kept.
    pub is_jump: bool,
}

/// A point far away from those before it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// The distance from the mean, in standard deviations.
    pub score: f64,
}

/// A line through the points of a window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// The change in a second.
    pub per_second: f64,
    /// The value of the line at the newest point.
    pub level: f64,
}

/// The least points with which a point is compared. Fewer say little about the deviation.
const LEAST: usize = 10;

/// The points of the last minutes.
///
/// A point more than a window before or after the newest one is a jump. Its time may be wrong, and a
/// window that began there would take all later points for late ones. So the window stays where it is,
/// unless the next point is a jump to the same side and not older than the first one: after a
/// silence, or when a clock was set, the window begins anew with these two. One wrong time costs one
/// point, and two cost the points of a window.
///
/// A point costs the same time in a window of any length: sums are kept, and points are added to and
/// removed from them. The sums are about a reference near the points, and are computed anew each time
/// that the window has been replaced, so that rounding does not pile up.
#[derive(Debug)]
pub struct Window {
    config: RealtimeConfig,
    points: VecDeque<DataPoint>,
    sums: Sums,
    /// The points that were removed since the sums were computed anew.
    removed: usize,
    /// The last point, if it was a jump.
    jump: Option<DataPoint>,
}

/// Sums over points, of which a reference was subtracted.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    reference: Reference,
    value: f64,
    value_value: f64,
    time: f64,
    time_time: f64,
    time_value: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Reference {
    time: f64,
    value: f64,
}

impl Window {
    /// Creates an empty window.
    pub fn new(config: RealtimeConfig) -> Self {
        Self {
            config,
            points: VecDeque::new(),
            sums: Sums::default(),
            removed: 0,
            jump: None,
        }
    }

    /// Analyzes a point, and keeps it unless it is late or a jump.
    pub fn push(&mut self, point: DataPoint) -> Analysis {
        if self.is_jump(point) {
            return Analysis {
                time: point.time,
                value: point.value,
                count: 0,
                mean: None,
                standard_deviation: None,
                anomaly: None,
                trend: None,
                is_late: false,
                is_jump: true,
            };
        }
        let is_late = self
            .points
            .back()
            .is_some_and(|last| point.time < last.time);
        if !is_late {
            self.forget(point.time - self.config.window.as_secs_f64());
        }
        let count = self.points.len();
        let mean = (count > 0).then(|| self.sums.mean(count));
        let deviation = (count > 1).then(|| self.sums.deviation(count));
        let analysis = Analysis {
            time: point.time,
            value: point.value,
            count,
            mean,
            standard_deviation: deviation,
            anomaly: self.anomaly(point.value, mean, deviation),
            trend: None,
            is_late,
            is_jump: false,
        };
        if is_late {
            return analysis;
        }
        self.keep(point);
        let trend = match self.config.trend {
            TrendAnalysis::On => self.sums.trend(self.points.len(), point.time),
            TrendAnalysis::Off => None,
        };
        Analysis { trend, ..analysis }
    }

    /// Returns whether a point is a jump. If it is the second one, the window begins anew with the
    /// first.
    fn is_jump(&mut self, point: DataPoint) -> bool {
        let before = self.jump.take();
        let Some(newest) = self.points.back() else {
            return false;
        };
        let ahead = point.time - newest.time;
        if ahead.abs() <= self.config.window.as_secs_f64() {
            return false;
        }
        let is_after = |time: f64| time > newest.time;
        let agrees = |jump: &DataPoint| {
            is_after(jump.time) == is_after(point.time) && jump.time <= point.time
        };
        let Some(first) = before.filter(agrees) else {
            self.jump = Some(point);
            return true;
        };
        self.points.clear();
        self.removed = 0;
        self.keep(first);
        false
    }

    fn anomaly(&self, value: f64, mean: Option<f64>, deviation: Option<f64>) -> Option<Anomaly> {
        let threshold = self.config.threshold?;
        if self.points.len() < LEAST {
            return None;
        }
        let (distance, deviation) = (value - mean?, deviation?);
        // Beside equal values any other one is an anomaly, and JSON has no infinity.
        let score = (distance / deviation.max(f64::MIN_POSITIVE)).clamp(-1e9, 1e9);
        (score.abs() >= threshold && distance != 0.0).then_some(Anomaly { score })
    }

    fn keep(&mut self, point: DataPoint) {
        if self.points.is_empty() {
            self.sums = Sums::around(point);
        }
        self.points.push_back(point);
        self.sums.add(point, 1.0);
    }

    /// Removes all points of `end` and before.
    fn forget(&mut self, end: f64) {
        while let Some(point) = self.points.front().copied()
            && point.time <= end
        {
            self.points.pop_front();
            self.sums.add(point, -1.0);
            self.removed += 1;
        }
        if self.removed > self.points.len() {
            self.removed = 0;
            self.sums = self
                .points
                .front()
                .map_or(Sums::default(), |it| Sums::around(*it));
            for point in &self.points {
                self.sums.add(*point, 1.0);
            }
        }
    }
}

impl Sums {
    fn around(point: DataPoint) -> Self {
        let DataPoint { time, value } = point;
        Self {
            reference: Reference { time, value },
            ..Self::default()
        }
    }

    fn add(&mut self, point: DataPoint, sign: f64) {
        let time = point.time - self.reference.time;
        let value = point.value - self.reference.value;
        self.value += sign * value;
        self.value_value += sign * value * value;
        self.time += sign * time;
        self.time_time += sign * time * time;
        self.time_value += sign * time * value;
    }

    fn mean(&self, count: usize) -> f64 {
        self.reference.value + self.value / count as f64
    }

    fn deviation(&self, count: usize) -> f64 {
        let count = count as f64;
        let squares = self.value_value - self.value * self.value / count;
        // Rounding may make it negative, or leave a little of equal values.
        match squares > self.value_value.abs() * 1e-14 {
            true => (squares / (count - 1.0)).sqrt(),
            false => 0.0,
        }
    }

    fn trend(&self, count: usize, time: f64) -> Option<Trend> {
        let number = count as f64;
        let steps = self.time_time - self.time * self.time / number;
        if count < LEAST || steps <= 0.0 {
            return None;
        }
        let both = self.time_value - self.time * self.value / number;
        let per_second = both / steps;
        let middle = self.reference.time + self.time / number;
        let level = self.mean(count) + per_second * (time - middle);
        (per_second.is_finite() && level.is_finite()).then_some(Trend { per_second, level })
    }
}
