//! What has happened, and what happens.

use std::time::Duration;

use insula_inspect::client::{Client, ClientError, Notification};
use insula_inspect::model::{Event, Events, Recording};
use serde_json::json;

use crate::cli::{Follow, Global};
use crate::failure::Outcome;
use crate::output::{print, print_json, print_json_line};
use crate::tables;
use crate::target::connect;
use crate::text::{clean, instant, pad};

/// The most events that the server returns at once.
const PAGE: usize = 1_000;

/// The most events of a list. A server keeps far fewer, but what it says of itself is not trusted.
const MAX_EVENTS: usize = 1_000_000;

/// The columns of the parts of a line that does not know the lines to come.
const WIDTHS: [usize; 3] = [10, 12, 14];

/// Prints events.
pub(super) fn run(options: &Follow, global: &Global) -> Outcome {
    let mut client = connect(&options.target, global)?;
    if options.follow {
        return follow(&mut client, global);
    }
    if options.recorded {
        return recorded(&mut client, global);
    }
    let events = all(&mut client)?;
    if global.json {
        return print_json(&events);
    }
    missed(events.dropped, global)?;
    print(&tables::events(&events.events).plain())
}

/// Returns all events that the program has kept, page by page. The list ends at the newest one of the
/// first answer or soon after it, so that a program that makes events faster than they are read does
/// not hold this up. `dropped` counts those that were lost before and between the pages.
///
/// # Errors
/// Returns the error of the first call that fails.
pub(super) fn all(client: &mut Client) -> Result<Events, ClientError> {
    let mut all = page(client, 0)?;
    let end = all.newest;
    let mut length = all.events.len();
    while length >= PAGE && all.events.len() < MAX_EVENTS {
        let last = last_number(&all);
        if last >= end {
            break;
        }
        let next = page(client, last)?;
        length = next.events.len();
        all.dropped = all.dropped.saturating_add(next.dropped);
        all.newest = next.newest;
        all.events.extend(next.events);
    }
    Ok(all)
}

fn page(client: &mut Client, since: u64) -> Result<Events, ClientError> {
    client.call("getEvents", json!({ "since": since, "limit": PAGE }))
}

fn last_number(events: &Events) -> u64 {
    events.events.last().map_or(0, |event| event.number)
}

/// Prints what the flight recorder has.
fn recorded(client: &mut Client, global: &Global) -> Outcome {
    let recording: Recording = client.call("getRecording", json!({}))?;
    if global.json {
        return print_json(&recording);
    }
    print(&tables::recorded(&recording.events).plain())
}

/// Prints events as they come, until the connection ends.
fn follow(client: &mut Client, global: &Global) -> Outcome {
    // First of all, so that no event comes between the list and the stream.
    client.listen("Events")?;
    let past = all(client)?;
    let mut last = 0;
    lines(&past, &mut last, global)?;
    loop {
        match client.next_notification(Duration::from_secs(3_600)) {
            Ok(Some(Notification::Events(events))) => lines(&events, &mut last, global)?,
            Ok(_) => {}
            // The program has ended, which is how this ends.
            Err(ClientError::Ended) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Prints the events after `last`. Their numbers tell how many are missing before each of them, whether
/// the program has dropped them or this client, whose notifications wait while it asks for the list.
fn lines(events: &Events, last: &mut u64, global: &Global) -> Outcome {
    for event in &events.events {
        // The stream has some of the list again.
        if event.number <= *last {
            continue;
        }
        missed(event.number - *last - 1, global)?;
        *last = event.number;
        if global.json {
            print_json_line(event)?;
        } else {
            print(&line(event))?;
        }
    }
    Ok(())
}

fn line(event: &Event) -> String {
    let [at, kind, subject] = WIDTHS;
    format!(
        "{}  {}  {}  {}\n",
        pad(&instant(event.at_ms), at, true),
        pad(&clean(&event.kind), kind, false),
        pad(&clean(&event.subject), subject, false),
        clean(&event.text)
    )
}

/// Says that events were missed. A list as JSON has the number as a member, and between lines, which
/// have the numbers of their events, it would be no event.
fn missed(number: u64, global: &Global) -> Outcome {
    if number == 0 || global.json {
        return Ok(());
    }
    print(&format!("({number} events were missed)\n"))
}
