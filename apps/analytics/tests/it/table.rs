//! Risk: a column that is lost, or a mistake in a file that is taken for a number.

use analytics::{Column, Description, Spacing, Table, TableError};

fn read(text: &str, time: Option<&str>) -> Result<Table, TableError> {
    Table::read(text.as_bytes(), b',', time)
}

fn names(table: &Table) -> Vec<&str> {
    table
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect()
}

#[test]
fn columns_of_numbers_times_and_texts_are_told_apart() {
    let text = "day, a ,kind,b\n2012-01-01,1,x,\n2012-01-02,, y,-2e3\n2012-01-03,3,z,4\n";
    let table = read(text, None).unwrap();
    assert_eq!(names(&table), ["a", "b"]);
    assert_eq!(table.others, ["kind"]);
    let times = table.times.as_ref().unwrap();
    assert_eq!(
        (times.name.as_str(), times.values[1] - times.values[0]),
        ("day", 86_400.0)
    );
    assert!(table.columns[0].values[1].is_nan() && table.columns[1].values[0].is_nan());
    assert_eq!((table.rows(), table.columns[1].values[1]), (3, -2e3));
    let table = read("n,t\n1,5\n2,6\n", Some("t")).unwrap();
    assert_eq!(
        (names(&table), table.times.clone().unwrap().values),
        (vec!["n"], vec![5.0, 6.0])
    );
}

#[test]
fn a_text_among_numbers_is_named_and_missing() {
    let mut text = "n\n".to_owned();
    text.extend((0..30).map(|number| format!("{number}\n")));
    text.push_str("oops\n31\n");
    let table = read(&text, None).unwrap();
    assert_eq!(
        table.bad[0].to_string(),
        "32: `oops` in the column `n` is not a number; it counts as missing"
    );
    assert!(table.columns[0].values[30].is_nan());
}

#[test]
fn the_usual_words_for_a_missing_value_are_no_mistakes() {
    let words = [
        "", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "null", "NULL", "None", " NA ",
    ];
    let mut text = "n,m\n".to_owned();
    text.extend(words.map(|word| format!("{word},1\n")));
    text.push_str("5,1\n");
    let table = read(&text, None).unwrap();
    assert_eq!((names(&table), table.others.len()), (vec!["n", "m"], 0));
    assert_eq!((table.bad.len(), table.bad_fields), (0, 0));
    let found = Description::of(&table.columns[0].values).unwrap();
    assert_eq!((found.count, found.missing), (1, words.len()));
    // Infinity is no such word, and no number to compute with.
    let table = read(&format!("n\n{}inf\n", "1\n".repeat(20)), None).unwrap();
    assert_eq!((table.bad[0].text.as_str(), table.bad_fields), ("inf", 1));
}

#[test]
fn all_bad_fields_are_counted_and_the_first_are_named() {
    let mut text = "n,m\n".to_owned();
    text.extend((0..1_000).map(|row| match row % 20 {
        0 => format!("oops,{row}\n"),
        1 => format!("{row},oops\n"),
        _ => format!("{row},{row}\n"),
    }));
    let table = read(&text, None).unwrap();
    assert_eq!((table.bad.len(), table.bad_fields), (40, 100));
    assert!(table.bad.is_sorted_by_key(|bad| bad.line));
}

#[test]
fn rows_are_sorted_by_their_times() {
    let sorted = "t,n,m\n2012-01-01,1,\n2012-01-02,2,5\n2012-01-03,3,6\n2012-01-04,4,7\n";
    let mixed = "t,n,m\n2012-01-02,2,5\n2012-01-04,4,7\n2012-01-01,1,\n2012-01-03,3,6\n";
    let [sorted, mixed] = [sorted, mixed].map(|text| read(text, None).unwrap());
    assert_eq!(sorted.times, mixed.times);
    for (sorted, mixed) in sorted.columns.iter().zip(&mixed.columns) {
        let bits =
            |column: &Column| -> Vec<u64> { column.values.iter().map(|it| it.to_bits()).collect() };
        assert_eq!(bits(sorted), bits(mixed));
    }
    assert!(sorted.spacing.as_ref().unwrap().is_even());
    let spacing = mixed.spacing.unwrap();
    assert_eq!((spacing.out_of_order, spacing.step_seconds), (2, 86_400.0));
    assert_eq!(
        spacing.to_string(),
        "rows in steps of 1d, but 2 out of order in the file, now sorted (series take all steps as equal)"
    );
}

#[test]
fn equal_times_gaps_and_short_steps_are_counted() {
    // After an equal time, a gap of three rows, and a step of a quarter.
    let times = [0.0, 60.0, 60.0, 120.0, 360.0, 420.0, 435.0, 495.0, 555.0];
    let mut text = "n,t\n".to_owned();
    text.extend(times.map(|time| format!("1,{time}\n")));
    let spacing = read(&text, Some("t")).unwrap().spacing.unwrap();
    let expected = Spacing {
        step_seconds: 60.0,
        out_of_order: 0,
        duplicates: 1,
        gaps: 1,
        missing_rows: 3,
        short_steps: 1,
    };
    assert_eq!(spacing, expected);
    assert!(!spacing.is_even());
    // Months differ in length, and nothing is missing between them.
    let mut text = "t,n\n".to_owned();
    text.extend((1..=12).map(|month| format!("2011-{month}-01,{month}\n")));
    assert!(read(&text, None).unwrap().spacing.unwrap().is_even());
    for text in ["t,n\n2012-01-01,1\n", "t,n\n2012-01-01,1\n2012-01-01,2\n"] {
        let spacing = read(text, None).unwrap().spacing.unwrap();
        assert_eq!((spacing.step_seconds, spacing.gaps), (0.0, 0));
    }
    assert_eq!(read("n\n1\n", None).unwrap().spacing, None);
}

#[test]
fn a_table_that_cannot_be_read_says_why() {
    for (text, time, message) in [
        ("", None, "there are no rows"),
        ("a,b\n", None, "there are no rows"),
        (
            "a\nx\ny\n",
            None,
            "no column has numbers; is the separator right?",
        ),
        (
            "a,b\n1,2\n3\n",
            None,
            "line 3: 1 fields, but the first line has 2; is a separator or a quote missing?",
        ),
        (
            "a,b\n1,2\n",
            Some("c"),
            "there is no column `c`; the columns are a, b",
        ),
        (
            "a,b\nx,2\n",
            Some("a"),
            "line 2: `x` is no time; the column `a` needs a date such as 2012-01-31 in each row, or a \
             number of seconds in each row",
        ),
        (
            "a,b\n1,2\n2012-01-31,3\n",
            Some("a"),
            "the column `a` needs a date such as 2012-01-31 in each row, or a number of seconds in each row",
        ),
    ] {
        assert_eq!(read(text, time).unwrap_err().to_string(), message);
    }
    let error = Table::read(&b"a\n1\n\xff\n"[..], b',', None).unwrap_err();
    assert_eq!(error.to_string(), "line 3: not UTF-8");
    let table = read("a,b\n1,2\n", None).unwrap();
    assert!(table.column("c").is_err());
}
