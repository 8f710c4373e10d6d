//! Risk: a change that breaks callers passes the check, or one that breaks none is refused.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::check::{Writes, check};
use super::{Break, MethodSchema, Schema};
use crate::contract::{MethodDescriptor, MethodKind};

const TEXT: &str = "\
contract Meter
version 2

method means
  kind bidirectional
  sent f64
  item f64
  error Aborted

method record
  kind unary
  idempotent
  parameter String
  parameter HashMap<String, Vec<(u8, u8)>>
  response ()
  error Full
";

/// In another order than in the text.
static METER: Schema = {
    const METHODS: &[MethodSchema] = &[
        MethodSchema::new(
            descriptor("record", MethodKind::Unary, true),
            &[
                Cow::Borrowed("String"),
                Cow::Borrowed("HashMap<String, Vec<(u8, u8)>>"),
            ],
            None,
            "()",
            "Full",
        ),
        MethodSchema::new(
            descriptor("means", MethodKind::Bidirectional, false),
            &[],
            Some("f64"),
            "f64",
            "Aborted",
        ),
    ];
    Schema::new("Meter", 2, METHODS)
};

const fn descriptor(name: &'static str, kind: MethodKind, is_idempotent: bool) -> MethodDescriptor {
    MethodDescriptor {
        name,
        id: 0,
        kind,
        is_idempotent,
        work: crate::WorkType::Balanced,
    }
}

/// FNV-1a, as it is published.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn parsed(text: &str) -> Schema {
    text.parse()
        .unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_schema_is_written_and_read() {
    assert_eq!(METER.to_string(), TEXT);
    assert_eq!(parsed(TEXT).to_string(), TEXT);
    let commented = TEXT.replace("version 2", "# why\n\n   version   2\r");
    assert_eq!(parsed(&commented).to_string(), TEXT);
    let means = METER.method("means").expect("is there");
    assert_eq!(
        (means.kind(), means.sent(), means.answer(), means.error()),
        (MethodKind::Bidirectional, Some("f64"), "f64", "Aborted")
    );
    let record = METER.method("record").expect("is there");
    assert_eq!(
        record.parameters().nth(1),
        Some("HashMap<String, Vec<(u8, u8)>>")
    );
}

#[test]
fn the_hash_is_that_of_the_text() {
    const HASH: u64 = METER.hash();
    assert_eq!(HASH, fnv1a(TEXT));
    for version in [0, 9, 10, 1234567890, u32::MAX] {
        let schema = Schema {
            version,
            ..METER.clone()
        };
        assert_eq!(schema.hash(), fnv1a(&schema.to_string()));
        assert_eq!(parsed(&schema.to_string()).hash(), schema.hash());
    }
    let empty = Schema::new("Ünicode", 1, &[]);
    assert_eq!(empty.hash(), fnv1a("contract Ünicode\nversion 1\n"));
}

#[test]
fn a_text_that_is_no_schema_is_refused_with_its_line() {
    for (from, to, why) in [
        (TEXT, "", "line 0: `contract …` is missing after this line"),
        ("version 2", "version two", "line 2: `two` is no version"),
        (
            "kind unary",
            "kind single",
            "line 11: `single` is no kind of calls",
        ),
        (
            "  sent f64\n",
            "",
            "line 6: `sent …` is expected here, not `item f64`",
        ),
        (
            "  item f64",
            "  response f64",
            "line 7: `item …` is expected here, not `response f64`",
        ),
        (
            "  error Full\n",
            "",
            "line 15: `error …` is missing after this line",
        ),
        (
            "method record",
            "method means",
            "line 10: a second method `means`",
        ),
        (
            "  error Aborted\n",
            "  error Aborted\n  more\n",
            "line 9: `method …` is expected here, not `more`",
        ),
    ] {
        let text = TEXT.replacen(from, to, 1);
        let error = text.parse::<Schema>().expect_err(&text);
        assert_eq!(error.to_string(), why);
    }
}

/// A change of one thing in the text, and the break that it is.
fn breaks(from: &str, to: &str) -> Vec<Break> {
    let text = TEXT.replacen(from, to, 1);
    assert_ne!(text, TEXT, "{from}");
    Schema::breaks(&METER, &parsed(&text))
}

fn told(breaks: &[Break]) -> Vec<String> {
    breaks.iter().map(ToString::to_string).collect()
}

#[test]
fn each_change_that_breaks_is_named() {
    let same = "the version was 2 and is 2";
    for (from, to, expected) in [
        ("Meter", "Gauge", "the contract `Meter` is called `Gauge`"),
        ("method means", "method average", "`means` was removed"),
        (
            "kind bidirectional\n  sent f64\n  item",
            "kind server-streaming\n  item",
            "`means` was bidirectional and is server-streaming",
        ),
        (
            "  sent f64",
            "  sent f32",
            "the caller of `means` sent items `f64` and sends `f32`",
        ),
        (
            "  item f64",
            "  item f32",
            "`means` answered with `f64` and does with `f32`",
        ),
        (
            "error Full",
            "error Empty",
            "`record` failed with `Full` and does with `Empty`",
        ),
        (
            "parameter String",
            "parameter Name",
            "parameter 1 of `record` was `String` and is `Name`",
        ),
        (
            "  response ()",
            "  parameter u8\n  response ()",
            "`record` has a further parameter `u8`",
        ),
        (
            "  parameter HashMap<String, Vec<(u8, u8)>>\n",
            "",
            "`record` has no parameter `HashMap<String, Vec<(u8, u8)>>` any more",
        ),
        ("  idempotent\n", "", "`record` is no longer idempotent"),
    ] {
        assert_eq!(told(&breaks(from, to)), [expected, same]);
    }
    assert_eq!(
        breaks("version 2", "version 1"),
        [Break::VersionNotRaised { old: 2, new: 1 }]
    );
}

#[test]
fn a_change_that_breaks_nothing_needs_no_version() {
    let added = TEXT.replace(
        "method record",
        "method later\n  kind unary\n  response ()\n  error E\n\nmethod record",
    );
    assert_eq!(Schema::breaks(&METER, &parsed(&added)), []);
    let idempotent = TEXT.replace("bidirectional\n", "bidirectional\n  idempotent\n");
    assert_eq!(Schema::breaks(&METER, &parsed(&idempotent)), []);
    assert_eq!(breaks("version 2", "version 3"), []);
    let raised = TEXT
        .replace("version 2", "version 3")
        .replace("error Full", "error Empty");
    assert_eq!(Schema::breaks(&METER, &parsed(&raised)).len(), 1);
}

/// A file that is removed again.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(format!("insula-schema-{process}-{number}"));
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.join("contracts/meter.txt")
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path()).expect("was written")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn changed(from: &str, to: &str) -> Schema {
    parsed(&TEXT.replacen(from, to, 1))
}

#[test]
fn a_file_is_written_once_and_compared_from_then_on() {
    let scratch = Scratch::new();
    let missing = check(&METER, &scratch.path(), Writes::No).expect_err("no file");
    assert!(
        missing.starts_with("there is no schema of `Meter` at "),
        "{missing}"
    );
    assert!(missing.contains("INSULA_SCHEMA=write"), "{missing}");
    assert_eq!(check(&METER, &scratch.path(), Writes::Yes), Ok(()));
    assert!(scratch.text().starts_with("# The schema of a contract."));
    assert!(scratch.text().ends_with(TEXT));
    assert_eq!(check(&METER, &scratch.path(), Writes::No), Ok(()));
}

#[test]
fn a_break_is_refused_whether_the_file_may_be_written_or_not() {
    let scratch = Scratch::new();
    assert_eq!(check(&METER, &scratch.path(), Writes::Yes), Ok(()));
    let broken = changed("error Full", "error Empty");
    for writes in [Writes::No, Writes::Yes] {
        assert_eq!(
            check(&broken, &scratch.path(), writes).expect_err("breaks"),
            "the contract `Meter` breaks its callers, and has the same version:\n\
             - `record` failed with `Full` and does with `Empty`\n\
             - the version was 2 and is 2\n\
             take the change back, or write `version = 3` in the options of the contract and run \
             this test with INSULA_SCHEMA=write in its environment"
        );
    }
    assert!(scratch.text().ends_with(TEXT), "it is as it was");
    let lowered = changed("version 2", "version 1");
    let why = check(&lowered, &scratch.path(), Writes::Yes).expect_err("lowered");
    assert!(
        why.starts_with("the version of the contract `Meter` was lowered:"),
        "{why}"
    );
}

#[test]
fn a_change_that_may_be_made_is_described_and_written() {
    let scratch = Scratch::new();
    assert_eq!(check(&METER, &scratch.path(), Writes::Yes), Ok(()));
    let added = changed(
        "method record",
        "method later\n  kind unary\n  response ()\n  error E\n\nmethod record",
    );
    let why = check(&added, &scratch.path(), Writes::No).expect_err("differs");
    assert!(why.contains("Nothing breaks; new are `later`"), "{why}");
    assert_eq!(check(&added, &scratch.path(), Writes::Yes), Ok(()));
    let raised = parsed(
        &added
            .to_string()
            .replace("version 2", "version 3")
            .replace("error Full", "error Empty"),
    );
    let why = check(&raised, &scratch.path(), Writes::No).expect_err("differs");
    assert!(
        why.contains("version 2 of the contract `Meter`, which is at 3"),
        "{why}"
    );
    assert!(why.contains("\n- `record` failed with"), "{why}");
    assert_eq!(check(&raised, &scratch.path(), Writes::Yes), Ok(()));
    assert_eq!(check(&raised, &scratch.path(), Writes::No), Ok(()));
}

#[test]
fn a_file_that_is_no_schema_is_not_written_over() {
    let scratch = Scratch::new();
    assert_eq!(check(&METER, &scratch.path(), Writes::Yes), Ok(()));
    std::fs::write(scratch.path(), "my notes").expect("can be written");
    let why = check(&METER, &scratch.path(), Writes::Yes).expect_err("no schema");
    assert!(why.contains("is no schema: line 1"), "{why}");
    assert_eq!(scratch.text(), "my notes");
}
