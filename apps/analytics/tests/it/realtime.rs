//! Risk: a window that forgets too early, too late or not at all, and sums that drift.

use std::time::Duration;

use analytics::{Analysis, DataPoint, RealtimeConfig, TrendAnalysis, Window};

use crate::support::assert_close;

const SECOND: Duration = Duration::from_secs(1);

fn config(seconds: u32) -> RealtimeConfig {
    RealtimeConfig {
        window: SECOND * seconds,
        ..RealtimeConfig::default()
    }
}

fn run(config: RealtimeConfig, points: &[(f64, f64)]) -> Vec<Analysis> {
    let mut window = Window::new(config);
    let point = |(time, value): &(f64, f64)| DataPoint {
        time: *time,
        value: *value,
    };
    points.iter().map(|it| window.push(point(it))).collect()
}

/// What a window says, computed from all points anew.
fn naive(points: &[(f64, f64)], index: usize, window: f64) -> (Vec<f64>, f64, f64) {
    let now = points[index].0;
    let inside = |it: &&(f64, f64)| it.0 > now - window;
    let before: Vec<f64> = points[..index]
        .iter()
        .filter(inside)
        .map(|it| it.1)
        .collect();
    let all: Vec<_> = points[..=index].iter().filter(inside).collect();
    let count = all.len() as f64;
    let (t, x) = (
        all.iter().map(|it| it.0).sum::<f64>() / count,
        all.iter().map(|it| it.1).sum::<f64>() / count,
    );
    let both: f64 = all.iter().map(|it| (it.0 - t) * (it.1 - x)).sum();
    let steps: f64 = all.iter().map(|it| (it.0 - t) * (it.0 - t)).sum();
    let slope = both / steps;
    (before, slope, x + slope * (now - t))
}

#[test]
fn a_window_agrees_with_all_its_points_after_many_turns() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut time = 1.7e9;
    let points: Vec<(f64, f64)> = (0..20_000)
        .map(|index| {
            time += random.f64();
            // A level that moves far away, so that old points would be seen in the sums.
            (time, 1e6 + f64::from(index) * 3.0 + random.f64())
        })
        .collect();
    let found = run(config(60), &points);
    for index in (0..points.len()).step_by(97) {
        let (before, slope, level) = naive(&points, index, 60.0);
        let analysis = &found[index];
        assert_eq!(analysis.count, before.len(), "{index}");
        if before.len() < 10 {
            continue;
        }
        let mean = before.iter().sum::<f64>() / before.len() as f64;
        let squares: f64 = before.iter().map(|it| (it - mean) * (it - mean)).sum();
        let deviation = (squares / (before.len() - 1) as f64).sqrt();
        assert_close(analysis.mean.unwrap(), mean, 1e-12);
        assert_close(analysis.standard_deviation.unwrap(), deviation, 1e-8);
        let trend = analysis.trend.unwrap();
        assert_close(trend.per_second, slope, 1e-7);
        assert_close(trend.level, level, 1e-10);
    }
}

#[test]
fn a_jump_is_an_anomaly_and_noise_is_none() {
    let mut random = fastrand::Rng::with_seed(5);
    let mut points: Vec<_> = (0..5_000).map(|it| (f64::from(it), random.f64())).collect();
    points[3_000].1 = 10.0;
    points[4_000].1 = -10.0;
    let found = run(RealtimeConfig::default(), &points);
    let unusual: Vec<_> = found
        .iter()
        .filter(|it| it.anomaly.is_some())
        .map(|it| it.time)
        .collect();
    assert_eq!(unusual, [3_000.0, 4_000.0]);
    assert!(found[3_000].anomaly.unwrap().score > 20.0);
    assert!(found[4_000].anomaly.unwrap().score < -5.0);
    // Five minutes of seconds.
    assert_eq!(found[2_999].count, 299);
}

#[test]
fn beside_equal_values_any_other_is_unusual_and_the_same_is_not() {
    for level in [0.0, 0.1, 1e15] {
        let mut points: Vec<_> = (0..50).map(|it| (f64::from(it), level)).collect();
        points.push((50.0, level + 1.0));
        let found = run(config(100), &points);
        assert!(found[..50].iter().all(|it| it.anomaly.is_none()), "{level}");
        let score = found[50].anomaly.unwrap().score;
        assert!(score.is_finite() && score > 100.0, "{level}: {score}");
    }
}

#[test]
fn few_points_say_nothing() {
    let points: Vec<_> = (0..10)
        .map(|it| (f64::from(it), f64::from(it * it)))
        .collect();
    let found = run(config(100), &points);
    assert!(found.iter().all(|it| it.anomaly.is_none()));
    assert!(found[..9].iter().all(|it| it.trend.is_none()) && found[9].trend.is_some());
    assert_eq!((found[0].mean, found[0].count), (None, 0));
    // At one moment there is no trend.
    let found = run(config(100), &[(5.0, 1.0); 30]);
    assert!(found.iter().all(|it| it.trend.is_none()));
}

#[test]
fn after_a_long_silence_the_window_is_empty() {
    let points: Vec<_> = (0..20)
        .map(|it| (f64::from(it), 1.0))
        .chain([(1e9, 99.0)])
        .collect();
    let found = run(config(300), &points);
    assert_eq!(
        (found[20].count, found[20].mean, found[20].anomaly),
        (0, None, None)
    );
}

#[test]
fn a_wrong_time_costs_one_point() {
    for wrong in [1e12, -1e12] {
        let mut points: Vec<_> = (0..100)
            .map(|it| (f64::from(it), f64::from(it % 2)))
            .collect();
        points.insert(50, (wrong, 1e6));
        let found = run(config(1_000), &points);
        let jumps: Vec<_> = (0..points.len()).filter(|it| found[*it].is_jump).collect();
        assert_eq!(jumps, [50], "{wrong}");
        assert_eq!((found[50].anomaly, found[50].mean), (None, None));
        assert!(found.iter().all(|it| !it.is_late && it.anomaly.is_none()));
        // The other hundred but the last are in the window.
        assert_eq!(found[100].count, 99);
        assert_close(found[100].mean.unwrap(), 49.0 / 99.0, 1e-12);
    }
}

/// After a silence, a clock that was set, or two wrong times.
#[test]
fn two_jumps_to_the_same_side_begin_a_new_window() {
    let times = |from: u32| (from..from + 30).map(|it| (f64::from(it), 1.0));
    for second in [0, 100_000] {
        let points: Vec<_> = times(50_000).chain(times(second)).collect();
        let found = run(config(300), &points);
        assert!(found[30].is_jump && !found[30].is_late);
        assert!(found[31..].iter().all(|it| !it.is_jump && !it.is_late));
        // With the first one.
        assert_eq!((found[31].count, found[59].count), (1, 29), "{second}");
    }
    // Jumps to both sides, or backwards, agree on nothing.
    let mut points: Vec<_> = times(50_000).collect();
    points.extend([(0.0, 1.0), (1e6, 1.0), (9e5, 1.0), (50_030.0, 1.0)]);
    let found = run(config(300), &points);
    assert!(found[30..33].iter().all(|it| it.is_jump));
    assert!(!found[33].is_jump && found[33].count == 30);
}

/// The first point has nothing to be far from.
#[test]
fn a_stream_that_begins_with_a_wrong_time_goes_on() {
    let points: Vec<_> = [(4e9, 5.0)]
        .into_iter()
        .chain((0..30).map(|it| (f64::from(it), 1.0)))
        .collect();
    let found = run(config(300), &points);
    assert!(found[1].is_jump);
    assert_eq!((found[30].count, found[30].is_late), (29, false));
}

#[test]
fn a_late_point_is_compared_and_not_kept() {
    let mut points: Vec<_> = (0..20)
        .map(|it| (f64::from(it), f64::from(it % 2)))
        .collect();
    points.extend([(3.0, 1e6), (20.0, 0.0)]);
    let found = run(config(300), &points);
    assert!(found[20].is_late && found[20].anomaly.is_some() && found[20].trend.is_none());
    assert!(!found[21].is_late);
    assert_eq!((found[21].count, found[21].mean), (20, Some(0.5)));
}

#[test]
fn what_is_not_wanted_is_not_computed() {
    let config = RealtimeConfig {
        threshold: None,
        trend: TrendAnalysis::Off,
        ..config(100)
    };
    let points: Vec<_> = (0..50)
        .map(|it| (f64::from(it), f64::from(it.max(48))))
        .collect();
    let found = run(config, &points);
    assert!(
        found
            .iter()
            .all(|it| it.anomaly.is_none() && it.trend.is_none())
    );
}
