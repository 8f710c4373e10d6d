//! stakker: actors of one thread, whose calls are closures in one queue.
//!
//! It is not thread-safe, and has neither tasks nor futures: an asker is an actor that asks again in
//! the call that brings its answer.

use std::time::{Duration, Instant};

use stakker::{Actor, ActorOwn, CX, Ret, Stakker, actor, call, ret, ret_nop, ret_some_to};

/// Only answers.
struct Echo;

impl Echo {
    fn init(_cx: CX![]) -> Option<Self> {
        Some(Self)
    }

    fn ask(&mut self, _cx: CX![], value: u64, answer: Ret<u64>) {
        ret!([answer], value + 1);
    }
}

struct Asker {
    echo: Actor<Echo>,
    /// The questions that are still to be asked.
    left: u64,
    answered: u64,
}

impl Asker {
    fn init(_cx: CX![], echo: Actor<Echo>, count: u64) -> Option<Self> {
        Some(Self {
            echo,
            left: count,
            answered: 0,
        })
    }

    fn ask(&mut self, cx: CX![]) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        let value = self.left;
        let answer = ret_some_to!([cx], answered(value) as (u64));
        call!([self.echo], ask(value, answer));
    }

    fn answered(&mut self, cx: CX![], asked: u64, answer: u64) {
        assert_eq!(answer, asked + 1);
        self.answered += 1;
        self.ask(cx);
    }

    fn check(&mut self, _cx: CX![], count: u64) {
        assert_eq!((self.left, self.answered), (0, count));
    }
}

/// `askers` actors ask `count` times together, each with `outstanding` questions in progress.
pub(crate) fn ask(askers: u64, outstanding: u64, count: u64) -> Duration {
    let now = Instant::now();
    let mut stakker = Stakker::new(now);
    let stakker = &mut stakker;
    let each = count / askers;
    let echo = actor!(stakker, Echo::init(), ret_nop!());
    let asking: Vec<ActorOwn<Asker>> = (0..askers)
        .map(|_| actor!(stakker, Asker::init(echo.clone(), each), ret_nop!()))
        .collect();
    // All of them are there before the first question.
    stakker.run(now, false);
    for asker in &asking {
        for _ in 0..outstanding {
            call!([asker], ask());
        }
    }
    let start = Instant::now();
    stakker.run(start, false);
    let elapsed = start.elapsed();
    for asker in &asking {
        call!([asker], check(each));
    }
    stakker.run(start, false);
    elapsed
}

/// Passes a token on to its neighbor.
struct Member {
    next: Option<Actor<Member>>,
    hops: u64,
    last: u64,
}

impl Member {
    fn init(_cx: CX![], hops: u64) -> Option<Self> {
        Some(Self {
            next: None,
            hops,
            last: 0,
        })
    }

    fn link(&mut self, _cx: CX![], next: Actor<Member>) {
        self.next = Some(next);
    }

    fn pass(&mut self, _cx: CX![], hop: u64) {
        self.last = hop;
        if hop == self.hops {
            return;
        }
        if let Some(next) = &self.next {
            call!([next], pass(hop + 1));
        }
    }

    fn check(&mut self, _cx: CX![]) {
        assert_eq!(self.last, self.hops);
        self.next = None;
    }
}

/// A token goes around `members` actors `laps` times.
pub(crate) fn ring(members: u64, laps: u64) -> Duration {
    let now = Instant::now();
    let mut stakker = Stakker::new(now);
    let stakker = &mut stakker;
    let hops = members * laps;
    let all: Vec<ActorOwn<Member>> = (0..members)
        .map(|_| actor!(stakker, Member::init(hops), ret_nop!()))
        .collect();
    for (index, member) in all.iter().enumerate() {
        call!([member], link(all[(index + 1) % all.len()].clone()));
    }
    stakker.run(now, false);
    // Hop 1 reaches the first member, so the last hop reaches the last one.
    call!([all[0]], pass(1));
    let start = Instant::now();
    stakker.run(start, false);
    let elapsed = start.elapsed();
    call!([all[all.len() - 1]], check());
    stakker.run(start, false);
    elapsed
}
