//! Risk: a column that is lost, or a mistake in a file that is taken for a number.

use analytics::{Table, TableError};

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
            "the column `a` does not have a date such as 2012-01-31, or a number of seconds, in each row",
        ),
    ] {
        assert_eq!(read(text, time).unwrap_err().to_string(), message);
    }
    let error = Table::read(&b"a\n1\n\xff\n"[..], b',', None).unwrap_err();
    assert_eq!(error.to_string(), "line 3: not UTF-8");
    let table = read("a,b\n1,2\n", None).unwrap();
    assert!(table.column("c").is_err());
}
