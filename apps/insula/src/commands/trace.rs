//! The calls of pools, as they end.

use std::time::{Duration, Instant};

use insula_inspect::client::{Client, ClientError, Notification};
use insula_inspect::model::{EndedCall, EndedCalls};
use serde_json::Map;

use crate::cli::{Global, Trace};
use crate::failure::{Failure, Outcome};
use crate::output::{print, print_json_line};
use crate::tables::party;
use crate::target::{connect, find_pool};
use crate::text::{clean, instant, micros, pad, width};

/// The titles of the columns, and their widths: a line does not know the lines to come. A longer cell
/// is whole all the same.
const COLUMNS: [(&str, usize, bool); 7] = [
    ("AT", 10, true),
    ("METHOD", 24, false),
    ("POOL", 20, false),
    ("WORKER", 6, true),
    ("WAIT", 8, true),
    ("RUN", 8, true),
    ("OUTCOME", 9, false),
];

/// The longest time without a look at the clock.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Prints calls until the time is over or the program ends.
pub(super) fn run(options: &Trace, global: &Global) -> Outcome {
    let mut client = connect(&options.target, global)?;
    let params = params(&mut client, options)?;
    client.listen_with("Calls", params)?;
    if !global.json {
        print(&line(COLUMNS.map(|(title, ..)| title.to_owned())))?;
    }
    let end = options.time.map(|time| Instant::now() + time);
    loop {
        let left = end.map_or(LONGEST, |end| end.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return Ok(());
        }
        match client.next_notification(left) {
            Ok(Some(Notification::Calls(calls))) => lines(&calls, global)?,
            Ok(_) => {}
            // The program has ended, which is how this ends.
            Err(ClientError::Ended) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn params(client: &mut Client, options: &Trace) -> Result<Map<String, serde_json::Value>, Failure> {
    let mut params = Map::new();
    if let Some(pool) = &options.pool {
        params.insert("poolId".to_owned(), find_pool(client, pool)?.id.into());
    }
    if let Some(method) = &options.method {
        params.insert("method".to_owned(), method.as_str().into());
    }
    if let Some(slower_than) = options.slower_than {
        params.insert("slowerThanMs".to_owned(), slower_than.into());
    }
    Ok(params)
}

fn lines(calls: &EndedCalls, global: &Global) -> Outcome {
    for call in &calls.calls {
        match global.json {
            true => print_json_line(call)?,
            false => print(&line(cells(call)))?,
        }
    }
    // JSON has a line for each call and nothing else.
    match calls.dropped {
        0 => Ok(()),
        _ if global.json => Ok(()),
        dropped => print(&format!("({dropped} calls came too fast)\n")),
    }
}

fn cells(call: &EndedCall) -> [String; 7] {
    let time = |time: Option<f64>| time.map_or_else(|| "-".to_owned(), micros);
    [
        instant(call.at_ms),
        clean(&call.method),
        party(&call.pool),
        call.worker
            .map_or_else(|| "-".to_owned(), |it| it.to_string()),
        time(call.wait_us),
        time(call.run_us),
        clean(&call.outcome),
    ]
}

fn line(cells: [String; 7]) -> String {
    let columns = cells.iter().zip(COLUMNS);
    let padded =
        columns.map(|(cell, (_, least, is_right))| pad(cell, least.max(width(cell)), is_right));
    let padded: Vec<_> = padded.collect();
    format!("{}\n", padded.join("  ").trim_end())
}
