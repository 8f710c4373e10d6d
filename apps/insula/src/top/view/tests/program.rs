//! Programs to look at: one that is busy, one that has nothing, and one whose names mean harm.

use insula_inspect::model::{
    Call, Event, Isolate, IsolateDetail, IsolateState, Isolates, Latency, Method, NativePort,
    Outcomes, Party, Pool, PoolDetail, Port, Question, Sample, Severity, Thread, ThreadState,
    Threads, Vm, Wait, Waits, Worker,
};

use crate::look::Look;

pub(super) const HOSTILE: [&str; 6] = [
    "\u{1b}[2J\u{1b}[31mred\u{1b}]0;title\u{7}",
    "line\nbreak\r\ttab",
    "exe\u{202e}gpj\u{2066}",
    "\u{9b}31m\u{0}\u{7f}",
    "日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語\u{1b}[1A",
    "a\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{200b}\u{1f469}\u{200d}\u{1f680}\u{fe0f}",
];

/// Returns a look with all parts, as if everything had been asked for.
pub(super) fn busy() -> Look {
    named(
        "decoder",
        "writer",
        "thumbs",
        "Images",
        "It waits for writer to answer.",
    )
}

/// Returns a look at a program that has just begun.
pub(super) fn idle() -> Look {
    Look {
        isolates: Some(Isolates::default()),
        pools: Some(Vec::new()),
        pool_details: Some(Vec::new()),
        waits: Some(Waits::default()),
        threads: Some(Threads::default()),
        ..Look::default()
    }
}

/// Returns a look in which every text of the program means harm.
pub(super) fn hostile() -> Look {
    let mut look = named(HOSTILE[0], HOSTILE[4], HOSTILE[2], HOSTILE[1], HOSTILE[3]);
    look.vm.name = HOSTILE[5].to_owned();
    look.vm.now.isolates = u64::MAX;
    look.vm.now.memory_bytes = Some(u64::MAX);
    for isolate in &mut look.isolates.as_mut().unwrap().isolates {
        isolate.group = Some(HOSTILE[1].to_owned());
        isolate.queued = u64::MAX;
    }
    for pool in look.pools.as_mut().unwrap() {
        pool.phase = HOSTILE[0].to_owned();
        pool.latency.p99_us = f64::INFINITY;
        pool.latency.p50_us = f64::NAN;
    }
    for wait in &mut look.waits.as_mut().unwrap().waits {
        wait.kind = HOSTILE[3].to_owned();
    }
    for event in &mut look.events.events {
        event.kind = HOSTILE[1].to_owned();
        event.text = HOSTILE[0].to_owned();
    }
    look
}

fn party(number: u64, name: &str) -> Party {
    Party {
        id: format!("isolates/{number}"),
        name: name.to_owned(),
    }
}

fn named(first: &str, second: &str, pool: &str, contract: &str, sentence: &str) -> Look {
    let first_isolate = Isolate {
        id: "isolates/7".to_owned(),
        name: first.to_owned(),
        state: IsolateState::Running,
        queued: 12,
        turns_total: 1_234,
        turn_ms: Some(5_000),
        seen_ms: 100_000,
        is_blocked: true,
        ..Isolate::default()
    };
    let second_isolate = Isolate {
        id: "isolates/8".to_owned(),
        name: second.to_owned(),
        state: IsolateState::Paused,
        ..Isolate::default()
    };
    let pool = pool_detail(pool, contract, sentence);
    let waits = waits(first, second);
    Look {
        vm: vm(),
        events: insula_inspect::model::Events {
            events: vec![
                event(1, Severity::Info, "main has begun"),
                event(2, Severity::Error, "worker 2 of thumbs was lost"),
            ],
            dropped: 0,
            newest: 0,
        },
        isolates: Some(Isolates {
            total: 2,
            matched: 2,
            isolates: vec![first_isolate.clone(), second_isolate],
            ..Isolates::default()
        }),
        pools: Some(vec![pool.pool.clone()]),
        pool_details: Some(vec![pool.clone()]),
        waits: Some(waits.clone()),
        threads: Some(threads(first)),
        isolate: Some(isolate_detail(first_isolate, waits, second, sentence)),
        pool: Some(pool),
        ..Look::default()
    }
}

fn vm() -> Vm {
    Vm {
        name: "images".to_owned(),
        pid: 4_711,
        version: "0.1.0".to_owned(),
        can_control: true,
        now: Sample {
            at_ms: 80_000,
            isolates: 2,
            running: 1,
            paused: 1,
            turns_total: 1_234,
            threads: 4,
            stuck_threads: 1,
            waits: 1,
            memory_bytes: Some(30_000_000),
            cpu_total_ms: Some(4_000),
            calls_lost_total: 2,
            cost_us: 90,
            ..Sample::default()
        },
        ..Vm::default()
    }
}

fn event(number: u64, severity: Severity, text: &str) -> Event {
    Event {
        number,
        at_ms: number * 1_500,
        kind: "worker".to_owned(),
        severity,
        subject: "pools/1".to_owned(),
        text: text.to_owned(),
        thread: None,
    }
}

fn isolate_detail(isolate: Isolate, waits: Waits, second: &str, sentence: &str) -> IsolateDetail {
    IsolateDetail {
        isolate,
        has_answered: true,
        ports_total: 1234,
        ports: vec![Port {
            id: "ports/3".to_owned(),
            name: Some(second.to_owned()),
            opened_at: "src/decode.rs:12".to_owned(),
            senders: 2,
            mode: "listener".to_owned(),
            bound: Some(8),
            used: Some(8),
            waiting_senders: 1,
            keeps_alive: true,
            ..Port::default()
        }],
        timers: 1,
        next_timer_ms: Some(30),
        questions: vec![Question {
            asked: Some(party(8, second)),
        }],
        waits: waits.waits,
        why: vec![sentence.to_owned()],
        ..IsolateDetail::default()
    }
}

fn waits(first: &str, second: &str) -> Waits {
    Waits {
        waits: vec![Wait {
            waiter: party(7, first),
            holders: vec![party(8, second)],
            kind: "blocked".to_owned(),
            seen_ms: 5_000,
            is_in_cycle: true,
            call: None,
        }],
        cycles: vec![vec![party(7, first), party(8, second)]],
        unanswered: 1,
        ..Waits::default()
    }
}

fn threads(first: &str) -> Threads {
    let running = Thread {
        state: ThreadState::Stuck,
        isolate: Some(party(7, first)),
        turn_ms: Some(5_000),
        ..Thread::default()
    };
    let idle = Thread {
        index: 1,
        ..Thread::default()
    };
    let port = NativePort {
        id: "nativePorts/1".to_owned(),
        name: first.to_owned(),
        waiting: 3,
        running: 2,
        max_concurrent: 2,
        threads: 2,
        started_total: 4_567,
        mean_us: 2_500.0,
        ..NativePort::default()
    };
    Threads {
        threads: vec![running, idle],
        queued: 1,
        native_ports: vec![port],
    }
}

fn pool_detail(name: &str, contract: &str, sentence: &str) -> PoolDetail {
    let latency = Latency {
        samples: 900,
        mean_us: 900.0,
        p50_us: 800.0,
        p90_us: 5_000.0,
        p99_us: 12_500.0,
        p999_us: 90_000.0,
        max_us: 120_000.0,
    };
    let outcomes = Outcomes {
        answered_total: 900,
        panicked_total: 2,
        ..Outcomes::default()
    };
    let pool = Pool {
        id: "pools/1".to_owned(),
        name: name.to_owned(),
        phase: "degraded".to_owned(),
        ready: 3,
        workers: 4,
        most_workers: 8,
        submitted_total: 904,
        outcomes,
        latency,
        ..Pool::default()
    };
    let method = Method {
        contract: contract.to_owned(),
        method: "thumbnail".to_owned(),
        outcomes,
        latency,
        ..Method::default()
    };
    let call = |worker, seen_ms| Call {
        worker,
        method: format!("{contract}.thumbnail"),
        seen_ms,
        is_waiting: false,
    };
    let worker = Worker {
        condition: "lost".to_owned(),
        fault: Some(sentence.to_owned()),
        isolate: Some(party(7, name)),
        ..Worker::default()
    };
    PoolDetail {
        pool,
        workers: vec![worker],
        methods: vec![method],
        calls: vec![call(1, 20), call(0, 100_000)],
        why: vec!["One worker is lost, so calls wait for the others.".to_owned()],
        ..PoolDetail::default()
    }
}
