//! The text of a schema, from a file.
#![no_main]

use insula_fuzz::service::FuzzedRequest;
use insula_fuzz::{plant, within};
use insula_rpc::wire::{Schema, WireContract};
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: plant(seeds()),
    |input: &[u8]| {
        let Ok(text) = str::from_utf8(input) else {
            return;
        };
        let read = || text.parse::<Schema>();
        let Ok(schema) = within(text.len() * 256 + 1_024, read) else {
            return;
        };
        let written = schema.to_string();
        let again: Schema = written.parse().expect("what was written can be read");
        assert_eq!(again.to_string(), written);
        assert_eq!(again.hash(), schema.hash());
        assert_eq!(Schema::breaks(&schema, &again), []);
        // Whatever differs, it is told.
        let ours = FuzzedRequest::SCHEMA;
        for change in Schema::breaks(&schema, ours) {
            assert!(!change.to_string().is_empty());
        }
    }
);

fn seeds() -> Vec<Vec<u8>> {
    let ours = FuzzedRequest::SCHEMA.to_string();
    let other = "# a comment\ncontract Meter\nversion 2\n\nmethod record\n  kind unary\n  idempotent\n  \
                 parameter String\n  parameter u32\n  response ()\n  error Full\n";
    vec![ours.into(), other.into()]
}
