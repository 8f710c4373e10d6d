//! Lists: programs, isolates, pools, threads, mailboxes and waits.

use std::fmt::Write;

use insula_inspect::announce::announced;
use insula_inspect::model::{Isolates, Mailboxes, Pools, Threads, Waits};
use serde_json::json;

use crate::cli::{Global, Ps, Target};
use crate::failure::{Failure, Outcome};
use crate::output::{print, print_json};
use crate::tables;
use crate::target::connect;
use crate::text::several;

/// The most isolates that the server returns at once.
const PAGE: u64 = 1_000;

/// Lists the programs that have announced themselves.
pub(super) fn programs(global: &Global) -> Outcome {
    let programs = announced().map_err(|error| {
        Failure::connection(
            format!("cannot read the announcements of programs: {error}"),
            "Give the address that the program prints",
        )
    })?;
    if global.json {
        print_json(&programs)
    } else {
        print(&tables::programs(&programs).plain())
    }
}

/// Lists isolates.
pub(super) fn isolates(options: &Ps, global: &Global) -> Outcome {
    let mut client = connect(&options.target, global)?;
    let mut all = Isolates::default();
    loop {
        let offset = all.isolates.len() as u64;
        let left = options.limit.saturating_sub(offset);
        let mut params = json!({ "sort": options.sort, "offset": offset, "limit": left.min(PAGE) });
        if let Some(filter) = &options.filter {
            params["filter"] = filter.as_str().into();
        }
        if options.ports {
            params["ports"] = true.into();
        }
        if let Some(state) = options.state {
            params["state"] = state.word().into();
        }
        let page: Isolates = client.call("getIsolates", params)?;
        let length = page.isolates.len() as u64;
        all.total = page.total;
        all.matched = page.matched;
        all.unanswered = page.unanswered;
        all.isolates.extend(page.isolates);
        // A page that is not full is the last one.
        if length < PAGE || length >= left {
            break;
        }
    }
    if global.json {
        return print_json(&all);
    }
    let mut text = tables::isolates(&all.isolates).plain();
    if (all.isolates.len() as u64) < all.matched {
        let matched = several(all.matched, "isolate");
        // Writing to a text cannot fail.
        let _ = writeln!(text, "({matched}; the others with --limit)");
    }
    if all.unanswered > 0 {
        let isolates = several(all.unanswered, "isolate");
        let _ = writeln!(
            text,
            "({isolates} did not tell the number of ports in time)"
        );
    }
    print(&text)
}

/// Lists pools.
pub(super) fn pools(target: &Target, global: &Global) -> Outcome {
    let mut client = connect(target, global)?;
    let pools: Pools = client.call("getPools", json!({}))?;
    if global.json {
        print_json(&pools)
    } else {
        print(&tables::pools(&pools.pools).plain())
    }
}

/// Lists the threads of the pool of threads, and the native ports, which have threads of their own.
pub(super) fn threads(target: &Target, global: &Global) -> Outcome {
    let mut client = connect(target, global)?;
    let threads: Threads = client.call("getThreads", json!({}))?;
    if global.json {
        return print_json(&threads);
    }
    let mut text = tables::threads(&threads).plain();
    if threads.queued > 0 {
        let queued = several(threads.queued, "isolate");
        let _ = writeln!(text, "({queued} in the queue of all threads)");
    }
    if !threads.native_ports.is_empty() {
        let ports = tables::native_ports(&threads.native_ports).plain();
        let _ = write!(text, "\n{ports}");
    }
    print(&text)
}

/// Lists the mailboxes.
pub(super) fn mailboxes(target: &Target, global: &Global) -> Outcome {
    let mut client = connect(target, global)?;
    let mailboxes: Mailboxes = client.call("getMailboxes", json!({}))?;
    if global.json {
        print_json(&mailboxes)
    } else {
        print(&tables::mailboxes(&mailboxes.mailboxes).plain())
    }
}

/// Lists waits, and the cycles among them.
pub(super) fn waits(target: &Target, global: &Global) -> Outcome {
    let mut client = connect(target, global)?;
    let waits: Waits = client.call("getWaits", json!({}))?;
    if global.json {
        return print_json(&waits);
    }
    let mut text = tables::waits(&waits.waits).plain();
    for cycle in &waits.cycles {
        let parties: Vec<_> = cycle
            .iter()
            .chain(cycle.first())
            .map(tables::party)
            .collect();
        let _ = writeln!(text, "cycle: {}", parties.join(" -> "));
    }
    if waits.unanswered > 0 {
        let isolates = several(waits.unanswered, "isolate");
        let _ = writeln!(
            text,
            "({isolates} did not say in time: they compute or block)"
        );
    }
    if waits.not_asked > 0 {
        let isolates = several(waits.not_asked, "idle isolate");
        let _ = writeln!(
            text,
            "({isolates} more were not asked: `insula why` finds the waits of one)"
        );
    }
    print(&text)
}
