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

/// The most events that are asked for at once.
const PAGE: u64 = 1_000;

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
    let events: Events = client.call("getEvents", json!({ "since": 0, "limit": PAGE }))?;
    if global.json {
        return print_json(&events);
    }
    missed(events.dropped, global)?;
    print(&tables::events(&events.events).plain())
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
    let past: Events = client.call("getEvents", json!({ "since": 0, "limit": PAGE }))?;
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
        missed(client.take_missed(), global)?;
    }
}

fn lines(events: &Events, last: &mut u64, global: &Global) -> Outcome {
    missed(events.dropped, global)?;
    for event in &events.events {
        // The stream has some of the list again.
        if event.number <= *last {
            continue;
        }
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

/// Says that events were missed. JSON has it in each answer, and between lines it would be no
/// event.
fn missed(number: u64, global: &Global) -> Outcome {
    if number == 0 || global.json {
        return Ok(());
    }
    print(&format!("({number} events were missed)\n"))
}
