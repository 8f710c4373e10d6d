//! Risk: a wrong row that takes others with it, has the wrong line, or gives no hint.

use data::{BadRows, Chunk, Format, Layout, ResultFormat, Results, Rows, Step, Wanted, read};

use crate::support::{items, read_all, read_text, wanted};

fn messages(rows: &Rows) -> Vec<String> {
    rows.bad.first.iter().map(ToString::to_string).collect()
}

#[test]
fn each_wrong_row_of_csv_is_named_and_the_others_are_read() {
    let text = "id,n,more\n\
                a,1,x\n\
                b,one,x\n\
                c,2\n\
                \"two\nlines\",3,x\n\
                d,inf,x\n\
                e,NaN,x\n\
                f,4,x,x\n\
                g,1e999,x\n\
                h,,x\n\
                i,5,x\n";
    for size in [1, 10, 1_000] {
        let rows = read_text(text, Format::CSV, &Wanted::default(), size);
        assert_eq!(items(&rows), [("a", 1.0), ("two\nlines", 3.0), ("i", 5.0)]);
        assert_eq!(rows.missing, 1);
        assert_eq!(
            messages(&rows),
            [
                "3: `one` in the field `n` is not a finite number",
                "4: 2 fields, but the first line has 3; is a separator or a quote missing?",
                "7: `inf` in the field `n` is not a finite number",
                "8: `NaN` in the field `n` is not a finite number",
                "9: 4 fields, but the first line has 3; is a separator or a quote missing?",
                "10: `1e999` in the field `n` is not a finite number",
            ]
        );
    }
}

#[test]
fn each_wrong_line_of_json_is_named_and_the_others_are_read() {
    let text = "{\"t\":\"a\",\"v\":1}\n\
                {\"t\":\"b\",\"v\":\"2\"}\n\
                {\"t\":\"c\",\"v\":3\n\
                [4]\n\
                {\"t\":\"e\",\"v\":true}\n\
                {\"v\":6}\n\
                {\"t\":\"g\",\"v\":1e999}\n\
                {\"t\":\"h\",\"v\":8} 9\n\
                {\"t\":[],\"v\":{}}\n\
                {\"t\":\"j\",\"v\":10}";
    for size in [1, 30, 1_000] {
        let rows = read_text(text, Format::JsonLines, &Wanted::default(), size);
        assert_eq!(items(&rows), [("a", 1.0), ("j", 10.0)]);
        let messages = messages(&rows);
        assert_eq!(rows.bad.count, 8, "{messages:?}");
        assert_eq!(
            messages[0],
            "2: `\"2\"` in the field `v` is not a finite number"
        );
        assert!(
            messages[1].starts_with("3: not a JSON object: EOF"),
            "{messages:?}"
        );
        assert!(
            messages[2].starts_with("4: not a JSON object: invalid type"),
            "{messages:?}"
        );
        assert_eq!(
            messages[3],
            "5: `true` in the field `v` is not a finite number"
        );
        assert_eq!(messages[4], "6: the field `t` is neither text nor a number");
        assert!(
            messages[5].starts_with("7: not a JSON object: number out of range"),
            "{messages:?}"
        );
        assert!(
            messages[6].starts_with("8: not a JSON object: trailing"),
            "{messages:?}"
        );
        assert!(
            messages[7].starts_with("9: the field `t` is neither"),
            "{messages:?}"
        );
    }
}

#[test]
fn bytes_that_are_no_text_cost_their_row_only_if_they_are_read() {
    let text = b"id,n,x\na,1,\xff\n\xff,2,y\nb,\xff,z\nc,3,z\n";
    let source = data::Source::text(Box::new(&text[..]), Format::CSV, &Wanted::default(), 9);
    let rows = read_all(source.unwrap(), &[], ResultFormat::Items);
    assert_eq!(items(&rows), [("a", 1.0), ("c", 3.0)]);
    assert_eq!(
        messages(&rows),
        [
            "3: the field `id` is not UTF-8",
            "4: the field `n` is not UTF-8"
        ]
    );
}

#[test]
fn a_number_without_a_result_is_named_with_its_step() {
    let text = "id,n\na,4\nb,-4\nc,800\nd,9\n";
    let source = data::Source::text(
        Box::new(text.as_bytes()),
        Format::CSV,
        &Wanted::default(),
        5,
    );
    let steps = [Step::Offset(0.0), Step::Sqrt, Step::Power(300.0)];
    let rows = read_all(source.unwrap(), &steps, ResultFormat::Items);
    assert_eq!(items(&rows), [("a", 4.0), ("d", 9.0)]);
    assert_eq!(
        messages(&rows),
        [
            "3: `sqrt` of -4 is not a finite number",
            "4: `power:300` of 28.284271247461902 is not a finite number"
        ]
    );
}

#[test]
fn a_file_of_nothing_but_bad_rows_needs_little_memory() {
    let mut text = "id,n\n1,1\n".to_owned();
    text.extend((0..50_000).map(|_| "long text\n"));
    let rows = read_text(&text, Format::CSV, &Wanted::default(), 1_000);
    assert_eq!(rows.bad.count, 50_000);
    assert_eq!(rows.bad.first.len(), BadRows::KEPT);
    let long = format!("id,n\n1,1\n2,{}\n", "é".repeat(1_000));
    let rows = read_text(&long, Format::CSV, &Wanted::default(), 1_000);
    assert!(messages(&rows)[0].chars().count() < 100);
}

#[test]
fn the_first_bad_rows_are_those_of_the_first_lines() {
    let (mut all, mut more) = (BadRows::default(), BadRows::default());
    for line in 0..15 {
        all.push(line, data::RowError::OpenQuote);
        more.push(100 + line, data::RowError::TooLong);
    }
    // Whichever come first.
    more.merge(all);
    assert_eq!((more.count, more.first.len()), (30, BadRows::KEPT));
    let lines: Vec<_> = more.first.iter().map(|row| row.line).collect();
    let expected: Vec<_> = (0..15).chain(100..105).collect();
    assert_eq!(lines, expected);
}

#[test]
fn a_wrong_first_line_of_json_is_one_of_the_bad_rows() {
    let text = "{\"t\":\"a\",\"v\":\n{\"t\":\"b\",\"v\":2}\n{\"t\":\"c\",\"v\":3}\n";
    for size in [1, 1_000] {
        let rows = read_text(text, Format::JsonLines, &Wanted::default(), size);
        assert_eq!(items(&rows), [("b", 2.0), ("c", 3.0)]);
        let messages = messages(&rows);
        assert_eq!(messages.len(), 1, "{messages:?}");
        assert!(
            messages[0].starts_with("1: not a JSON object: EOF"),
            "{messages:?}"
        );
    }
}

#[test]
fn a_first_record_without_a_number_does_not_change_the_fields() {
    let names = |text: &str, format| {
        let source = data::Source::text(
            Box::new(std::io::Cursor::new(text.to_owned())),
            format,
            &Wanted::default(),
            1,
        );
        let layout = source.unwrap().layout().clone();
        [layout.id.name.to_string(), layout.value.name.to_string()]
    };
    // An empty field, a wrong one, and one that only looks like a number.
    for first in ["a,x,,1", "a,x,one,1", "a,7,,1", "a", "a,x,\"1,1"] {
        let text = format!("id,kind,n,m\n{first}\nb,y,2,2\nc,z,3,3\nd,z,4,4\n");
        assert_eq!(names(&text, Format::CSV), ["id", "n"], "{first}");
    }
    // A field that is missing, or has nothing.
    for first in [
        "{\"m\":1}",
        "{\"m\":1,\"id\":\"a\"}",
        "{\"id\":\"a\",\"m\":1}",
        "{\"id\":\"a\",\"n\":null,\"m\":1}",
        "{\"id\":\"a\",\"n\":\"x\",\"m\":1}",
        "{\"id\":\"a\",",
    ] {
        let text = format!("{first}\n{{\"id\":\"b\",\"n\":2,\"m\":2}}\n{{\"id\":\"c\",\"n\":3}}\n");
        assert_eq!(names(&text, Format::JsonLines), ["id", "n"], "{first}");
    }
}

#[test]
fn a_row_whose_quote_is_not_closed_is_named_in_its_place() {
    // A cut before and behind it, and both in one chunk.
    let text = "id,n\na,x\nb,\"2\nc,y\nd,4\n";
    for size in [1, 9, 1_000] {
        let rows = read_text(text, Format::CSV, &wanted("id", "n"), size);
        assert_eq!(items(&rows), [("d", 4.0)]);
        let expected = [
            "2: `x` in the field `n` is not a finite number",
            "3: a quote opens here and is not closed",
            "4: `y` in the field `n` is not a finite number",
        ];
        assert_eq!(messages(&rows), expected, "{size}");
    }
}

#[test]
fn a_key_that_comes_twice_is_a_bad_row_if_it_matters() {
    let text = "{\"t\":\"a\",\"v\":1,\"x\":0}\n\
                {\"t\":\"b\",\"v\":2,\"v\":3}\n\
                {\"t\":\"c\",\"t\":\"d\",\"v\":4}\n\
                {\"t\":\"e\",\"x\":1,\"x\":2,\"v\":5}\n";
    let rows = read_text(text, Format::JsonLines, &Wanted::default(), 1);
    assert_eq!(items(&rows), [("a", 1.0), ("e", 5.0)]);
    let messages = messages(&rows);
    assert!(messages[0].starts_with("2: not a JSON object: the key `v` comes twice"));
    assert!(messages[1].starts_with("3: not a JSON object: the key `t` comes twice"));
}

/// A chunk as no [`data::Source`] makes it.
#[test]
fn a_block_without_records_is_empty() {
    for format in [Format::CSV, Format::JsonLines] {
        let field = |index| data::Field {
            name: "x".into(),
            index,
        };
        let layout = Layout {
            format,
            id: field(0),
            value: field(1),
            fields: 2,
        };
        let results = Results::new(ResultFormat::Items, 0);
        let mut rows = Rows::new([].into(), layout.into(), results);
        let block = data::Block {
            line: 1,
            bytes: b"\n\n \n"[..].into(),
        };
        read(&Chunk::Text(block), &mut rows).unwrap();
        // A line of one space has one field.
        assert!(items(&rows).is_empty() && rows.bad.count <= 1);
    }
}
