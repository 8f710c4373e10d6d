//! Risk: a trend, a season or a memory that is not there. The references are those of statsmodels and
//! SciPy.

use std::f64::consts::TAU;

use analytics::{Series, SeriesError, autocorrelation, bridged, decompose};

use crate::support::{assert_close, expected, numbers, sample, table};

fn co2() -> Vec<f64> {
    table(&sample("climate/co2.csv")).columns[0].values.clone()
}

/// Compares each 37th value; where statsmodels has none, there is none here.
#[track_caller]
fn assert_thinned(found: &[Option<f64>], expected: &serde_json::Value) {
    let found: Vec<_> = found.iter().step_by(37).collect();
    let expected = expected.as_array().unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.into_iter().zip(expected) {
        match (found, expected.as_f64()) {
            (Some(found), Some(expected)) => assert_close(*found, expected, 1e-11),
            (None, None) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_carbon_dioxide_of_mauna_loa_rises_and_has_seasons() {
    let expected = &expected()["co2"];
    let number = |name: &str| expected[name].as_f64().unwrap();
    let found = Series::of(&co2(), None).unwrap();
    assert_eq!(found.bridged as f64, number("bridged"));
    assert_close(found.slope, number("slope"), 1e-13);
    assert_close(found.intercept, number("intercept"), 1e-12);
    assert_close(found.explained, number("explained"), 1e-12);
    for (found, expected) in found
        .autocorrelation
        .iter()
        .zip(numbers(&expected["autocorrelation"]))
    {
        assert_close(*found, expected, 1e-12);
    }
    // 52 weeks, found and not given.
    let season = found.season.unwrap();
    assert_eq!(season.period, 52);
    for (found, expected) in season.pattern.iter().zip(numbers(&expected["pattern"])) {
        assert_close(*found, expected, 1e-11);
    }
    assert_thinned(&season.trend, &expected["trend"]);
    assert_thinned(&season.rest, &expected["rest"]);
    assert!(season.trend_strength > 0.99 && season.season_strength > 0.9);
}

#[test]
fn an_odd_period_agrees_too() {
    let expected = &expected()["temperature"];
    let table = table(&sample("weather/seattle.csv"));
    let column = table.column("temp_max").unwrap();
    let found = Series::of(&table.columns[column].values, None).unwrap();
    let season = found.season.unwrap();
    assert_eq!(season.period, 365);
    assert_thinned(&season.trend, &expected["trend"]);
    assert_thinned(&season.rest, &expected["rest"]);
    let pattern: Vec<f64> = season.pattern.iter().copied().step_by(10).collect();
    for (found, expected) in pattern.iter().zip(numbers(&expected["pattern"])) {
        assert_close(*found, expected, 1e-11);
    }
}

#[test]
fn the_parts_of_a_series_add_up_to_it() {
    let (values, _) = bridged(&co2()).unwrap();
    for period in [2, 3, 52, 1_142] {
        let season = decompose(&values, period).unwrap();
        assert_close(season.pattern.iter().sum(), 0.0, 1e-9);
        for (step, value) in values.iter().enumerate() {
            if let (Some(trend), Some(rest)) = (season.trend[step], season.rest[step]) {
                assert_close(trend + season.pattern[step % period] + rest, *value, 1e-12);
            }
        }
    }
}

#[test]
fn noise_and_lines_have_no_season() {
    let mut random = fastrand::Rng::with_seed(4);
    let noise: Vec<f64> = (0..5_000).map(|_| random.f64()).collect();
    let found = Series::of(&noise, None).unwrap();
    assert_eq!(found.season, None);
    assert!(found.explained < 0.01);
    let beyond = found.autocorrelation[1..]
        .iter()
        .filter(|it| it.abs() > found.chance);
    let share = beyond.count() as f64 / (found.autocorrelation.len() - 1) as f64;
    assert!(share < 0.08, "{share}");
    let line: Vec<f64> = (0..100).map(|it| 5.0 - 0.5 * f64::from(it)).collect();
    let found = Series::of(&line, None).unwrap();
    assert_close(found.slope, -0.5, 1e-14);
    assert_close(found.intercept, 5.0, 1e-13);
    assert_close(found.explained, 1.0, 1e-14);
    let flat = Series::of(&[2.0; 50], None).unwrap();
    assert_eq!((flat.slope, flat.explained, flat.season), (0.0, 0.0, None));
    assert!(flat.autocorrelation[1..].iter().all(|it| *it == 0.0));
}

#[test]
fn a_wave_is_found_with_its_period() {
    for period in [5.0_f64, 12.0, 100.0] {
        let wave = |step: u32| (f64::from(step) / period * TAU).sin();
        let values: Vec<f64> = (0..1_200).map(wave).collect();
        let found = Series::of(&values, None).unwrap();
        assert_close(found.peaks[0].period, period, 1e-12);
        assert!(found.peaks[0].share > 0.95);
    }
}

/// Half of an odd number of steps is no period that fits twice if it is rounded up.
#[test]
fn two_waves_in_an_odd_number_of_steps_are_a_season() {
    for length in [9, 11, 101, 731] {
        let wave = |step: u32| (f64::from(2 * step) / f64::from(length) * TAU).sin();
        let values: Vec<f64> = (0..length).map(wave).collect();
        let found = Series::of(&values, None).unwrap();
        assert_close(found.peaks[0].period, f64::from(length) / 2.0, 1e-12);
        assert_eq!(found.season.unwrap().period, length as usize / 2);
    }
}

#[test]
fn gaps_are_bridged_by_straight_lines() {
    let gap = f64::NAN;
    let values = [gap, 1.0, gap, gap, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, gap];
    let (whole, missing) = bridged(&values).unwrap();
    let expected = [1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 10.0];
    assert_eq!((whole.as_slice(), missing), (&expected[..], 4));
    let error = bridged(&[1.0, gap, 2.0]).unwrap_err();
    assert_eq!(
        error,
        SeriesError::TooShort {
            found: 2,
            needed: 8
        }
    );
}

#[test]
fn a_period_that_does_not_fit_is_refused() {
    let values: Vec<f64> = (0..20).map(f64::from).collect();
    for period in [0, 1, 11, usize::MAX] {
        let error = Series::of(&values, Some(period)).unwrap_err();
        assert_eq!(error, SeriesError::Period { period, length: 20 });
    }
    assert!(Series::of(&values, Some(10)).is_ok());
}

#[test]
fn short_series_have_short_autocorrelations() {
    assert_eq!(autocorrelation(&[1.0], 5), [1.0]);
    let found = autocorrelation(&[1.0, 2.0, 3.0, 4.0], 10);
    for (found, expected) in found.iter().zip([1.0, 0.25, -0.3, -0.45]) {
        assert_close(*found, expected, 1e-14);
    }
    assert_eq!(found.len(), 4);
}
