//! The risk: the schema of the protocol, by which clients are written, is not that of the server.

use std::collections::BTreeMap;
use std::env;
use std::fs;

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use super::*;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.json");

/// Returns the schema of all results of the protocol.
fn schema() -> Value {
    let mut generator = SchemaGenerator::from(SchemaSettings::draft2020_12());
    let mut results = BTreeMap::new();
    macro_rules! result {
        ($($method:literal => $type:ty),* $(,)?) => {
            $(results.insert($method, generator.subschema_for::<$type>());)*
        };
    }
    result! {
        "getVersion" => Version,
        "getVM" => Vm,
        "getIsolates" => Isolates,
        "getIsolate" => IsolateDetail,
        "getPorts" => Ports,
        "getThreads" => Threads,
        "getMailboxes" => Mailboxes,
        "getWaits" => Waits,
        "getPools" => Pools,
        "getPool" => PoolDetail,
        "getHistory" => History,
        "getEvents" => Events,
        "getRecording" => Recording,
        "profile" => Profile,
        "streamNotify Calls" => EndedCalls,
        "pause" => Done,
        "resume" => Done,
        "kill" => Done,
        "ping" => Done,
        "drain" => Done,
        "resize" => Done,
        "recycle" => Done,
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The results of the methods of the inspector, by method",
        "version": PROTOCOL,
        "properties": results,
        "$defs": generator.take_definitions(true),
    })
}

#[test]
fn the_schema_file_is_that_of_the_types() {
    let schema = schema();
    if env::var_os("INSULA_WRITE_SCHEMA").is_some() {
        fs::write(FILE, format!("{schema:#}\n")).expect("the file can be written");
    }
    let file = fs::read_to_string(FILE).unwrap_or_default();
    // Not as texts: the order of members depends on what else is compiled.
    let file: Value = serde_json::from_str(&file).unwrap_or_default();
    assert!(
        file == schema,
        "schema.json is not that of the types: run this test with INSULA_WRITE_SCHEMA=1"
    );
}

#[test]
fn a_client_reads_what_an_older_server_has_left_out_and_a_newer_one_has_added() {
    let vm: Vm = serde_json::from_value(json!({ "name": "mill", "new": [1] })).expect("it is read");
    assert_eq!((vm.name.as_str(), vm.pid), ("mill", 0));
}
