//! Risk: a format that loses records, or gives others than the program that wrote them.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use data::{
    BadRows, Contents, DataError, DataProcessorCaller, Format, LayoutError, Output, ProcessChunk,
    ResultFormat, Results, Rows, Source, SourceError, Wanted, read, start_pool,
};
use futures_util::future::join_all;
use insula::block_on;
use parquet::data_type::{DataType, DoubleType, Int32Type, Int64Type};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use tempfile::TempDir;

use crate::support::{
    assert_statistics, expected, items, read_all, read_text, reference, wanted, weather,
};

const FILES: [&str; 6] = [
    "measurements.csv",
    "measurements.jsonl",
    "pyarrow-snappy.parquet",
    "pyarrow-zstd.parquet",
    "pyarrow-gzip.parquet",
    "polars.parquet",
];

fn open(name: &str, wanted: &Wanted) -> Source {
    let path = reference(name);
    let format = Format::of_path(&path).unwrap();
    Source::open(&path, format, wanted, 7).unwrap()
}

#[test]
fn every_format_has_the_records_that_were_written() {
    let expected = expected();
    let names: Vec<_> = expected["names"].as_array().unwrap().iter().collect();
    for file in FILES {
        let source = open(file, &wanted("name", "reading"));
        let rows = read_all(source, &[], ResultFormat::Items);
        assert_eq!(rows.bad, BadRows::default(), "{file}");
        assert_eq!(
            rows.missing,
            expected["missing"].as_u64().unwrap(),
            "{file}"
        );
        assert_statistics(&rows.values, &expected["values"]);
        for (item, name) in items(&rows).iter().zip(&names) {
            assert_eq!(item.0, name.as_str().unwrap(), "{file}");
        }
    }
}

#[test]
fn without_names_the_first_field_and_the_first_number_are_read() {
    for file in FILES {
        let source = open(file, &Wanted::default());
        let layout = source.layout();
        // The JSON lines have their fields in another order.
        let value = if file.ends_with("jsonl") {
            "reading"
        } else {
            "count"
        };
        assert_eq!(
            (&*layout.id.name, &*layout.value.name),
            ("name", value),
            "{file}"
        );
    }
}

#[test]
fn whole_numbers_and_flags_can_name_records() {
    for file in FILES.into_iter().filter(|file| file.ends_with("parquet")) {
        for (id, first) in [("count", "-100"), ("reading", ""), ("flag", "true")] {
            let source = open(file, &wanted(id, "count"));
            let rows = read_all(source, &[], ResultFormat::Items);
            let first = if id == "reading" {
                items(&rows)[0].0.to_owned()
            } else {
                first.to_owned()
            };
            assert_eq!(items(&rows)[0], (first.as_str(), -100.0), "{file}: {id}");
            // A record without a name is a bad row, at the right place.
            if id == "reading" {
                assert_eq!(rows.bad.count, 20, "{file}");
                assert_eq!(
                    (rows.bad.first[0].line, rows.bad.first[1].line),
                    (8, 33),
                    "{file}"
                );
            }
        }
    }
}

#[test]
fn what_is_written_is_read_back_in_each_format() {
    let folder = TempDir::new().unwrap();
    let source = open("measurements.csv", &wanted("name", "reading"));
    let before = read_all(source, &[], ResultFormat::Items);
    let before = items(&before);
    for name in ["a.csv", "a.tsv", "a.jsonl", "a.parquet"] {
        let path = folder.path().join(name);
        let format = Format::of_path(&path).unwrap();
        let source = open("measurements.csv", &wanted("name", "reading"));
        let rows = read_all(source, &[], ResultFormat::of(format));
        let mut output = Output::create(&path, format, Contents::Results).unwrap();
        output.write(&rows.output).unwrap();
        output.finish().unwrap();
        for field in ["value", "result"] {
            let source = Source::open(&path, format, &wanted("id", field), 3).unwrap();
            let after = read_all(source, &[], ResultFormat::Items);
            assert_eq!(items(&after), before, "{name}: {field}");
            assert_eq!(after.bad.count, 0);
        }
    }
}

#[test]
fn results_of_another_format_are_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.csv");
    let source = open("measurements.csv", &Wanted::default());
    let rows = read_all(source, &[], ResultFormat::Columns);
    let mut output = Output::create(&path, Format::CSV, Contents::Results).unwrap();
    output.write(&rows.output).unwrap_err();
    drop(output);
    assert!(!path.exists());
}

#[test]
fn the_size_of_the_blocks_changes_nothing() {
    let text = std::fs::read_to_string(weather()).unwrap();
    let wanted = wanted("date", "wind");
    let whole = read_text(&text, Format::CSV, &wanted, 1 << 20);
    assert_eq!(items(&whole).len(), 1_461);
    for size in [1, 17, 1_000] {
        let parts = read_text(&text, Format::CSV, &wanted, size);
        assert_eq!(items(&parts), items(&whole));
    }
}

#[test]
fn windows_line_ends_and_separators_are_read() {
    let tab = Format::Csv { delimiter: b'\t' };
    let rows = read_text(
        "id\tn\r\na,b\t 1.5 \r\n\r\nb\t\r\nc\t-2e3",
        tab,
        &Wanted::default(),
        1,
    );
    assert_eq!(items(&rows), [("a,b", 1.5), ("c", -2e3)]);
    assert_eq!((rows.missing, rows.bad.count), (1, 0));
}

#[test]
fn json_has_names_that_are_numbers_and_fields_that_are_missing() {
    let text = "{\"t\":1,\"v\":2}\n{\"v\":3,\"more\":[{}],\"t\":\"\\u0061\"}\n\n{\"t\":4}\n{\"t\":5,\"v\":null}\n";
    for size in [1, 1_000] {
        let rows = read_text(text, Format::JsonLines, &Wanted::default(), size);
        assert_eq!(items(&rows), [("1", 2.0), ("a", 3.0)]);
        assert_eq!((rows.missing, rows.bad.count), (2, 0));
    }
    let rows = read_text("{\"v\":3}", Format::JsonLines, &wanted("v", "v"), 1);
    assert_eq!(items(&rows), [("3", 3.0)]);
}

#[test]
fn a_file_without_a_layout_says_what_is_missing() {
    let open = |text: &'static str, format, wanted: &Wanted| {
        let source = Source::text(Box::new(text.as_bytes()), format, wanted, 10);
        match source.unwrap_err() {
            SourceError::Layout(error) => error,
            error => panic!("{error}"),
        }
    };
    let default = Wanted::default();
    for empty in ["", "\n\n"] {
        for format in [Format::CSV, Format::JsonLines] {
            assert_eq!(open(empty, format, &default), LayoutError::Empty);
        }
    }
    let error = open("a,b\nx,y\nx,1\nx,z\n", Format::CSV, &default);
    assert_eq!(
        error.to_string(),
        "no field besides `a` mostly has numbers in the first records; name one with --value FIELD"
    );
    let error = open("a,b,b\nx,1,2\n", Format::CSV, &wanted("a", "b"));
    assert_eq!(
        error.to_string(),
        "several fields have the name `b`; give all but one another name"
    );
    let error = open("a,\"b\nx,1\n", Format::CSV, &default);
    assert_eq!(
        error.to_string(),
        "line 1: a quote opens here and is not closed"
    );
    let error = open("a,b\nx,1\n", Format::CSV, &wanted("a", "c"));
    assert_eq!(
        error.to_string(),
        "there is no field `c`; the fields are a, b"
    );
    let error = open("\n{\"a\":1,}\n", Format::JsonLines, &default);
    assert_eq!(
        error.to_string(),
        "line 2: not a JSON object: trailing comma (column 8)"
    );
    let error = open("{\"a\":1,\"a\":2}\n", Format::JsonLines, &default);
    assert!(
        error.to_string().contains("the key `a` comes twice"),
        "{error}"
    );
    let text = Source::text(Box::new("x".as_bytes()), Format::Parquet, &default, 10);
    assert!(matches!(text, Err(SourceError::NotAFile)));
}

#[test]
fn a_field_of_parquet_that_is_no_number_is_named_with_its_type() {
    for file in FILES.into_iter().filter(|file| file.ends_with("parquet")) {
        let source = Source::open(
            &reference(file),
            Format::Parquet,
            &wanted("flag", "name"),
            1,
        );
        assert_eq!(
            source.unwrap_err().to_string(),
            "the field `name` is of the type UTF8, which is not read as a number; name another one \
             with --value FIELD, or convert it to DOUBLE",
            "{file}"
        );
    }
}

fn column<T: DataType>(group: &mut SerializedRowGroupWriter<'_, File>, values: &[T::T]) {
    let mut column = group.next_column().unwrap().unwrap();
    let typed = column.typed::<T>();
    typed.write_batch(values, None, None).unwrap();
    column.close().unwrap();
}

/// Writes two rows of each kind of number that is not just signed or real.
fn write_kinds(path: &Path) {
    let schema = "message m {
        required int32 day (DATE);
        required int64 time (TIMESTAMP(NANOS,false));
        required int64 old_time (TIMESTAMP_MILLIS);
        required int64 clock (TIME(NANOS,true));
        required int32 price (DECIMAL(9,2));
        required int32 small (UINT_8);
        required int32 wide (UINT_32);
        required int64 wider (INTEGER(64,false));
        required int64 signed (INTEGER(64,true));
    }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    column::<Int32Type>(&mut group, &[15_340, -1]);
    column::<Int64Type>(&mut group, &[1_325_376_000_000_000_000, 1]);
    column::<Int64Type>(&mut group, &[1_325_376_000_500, 0]);
    column::<Int64Type>(&mut group, &[1, 2]);
    column::<Int32Type>(&mut group, &[1_999, 2_000]);
    column::<Int32Type>(&mut group, &[200, 7]);
    column::<Int32Type>(&mut group, &[-1, 7]);
    column::<Int64Type>(&mut group, &[-1, 7]);
    column::<Int64Type>(&mut group, &[-1, 7]);
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn unsigned_numbers_of_parquet_are_not_negative() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.parquet");
    write_kinds(&path);
    for (field, expected, name) in [
        ("small", 200.0, "200"),
        ("wide", 4_294_967_295.0, "4294967295"),
        (
            "wider",
            18_446_744_073_709_551_615.0,
            "18446744073709551615",
        ),
        ("signed", -1.0, "-1"),
    ] {
        let source = Source::open(&path, Format::Parquet, &wanted(field, field), 1).unwrap();
        let rows = read_all(source, &[], ResultFormat::Items);
        assert_eq!(items(&rows), [(name, expected), ("7", 7.0)]);
    }
}

#[test]
fn dates_and_times_of_parquet_name_records_and_are_no_numbers() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.parquet");
    write_kinds(&path);
    let open = |wanted: &Wanted| Source::open(&path, Format::Parquet, wanted, 1);
    let layout = Arc::clone(open(&Wanted::default()).unwrap().layout());
    assert_eq!((&*layout.id.name, &*layout.value.name), ("day", "small"));
    for (id, expected) in [
        ("day", ["2012-01-01", "1969-12-31"]),
        (
            "time",
            ["2012-01-01T00:00:00", "1970-01-01T00:00:00.000000001"],
        ),
        (
            "old_time",
            ["2012-01-01T00:00:00.500Z", "1970-01-01T00:00:00Z"],
        ),
    ] {
        let source = open(&wanted(id, "signed")).unwrap();
        let rows = read_all(source, &[], ResultFormat::Items);
        let names: Vec<_> = items(&rows).iter().map(|(name, _)| *name).collect();
        assert_eq!(names, expected);
    }
    for (field, kind) in [
        ("day", "DATE"),
        ("time", "TIMESTAMP"),
        ("old_time", "TIMESTAMP"),
        ("clock", "TIME"),
        ("price", "DECIMAL"),
    ] {
        let error = open(&wanted("day", field)).unwrap_err().to_string();
        let expected = format!("the field `{field}` is of the type {kind}");
        assert!(error.starts_with(&expected), "{error}");
        assert!(error.contains("--value FIELD"), "{error}");
    }
    for field in ["clock", "price"] {
        let error = open(&wanted(field, "signed")).unwrap_err().to_string();
        assert!(
            error.ends_with("cannot name a record; name another one with --id FIELD"),
            "{error}"
        );
    }
}

#[test]
fn a_damaged_parquet_file_is_an_error_and_no_panic() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.parquet");
    let whole = std::fs::read(reference("pyarrow-snappy.parquet")).unwrap();
    for bytes in [&b""[..], b"PAR1", &whole[..whole.len() - 1]] {
        std::fs::write(&path, bytes).unwrap();
        let error = Source::open(&path, Format::Parquet, &Wanted::default(), 1).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("not a readable Parquet file: "),
            "{error}"
        );
    }
    // The footer is whole, and says where the pages should be.
    std::fs::write(&path, &whole[1..]).unwrap();
    let mut source = Source::open(&path, Format::Parquet, &Wanted::default(), 1).unwrap();
    let layout = Arc::clone(source.layout());
    let mut rows = Rows::new([].into(), layout, Results::new(ResultFormat::None, 0));
    let error = read(&source.next_chunk().unwrap().unwrap(), &mut rows).unwrap_err();
    assert!(
        matches!(error, DataError::RowGroup { number: 0, .. }),
        "{error}"
    );
    let missing = Source::open(
        &folder.path().join("b"),
        Format::Parquet,
        &Wanted::default(),
        1,
    );
    assert!(matches!(missing, Err(SourceError::Read(_))));
}

/// Writes row groups of 20,000 numbers each, that count on from zero.
pub(crate) fn write_row_groups(path: &Path, groups: u32) {
    let schema = parse_message_type("message m { required double n; }").unwrap();
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::default()).unwrap();
    for group in 0..groups {
        let numbers: Vec<f64> = (0..20_000)
            .map(|it| f64::from(20_000 * group + it))
            .collect();
        let mut row_group = writer.next_row_group().unwrap();
        column::<DoubleType>(&mut row_group, &numbers);
        row_group.close().unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn workers_that_read_one_file_at_once_do_not_disturb_each_other() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.parquet");
    write_row_groups(&path, 100);
    let mut source = Source::open(&path, Format::Parquet, &wanted("n", "n"), 1).unwrap();
    block_on(async {
        let pool = start_pool(8).await.unwrap();
        let caller: DataProcessorCaller = pool.caller();
        let mut calls = Vec::new();
        while let Some(chunk) = source.next_chunk().unwrap() {
            calls.push(caller.process(ProcessChunk {
                chunk,
                layout: Arc::clone(source.layout()),
                steps: Arc::default(),
                results: ResultFormat::Items,
            }));
        }
        for (group, answer) in join_all(calls).await.into_iter().enumerate() {
            let Results::Items(items) = answer.unwrap().output else {
                panic!("records were asked for")
            };
            let numbers = (0..20_000).map(|number| (20_000 * group + number) as f64);
            assert!(numbers.eq(items.values), "{group}");
        }
    });
}
