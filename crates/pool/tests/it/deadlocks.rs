//! Risk: handlers that block for calls of their own pool leave no worker to start those.

use std::fmt;
use std::sync::{Arc, OnceLock};

use insula_pool::WorkerPool;
use insula_rpc::{CallError, Context, Outcome, contract};

use insula_core::{Isolate, ReceivePort, ReplyTo, SendPort, WaitError, block_on};

#[contract(crate = insula_rpc)]
trait Nest {
    /// Returns the depth that it reached by blocking calls of the same pool.
    async fn descend(&self, cx: &Context, depth: u32) -> Result<u32, Circle>;
    /// Asks the caller, which waits.
    async fn ask(&self, cx: &Context, caller: SendPort<ReplyTo<u8>>) -> Result<u8, Circle>;
}

/// The names of a circle.
#[derive(Debug, PartialEq, Eq)]
struct Circle(Vec<Arc<str>>);

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Circle {}

#[derive(Clone, Default)]
struct Cave(Arc<OnceLock<NestCaller>>);

impl Nest for Cave {
    async fn descend(&self, _cx: &Context, depth: u32) -> Result<u32, Circle> {
        let caller = self.0.get().expect("set before the first call");
        if depth == 0 {
            return Ok(0);
        }
        match caller.descend(depth - 1).blocking() {
            Ok(below) => Ok(below + 1),
            Err(CallError::App(circle)) => Err(circle),
            Err(CallError::NotWaited {
                why: WaitError::Deadlock(circle),
                outcome,
                request,
            }) => {
                // The last wait of the circle is refused, whichever that is. Only the deepest call is
                // never started, and comes back.
                match request {
                    Some(request) => {
                        assert_eq!((request, depth), (0, 1));
                        assert_eq!(outcome, Outcome::NotStarted);
                    }
                    None => assert_eq!(outcome, Outcome::MaybeExecuted),
                }
                Err(Circle(circle.names))
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    async fn ask(&self, _cx: &Context, caller: SendPort<ReplyTo<u8>>) -> Result<u8, Circle> {
        match caller.ask_blocking(|reply| reply, None) {
            Err(insula_core::AskBlockingError::Wait(WaitError::Deadlock(circle))) => {
                Err(Circle(circle.names))
            }
            other => panic!("{other:?}"),
        }
    }
}

fn nest(workers: usize) -> (WorkerPool<NestRequest>, NestCaller) {
    let cave = Cave::default();
    let service = cave.clone();
    let builder = WorkerPool::builder().name("nest").workers(workers);
    let builder = builder.service::<NestResponder<_>>(move |_| {
        let service = service.clone();
        async move { Ok(service) }
    });
    let pool = block_on(builder.build()).expect("it starts");
    let caller: NestCaller = pool.caller();
    assert!(cave.0.set(pool.caller()).is_ok());
    (pool, caller)
}

#[test]
fn the_last_worker_does_not_wait_for_the_pool() {
    for workers in 1..=3 {
        let (_pool, caller) = nest(workers);
        let deepest = workers as u32 - 1;
        assert_eq!(caller.descend(deepest).blocking().expect("room"), deepest);
        match caller.descend(deepest + 1).blocking() {
            Err(CallError::App(Circle(mut names))) => {
                names.sort();
                let all: Vec<_> = (0..workers).map(|n| format!("nest.{n}")).collect();
                assert_eq!(names.iter().map(|it| &**it).collect::<Vec<_>>(), all);
            }
            other => panic!("{other:?}"),
        }
        // All workers take calls again.
        assert_eq!(caller.descend(deepest).blocking().expect("room"), deepest);
    }
}

#[test]
fn a_handler_does_not_wait_for_its_caller() {
    let (_pool, caller) = nest(2);
    let run = Isolate::builder().name("client");
    let (answer, asked) = insula_core::one_shot();
    run.spawn(
        move |()| {
            let port = ReceivePort::new();
            answer.send(caller.ask(port.send_port()).blocking());
        },
        (),
    );
    match asked.wait().expect("it tells") {
        Err(CallError::App(Circle(names))) => assert_eq!(&*names[1], "client"),
        other => panic!("{other:?}"),
    }
}
