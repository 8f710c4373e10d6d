//! Risk: a cut inside of a record, lost bytes, or lines that are counted wrong.

use super::*;

fn blocks(text: &str, format: Format, size: usize) -> (Vec<Block>, BadRows) {
    let mut blocks = Blocks::new(text.as_bytes(), format, size).unwrap();
    let mut all = Vec::new();
    while let Some(block) = blocks.next_block().unwrap() {
        all.push(block);
    }
    (all, blocks.take_bad())
}

fn texts(blocks: &[Block]) -> Vec<(u64, &str)> {
    let text = |block| str::from_utf8(block).unwrap();
    blocks.iter().map(|it| (it.line, text(&it.bytes))).collect()
}

#[test]
fn a_block_ends_behind_a_record_whatever_is_in_quotes() {
    let text = "a,\"1\n2\"\nb,3\"\nc,\"4\"\"\n\"\nd,5";
    let (found, bad) = blocks(text, Format::CSV, 1);
    assert_eq!(
        texts(&found),
        [
            (1, "a,\"1\n2\"\n"),
            (3, "b,3\"\n"),
            (4, "c,\"4\"\"\n\"\n"),
            (6, "d,5")
        ]
    );
    assert_eq!(bad.count, 0);
}

#[test]
fn no_byte_is_lost_at_any_size() {
    let text = "a,\"x\ny\"\n\n\"\",\"\"\"\"\r\nq\"q,2\n\"\n\",\"b\"";
    for size in 1..text.len() + 2 {
        let (found, bad) = blocks(text, Format::CSV, size);
        assert_eq!(bad.count, 0, "{size}");
        let mut joined = String::new();
        for (line, block) in texts(&found) {
            assert_eq!(line, joined.matches('\n').count() as u64 + 1, "{size}");
            joined.push_str(block);
        }
        assert_eq!(joined, text, "{size}");
    }
}

#[test]
fn a_quote_that_is_not_closed_costs_its_line() {
    let text = "a,1\nb,\"2\nc,3\nd,4\n";
    for size in 1..30 {
        let (found, bad) = blocks(text, Format::CSV, size);
        let joined: String = texts(&found).iter().map(|(_, text)| *text).collect();
        assert_eq!(joined, "a,1\nc,3\nd,4\n", "{size}");
        assert_eq!((bad.count, bad.first[0].line), (1, 2));
        assert_eq!(bad.first[0].error, RowError::OpenQuote);
        assert_eq!(
            found.last().map(|it| it.line + matches(it)),
            Some(5),
            "{size}"
        );
    }
}

fn matches(block: &Block) -> u64 {
    block.bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[test]
fn a_line_that_is_too_long_costs_itself() {
    let long = "x".repeat(MAX_RECORD + 2 * MAX_CHUNK);
    let text = format!("{{}}\n{long}\n[]\n");
    let (found, bad) = blocks(&text, Format::JsonLines, 100);
    assert_eq!(texts(&found), [(1, "{}\n"), (3, "[]\n")]);
    assert_eq!((bad.count, bad.first[0].line), (1, 2));
    assert_eq!(bad.first[0].error, RowError::TooLong);
}

#[test]
fn the_first_record_is_behind_empty_lines_and_a_byte_order_mark() {
    let text = "\u{feff}\n \n\"a\nb\",c\n1,2\n";
    let mut blocks = Blocks::new(text.as_bytes(), Format::CSV, 1).unwrap();
    assert_eq!(blocks.peek().unwrap(), Some("\"a\nb\",c\n".as_bytes()));
    assert_eq!(blocks.line(), 3);
    blocks.skip_first();
    assert_eq!(blocks.next_block().unwrap().unwrap().line, 5);
    for empty in ["", "\n\n", " \r\n "] {
        let mut blocks = Blocks::new(empty.as_bytes(), Format::CSV, 1).unwrap();
        assert_eq!(blocks.peek().unwrap(), None);
    }
}

#[test]
fn a_look_at_the_first_records_leaves_them_where_they_are() {
    let text = "\n{\"a\":1}\n\n[2]\n\n3";
    for size in [1, 8, 1_000] {
        let mut blocks = Blocks::new(text.as_bytes(), Format::JsonLines, size).unwrap();
        let head = |most, blocks: &mut Blocks<&[u8]>| -> Vec<(u64, String)> {
            let records = blocks.head(most).unwrap().into_iter();
            let record = |(line, text)| (line, str::from_utf8(text).unwrap().trim().to_owned());
            records.map(record).collect()
        };
        let expected =
            [(2, "{\"a\":1}"), (4, "[2]"), (6, "3")].map(|(line, text)| (line, text.to_owned()));
        assert_eq!(head(100, &mut blocks), expected);
        assert_eq!(head(1, &mut blocks), expected[..1]);
        let first = blocks.next_block().unwrap().unwrap();
        // What was looked at is cut as anything else.
        assert_eq!(first.line, 2);
        assert!(first.bytes.len() <= size.max(8), "{first:?}");
    }
    let mut blocks = Blocks::new(&b"a,\"1\n2\"\nb,\"3"[..], Format::CSV, 1).unwrap();
    assert_eq!(blocks.head(100).unwrap(), [(1, &b"a,\"1\n2\"\n"[..])]);
}

#[test]
fn a_first_record_without_an_end_is_left_out() {
    let mut blocks = Blocks::new(&b"a,\"1\nb,2\n"[..], Format::CSV, 1).unwrap();
    assert_eq!(blocks.peek().unwrap(), Some(&b"b,2\n"[..]));
    assert_eq!((blocks.line(), blocks.take_bad().first[0].line), (2, 1));
    assert_eq!(blocks.next_block().unwrap().unwrap().line, 2);
}
