//! A medium in virtual time: frames keep their order, come late, and stop coming.

use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use insula_core::{Isolate, sleep, spawn_local};
use insula_link::{Connection, Origin, Settings, Target};
use insula_pool::WorkerContext;
use insula_rpc::wire::{Encoded, Hello, Lost, MOST_BYTES};
use insula_rpc::{Respond as _, serve};
use insula_sync::Mutex;
use insula_sync::atomic::{AtomicBool, Ordering};

use crate::service::{Notes, Service, SimRequest, SimResponder};

/// Wakes the task that moves frames.
#[derive(Default)]
struct Bell(Mutex<Option<Waker>>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let waker = self.0.lock().take();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// How the medium of one link behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Behavior {
    pub(crate) seed: u64,
    /// The frames after which the link is lost; `None` if it is not.
    pub(crate) lasts: Option<u32>,
    /// What is known then.
    pub(crate) lost: Lost,
    /// The longest delay of a frame.
    pub(crate) delay: Duration,
}

/// Makes a link to a service of its own, in the isolate of a worker.
pub(crate) fn connect(behavior: Behavior, notes: Notes, cx: WorkerContext) -> Connection {
    let is_lost = Arc::new(AtomicBool::new(false));
    let service = Service {
        notes,
        is_lost: Arc::clone(&is_lost),
    };
    let port = Isolate::spawn_with_port(|port| serve(port, SimResponder::new(service)));
    let bell = Arc::new(Bell::default());
    let medium = Waker::from(Arc::clone(&bell));
    let settings = Settings {
        hello: Hello::of::<SimRequest>(MOST_BYTES),
        limits: MOST_BYTES.into(),
    };
    let on_end = move |why: &str| cx.end(why);
    let origin = Arc::new(Origin::new(settings, medium.clone(), on_end));
    let target = Target::<SimRequest>::new(Arc::new(port), MOST_BYTES, medium, |_call| {});
    spawn_local(carry(behavior, Arc::clone(&origin), target, bell, is_lost));
    Connection::new(origin, MOST_BYTES, ())
}

async fn carry(
    behavior: Behavior,
    origin: Arc<Origin>,
    target: Target<SimRequest>,
    bell: Arc<Bell>,
    is_lost: Arc<AtomicBool>,
) {
    let mut random = fastrand::Rng::with_seed(behavior.seed);
    let mut moved = 0;
    loop {
        let (from_origin, from_target) = next(&origin, &target, &bell, &mut random).await;
        let delay = behavior.delay.mul_f64(random.f64());
        if !delay.is_zero() {
            sleep(delay).await;
        }
        if let Some(frame) = from_origin
            && let Some(serving) = target.receive(frame).unwrap()
        {
            spawn_local(serving.run());
        }
        if let Some(frame) = from_target {
            origin.receive(frame).unwrap();
        }
        moved += 1;
        if behavior.lasts == Some(moved) {
            break;
        }
    }
    // Nothing that begins from here on counts, as after the death of a process.
    is_lost.store(true, Ordering::SeqCst);
    if behavior.lost == Lost::Complete {
        while let Some(frame) = target.outbox().take() {
            origin.receive(frame).unwrap();
        }
    }
    origin.lose(behavior.lost, "the simulation says so");
}

type Frames = (Option<Encoded>, Option<Encoded>);

/// Waits for a frame of either side, and takes one of a side that has any.
async fn next(
    origin: &Origin,
    target: &Target<SimRequest>,
    bell: &Bell,
    random: &mut fastrand::Rng,
) -> Frames {
    std::future::poll_fn(|cx| {
        *bell.0.lock() = Some(cx.waker().clone());
        let prefers_origin = random.bool();
        let first = if prefers_origin {
            (origin.outbox().take(), None)
        } else {
            (None, target.outbox().take())
        };
        let second = || {
            if prefers_origin {
                (None, target.outbox().take())
            } else {
                (origin.outbox().take(), None)
            }
        };
        let frames = match first {
            (None, None) => second(),
            first => first,
        };
        match frames {
            (None, None) => Poll::Pending,
            frames => Poll::Ready(frames),
        }
    })
    .await
}
