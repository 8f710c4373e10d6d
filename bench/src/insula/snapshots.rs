//! Snapshots for tools, and what they keep an isolate from.

use std::sync::Arc;
use std::time::{Duration, Instant};

use insula::{Isolate, ReceivePort, Runtime, SendPort};
use insula_sync::atomic::{AtomicU64, Ordering};

use super::Shape;
use crate::case::Sample;
use crate::measure::percentile;

/// About the time of a snapshot.
const LOOK: Duration = Duration::from_millis(20);

/// What is done while an isolate runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Snapshots, one after the other.
    Snapshots,
    /// A computation of about the same length, which keeps a core as busy.
    Computing,
}

/// Does something `count` times beside an isolate, among `isolates` that are idle. In each turn the
/// isolate spawns another one, and waits for it. Returns the milliseconds of a snapshot (NaN if there
/// is none), and p50 and p90 of the longest time from one turn of the isolate to the next, in
/// microseconds: of each snapshot the longest one counts.
pub(crate) fn stops(beside: Beside, isolates: u64, count: u64) -> Sample {
    // One thread for the isolates and one for the snapshots: a third would share a core with one of them.
    Shape::One.run_beside(|| {
        let idle: Vec<_> = (0..isolates).map(|_| idle()).collect();
        let longest = Arc::new(AtomicU64::new(0));
        let (probe, port) = Isolate::builder().spawn_pair({
            let longest = Arc::clone(&longest);
            move |port| turn_after_turn(port, longest)
        });
        port.send(()).expect("the probe is there");
        let (mut millis, mut micros) = (Vec::new(), Vec::new());
        for _ in 0..count {
            longest.store(0, Ordering::Relaxed);
            let start = Instant::now();
            match beside {
                Beside::Snapshots => {
                    let snapshot = Runtime::current().snapshot();
                    assert!(snapshot.isolates.len() as u64 > isolates);
                    millis.push(start.elapsed().as_secs_f64() * 1e3);
                }
                Beside::Computing => while start.elapsed() < LOOK {},
            }
            micros.push(longest.load(Ordering::Relaxed) as f64 / 1e3);
        }
        probe.kill();
        drop(idle);
        for values in [&mut millis, &mut micros] {
            values.sort_by(f64::total_cmp);
        }
        let times = [0.5, 0.9].map(|share| percentile(&micros, share));
        [percentile(&millis, 0.5), times[0], times[1]].into()
    })
}

/// Spawns an isolate that waits for messages.
fn idle() -> SendPort<()> {
    Isolate::spawn_with_port(|port: ReceivePort<()>| port.listen(|()| {}))
}

/// Spawns an isolate in each turn, which sends the message of the next one and ends. Keeps the longest
/// time between two turns.
fn turn_after_turn(port: ReceivePort<()>, longest: Arc<AtomicU64>) {
    let own = port.send_port();
    let mut last: Option<Instant> = None;
    port.listen(move |()| {
        let now = Instant::now();
        if let Some(last) = last.replace(now) {
            let nanos = now.duration_since(last).as_nanos() as u64;
            longest.fetch_max(nanos, Ordering::Relaxed);
        }
        // One at a time: a queue of them would be work of the probe's own.
        drop(Isolate::spawn(
            |probe: SendPort<()>| {
                let _ = probe.send(());
            },
            own.clone(),
        ));
    });
}
