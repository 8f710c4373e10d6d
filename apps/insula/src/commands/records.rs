//! Everything at once: a document of one moment, and a record of some time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use insula_inspect::client::{Client, ClientError};
use insula_inspect::model::{
    Events, History, Isolate, IsolateDetail, Isolates, Mailboxes, PROTOCOL, PoolDetail, Recording,
    Threads, Version, Vm, Waits,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::events;
use crate::cli::{self, Global};
use crate::failure::{Failure, Outcome};
use crate::look::{details, found, look, pools};
use crate::output::{print, print_json, print_json_line};
use crate::record::{Writer, each};
use crate::target::connect;
use crate::text::{clean, several};

/// The most isolates that the server returns at once.
const PAGE: usize = 1_000;

/// The error of a method that the server does not know.
const NO_METHOD: i64 = -32_601;

/// The most isolates in a document.
const MAX_ISOLATES: usize = 1_000_000;

/// The time between two looks of a record.
const EVERY: Duration = Duration::from_secs(1);

/// The longest time for which a request to stop is not seen.
const PATIENCE: Duration = Duration::from_millis(100);

/// A program at one moment.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    protocol: Version,
    vm: Vm,
    isolates: Vec<Isolate>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    isolate_details: Vec<IsolateDetail>,
    pools: Vec<PoolDetail>,
    threads: Threads,
    /// Absent if the program is older than their list, as is the recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    mailboxes: Option<Mailboxes>,
    waits: Waits,
    history: History,
    #[serde(skip_serializing_if = "Option::is_none")]
    recording: Option<Recording>,
    events: Events,
}

/// Prints everything as one JSON document.
pub(super) fn dump(options: &cli::Dump, global: &Global) -> Outcome {
    let mut client = connect(&options.target, global)?;
    let client = &mut client;
    let vm = client.call("getVM", json!({}))?;
    let isolates = all_isolates(client)?;
    let mut isolate_details = Vec::new();
    if options.details {
        for isolate in &isolates {
            let params = json!({ "isolateId": isolate.id });
            isolate_details.extend(found(client.call("getIsolate", params))?);
        }
    }
    let pools = pools(client)?;
    print_json(&Document {
        protocol: PROTOCOL,
        vm,
        isolates,
        isolate_details,
        pools: details(client, &pools)?,
        threads: client.call("getThreads", json!({}))?,
        mailboxes: unless_older(client, "getMailboxes")?,
        waits: client.call("getWaits", json!({}))?,
        history: client.call("getHistory", json!({ "limit": 600 }))?,
        recording: unless_older(client, "getRecording")?,
        events: events::all(client)?,
    })
}

/// Returns the answer to a method; nothing of a program that is older than the method.
fn unless_older<T: DeserializeOwned>(
    client: &mut Client,
    method: &str,
) -> Result<Option<T>, ClientError> {
    match client.call(method, json!({})) {
        Ok(answer) => Ok(Some(answer)),
        Err(ClientError::Failed {
            code: NO_METHOD, ..
        }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns all isolates, page by page. Those that are spawned or end meanwhile may be there or not.
fn all_isolates(client: &mut Client) -> Result<Vec<Isolate>, ClientError> {
    let mut all = Vec::new();
    while all.len() < MAX_ISOLATES {
        let params = json!({ "sort": "id", "offset": all.len(), "limit": PAGE });
        let page: Isolates = client.call("getIsolates", params)?;
        let is_last = page.isolates.len() < PAGE;
        all.extend(page.isolates);
        if is_last {
            break;
        }
    }
    Ok(all)
}

/// Writes a look each second, until the time is over, the user stops it, or the program ends.
pub(super) fn record(options: &cli::Record, global: &Global) -> Outcome {
    let mut client = connect(&options.target, global)?;
    let vm: Vm = client.call("getVM", json!({}))?;
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    ctrlc::set_handler(move || told.store(true, Ordering::Relaxed))
        .map_err(|error| Failure::operation(format!("signals cannot be handled: {error}"), ""))?;
    let mut writer = Writer::create(&options.file, options.force, vm)?;
    let start = Instant::now();
    let end = options.seconds.map(|seconds| start + seconds);
    let mut why = "";
    for number in 0_u32.. {
        let due = start + EVERY * number;
        if !sleep_until(due, end, &stop) {
            break;
        }
        match look(&mut client, &writer.wanted()) {
            Ok(look) => writer.add(look)?,
            Err(ClientError::Ended) => {
                why = "; the program has ended";
                break;
            }
            // One look is missing.
            Err(ClientError::TimedOut { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let looks = several(writer.looks(), "look");
    let path = clean(&options.file.display().to_string());
    match global.json {
        true => print_json(&json!({ "file": path, "looks": writer.looks() })),
        false => print(&format!("{looks} in {path}{why}\n")),
    }
}

/// Prints the looks of a record, each as JSON on one line.
pub(super) fn looks(options: &cli::Replay) -> Outcome {
    each(&options.file, |look| print_json_line(&look))
}

/// Returns whether `due` was reached before the end and before the user has stopped it.
fn sleep_until(due: Instant, end: Option<Instant>, stop: &AtomicBool) -> bool {
    loop {
        let now = Instant::now();
        if stop.load(Ordering::Relaxed) || end.is_some_and(|end| now >= end) {
            return false;
        }
        let left = due.saturating_duration_since(now);
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(PATIENCE));
    }
}
