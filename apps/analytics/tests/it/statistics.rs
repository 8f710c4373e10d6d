//! Risk: figures that another library would not agree with. The references are NumPy's, SciPy's and
//! those of pandas.

use analytics::{Column, Correlations, Description};

use crate::support::{assert_close, expected, numbers, sample, table};

#[test]
fn descriptions_agree_with_numpy_and_scipy() {
    let (table, expected) = (table(&sample("weather/seattle.csv")), expected());
    for column in &table.columns {
        let found = Description::of(&column.values).unwrap();
        let expected = &expected["statistics"][&column.name];
        for (found, name) in [
            (found.mean, "mean"),
            (found.median, "median"),
            (found.standard_deviation, "standard_deviation"),
            (found.min, "min"),
            (found.max, "max"),
            (found.skewness, "skewness"),
            (found.kurtosis, "kurtosis"),
        ] {
            assert_close(found, expected[name].as_f64().unwrap(), 1e-12);
        }
        let percentiles = numbers(&expected["percentiles"]);
        assert_eq!(found.percentiles.len(), percentiles.len());
        for ((_, found), expected) in found.percentiles.iter().zip(percentiles) {
            assert_close(*found, expected, 1e-13);
        }
        assert_eq!((found.count, found.missing), (1_461, 0));
    }
}

#[test]
fn correlations_agree_with_pandas() {
    let table = table(&sample("weather/seattle.csv"));
    let found = Correlations::of(&table.columns);
    let expected = expected()["correlations"].clone();
    for (row, expected) in found.values.iter().zip(expected.as_array().unwrap()) {
        for (found, expected) in row.iter().zip(numbers(expected)) {
            assert_close(found.unwrap(), expected, 1e-12);
        }
    }
}

#[test]
fn missing_values_are_left_out() {
    let values = [f64::NAN, 1.0, 2.0, f64::NAN, 4.0, 5.0];
    let found = Description::of(&values).unwrap();
    assert_eq!(
        (found.count, found.missing, found.mean, found.median),
        (4, 2, 3.0, 3.0)
    );
    let column = |name: &str, values: [f64; 6]| Column {
        name: name.to_owned(),
        values: values.to_vec(),
    };
    let columns = [
        column("a", values),
        column("b", [9.0, -1.0, -2.0, 9.0, f64::NAN, -5.0]),
        column("c", [7.0; 6]),
        column("d", [f64::NAN; 6]),
    ];
    let found = Correlations::of(&columns).values;
    assert_close(found[0][1].unwrap(), -1.0, 1e-14);
    assert_eq!((found[0][2], found[3][0], found[2][2]), (None, None, None));
}

#[test]
fn few_and_equal_numbers_have_no_nan() {
    assert_eq!(Description::of(&[]), None);
    assert_eq!(Description::of(&[f64::NAN]), None);
    for values in [&[3.0][..], &[0.1; 7], &[1e8 + 0.1; 1_000]] {
        let found = Description::of(values).unwrap();
        assert_eq!((found.skewness, found.kurtosis), (0.0, 0.0));
        assert_close(found.standard_deviation, 0.0, 1e-6);
        assert_eq!(found.histogram.len(), 1);
        assert_eq!(found.histogram[0].count, values.len());
    }
}

#[test]
fn every_number_is_in_one_bin() {
    let table = table(&sample("weather/seattle.csv"));
    let mut series: Vec<Vec<f64>> = table.columns.into_iter().map(|it| it.values).collect();
    series.push((0..10_000).map(|it| f64::from(it % 10)).collect());
    series.push([vec![0.0; 1_000], vec![1e6]].concat());
    for values in series {
        let bins = Description::of(&values).unwrap().histogram;
        assert_eq!(
            bins.iter().map(|bin| bin.count).sum::<usize>(),
            values.len()
        );
        assert!(bins.len() <= 60);
        for (index, bin) in bins.iter().enumerate() {
            let is_last = index + 1 == bins.len();
            let is_inside =
                |it: &f64| *it >= bin.from && (*it < bin.to || is_last && *it <= bin.to);
            let count = values.iter().copied().filter(|it| is_inside(it)).count();
            assert_eq!(count, bin.count, "{bin:?}");
        }
    }
}
