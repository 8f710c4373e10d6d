//! Runs one storm and compares everything at its end.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use futures_util::future::{join, join_all, poll_immediate};
use insula_core::{Isolate, Runtime, sleep};
use insula_pool::{Health, PoolPhase, WorkerPool};
use insula_sync::atomic::{AtomicBool, Ordering};

use crate::caller::client;
use crate::dice::Dice;
use crate::ledger::Ledger;
use crate::service::{Service, StormRequest, StormResponder};
use crate::weather::{End, Weather};

/// What a storm runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Seeded,
    Threads,
}

type Pool = WorkerPool<StormRequest>;

/// Far more than a storm takes on a busy machine.
const HANGS: Duration = Duration::from_secs(90);

/// Runs the storm of a seed. Fails with the seed if anything is wrong.
pub(crate) fn storm(kind: Kind, seed: u64) {
    let (done, finished) = channel();
    let runner = thread::spawn(move || {
        let wrong = run(kind, seed);
        // The other side has given up if it takes too long.
        let _ = done.send(wrong);
    });
    let wrong = match finished.recv_timeout(HANGS) {
        Ok(wrong) => wrong,
        Err(RecvTimeoutError::Timeout) => vec!["it hangs".to_owned()],
        Err(RecvTimeoutError::Disconnected) => {
            let _panic = runner.join();
            vec!["it panicked".to_owned()]
        }
    };
    if !wrong.is_empty() {
        let weather = Weather::new(kind, &mut Dice::new(seed));
        panic!(
            "storm {seed} ({kind:?}):\n{}\n{weather:#?}\nINSULA_SEED={seed} runs it alone",
            wrong.join("\n")
        );
    }
}

fn run(kind: Kind, seed: u64) -> Vec<String> {
    let mut dice = Dice::new(seed);
    let weather = Weather::new(kind, &mut dice);
    let witness = Arc::new(());
    let ledger = Ledger::new(&weather, &witness);
    let runtime = match kind {
        Kind::Seeded => Runtime::builder().seeded(dice.next()).build(),
        Kind::Threads => {
            let threads = 1 + dice.below(3) as usize;
            Runtime::builder().threads(threads).build()
        }
    };
    let inside = ledger.clone();
    let ran = runtime.block_on(async { Isolate::run_async(move || play(inside, dice)).await });
    runtime.shut_down();
    let mut wrong = ledger.check();
    match ran {
        Ok(found) => wrong.extend(found),
        Err(error) => wrong.push(error.to_string()),
    }
    if ledger.running() > 0 {
        wrong.push(format!("{} handlers were not dropped", ledger.running()));
    }
    drop(ledger);
    let kept = Arc::strong_count(&witness) - 1;
    if kept > 0 {
        wrong.push(format!("{kept} things were not dropped"));
    }
    wrong
}

/// A storm from its pool's beginning to its end.
async fn play(ledger: Ledger, mut dice: Dice) -> Vec<String> {
    let weather = ledger.weather().clone();
    let pool = build(&ledger, &weather, dice.next()).await;
    ledger.serve(pool.caller());
    let clients = (0..weather.clients).map(|number| {
        let (ledger, dice) = (ledger.clone(), dice.split());
        Isolate::run_async(move || client(ledger, number, dice))
    });
    let clients: Vec<_> = clients.collect();
    let are_done = AtomicBool::new(false);
    let calling = async {
        let clients = join_all(clients).await;
        are_done.store(true, Ordering::SeqCst);
        clients
    };
    let (clients, pool) = join(calling, end(&ledger, &weather, &are_done, pool)).await;
    let mut wrong = Vec::new();
    for (number, client) in clients.into_iter().enumerate() {
        if let Err(error) = client {
            wrong.push(format!("client {number}: {error}"));
        }
    }
    if let Some(pool) = pool {
        // Nothing that ends a call comes after the shutdown and the last call's end.
        wrong.extend(ledger.audit(&pool.stats()));
        let status = pool.status();
        let is_busy = status.workers.iter().any(|worker| worker.busy > 0);
        if status.phase != PoolPhase::Closed || status.queued + status.waiting > 0 || is_busy {
            wrong.push(format!("not at rest: {status:?}"));
        }
    }
    wrong
}

async fn build(ledger: &Ledger, weather: &Weather, seed: u64) -> Pool {
    let service = Service {
        ledger: ledger.clone(),
    };
    let is_deadly = weather.is_deadly;
    let factory = move |cx: insula_pool::WorkerContext| {
        let service = service.clone();
        async move {
            let draw = seed ^ u64::from(cx.incarnation()) << 8 ^ cx.worker().index() as u64;
            let mut dice = Dice::new(draw);
            if cx.incarnation() > 0 && dice.percent(50) {
                sleep(Duration::from_micros(dice.below(500))).await;
            }
            match cx.incarnation() {
                0 => {}
                _ if is_deadly && dice.percent(5) => Err("no more of it")?,
                _ if is_deadly && dice.percent(5) => panic!("no more of it"),
                _ => {}
            }
            Ok(service)
        }
    };
    let builder = WorkerPool::builder()
        .name("storm")
        .workers(weather.workers())
        .concurrency_per_worker(weather.at_once)
        .queue(weather.queue())
        .balance(weather.balance.clone())
        .measure(weather.measure)
        .restart(weather.restart.clone())
        .recycle(weather.recycle)
        .grace(weather.grace);
    let builder = match weather.quarantine {
        Some(ends) => builder.quarantine_after(ends),
        None => builder,
    };
    let builder = match weather.stuck_after {
        Some(time) => builder.health(Health::stuck_after(time)),
        None => builder,
    };
    let pool = builder.service::<StormResponder<_>>(factory).build().await;
    pool.expect("first states can be built")
}

/// Ends the pool once there were so many calls. Gives it back, unless it was dropped.
async fn end(
    ledger: &Ledger,
    weather: &Weather,
    are_done: &AtomicBool,
    pool: Pool,
) -> Option<Pool> {
    let mut looks = 0;
    while !are_done.load(Ordering::SeqCst) {
        // Calls that have no end of their own are ended after a while.
        if !weather.is_calm && (looks > 500 || ledger.sent() >= weather.lasts) {
            break;
        }
        looks += 1;
        if weather.reloads.is_some_and(|every| looks % every == 0) {
            // Its end is seldom seen: the next one begins it anew.
            let _unfinished = poll_immediate(Box::pin(pool.reload())).await;
        }
        sleep(Duration::from_micros(100)).await;
    }
    ledger.end();
    match weather.end {
        End::ShutDown(plan) => {
            pool.shut_down(plan).await;
        }
        End::Twice(one, other) => {
            let reports = join(pool.shut_down(one), pool.shut_down(other)).await;
            if reports.0 != reports.1 {
                ledger.wrong(format!("two reports: {reports:?}"));
            }
        }
        End::Impatient(plan) => {
            let _unfinished = poll_immediate(Box::pin(pool.shut_down(plan))).await;
            pool.shut_down(plan).await;
        }
        End::Drop => {
            drop(pool);
            return None;
        }
    }
    Some(pool)
}
