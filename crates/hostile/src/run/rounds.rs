//! Repeats chores beside isolates that live on: memory that grows with the rounds is a leak.

use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use insula_core::{
    BlockingCallback, ConditionVariable, GroupBoundCallback, Isolate, IsolateCell,
    IsolateLocalCallback, IsolateNameServer, ListenerCallback, Mailbox, Mutex, NativePort,
    Priority, ReceivePort, ReplyTo, Requester, Responder, Runtime, SendPort, Timer, UncaughtError,
    one_shot, rendezvous, schedule_microtask, sleep, spawn_local, yield_now,
};

use super::world::At;
use crate::oracle::Memory;
use crate::program::{Chore, Kind};

type Question = Option<ReplyTo<u32>>;

/// The number of rounds before the first measurement, and between measurements. The windows grow,
/// so that growth by doubling does not look like growth with each round.
const WINDOWS: [usize; 3] = [64, 128, 256];

/// The growth in bytes per round that counts as a leak. A smaller amount may be in transit.
const BYTES: usize = 24;

/// The objects that the chores use.
struct Stage {
    runtime: Runtime,
    target: Isolate,
    port: SendPort<Question>,
    full: SendPort<Question>,
    errors: SendPort<UncaughtError>,
    mailbox: Mailbox<u32>,
    full_mailbox: Mailbox<u32>,
    requester: Requester<u32, u32>,
    responder: Responder<u32, u32>,
    lock: Mutex<u32>,
    condition: ConditionVariable,
}

impl Stage {
    fn new(runtime: &Runtime) -> Option<Self> {
        let (give, got) = one_shot();
        let builder = Isolate::builder().runtime(runtime);
        let (target, port) = builder.spawn_pair(move |port: ReceivePort<Question>| {
            let full = ReceivePort::<Question>::bounded(1);
            let errors = ReceivePort::new();
            give.send((full.send_port(), errors.send_port()));
            port.listen(|question| {
                if let Some(reply) = question {
                    reply.send(1);
                }
            });
            spawn_local(async move {
                // Keeps both ports open, and never reads them, for as long as the isolate lives.
                std::future::pending::<()>().await;
                drop((full, errors));
            });
        });
        let (full, errors) = runtime.block_on(got).ok()?;
        // Never received, so the port is full from now on, and each later send has to wait.
        let _ = full.send(None);
        let (requester, responder) = rendezvous();
        let full_mailbox = Mailbox::new();
        let _ = full_mailbox.try_put(1);
        Some(Self {
            runtime: runtime.clone(),
            target,
            port,
            full,
            errors,
            mailbox: Mailbox::new(),
            full_mailbox,
            requester,
            responder,
            lock: Mutex::new(0),
            condition: ConditionVariable::new(),
        })
    }
}

struct Nothing;

impl Wake for Nothing {
    fn wake(self: Arc<Self>) {}
}

/// Polls a future once, with a new waker, and drops it.
fn give_up(future: impl Future) {
    // A waker of its own each time: a list that recognizes a waker which it has would keep one
    // entry, and hide that it keeps any.
    let waker = Waker::from(Arc::new(Nothing));
    let mut future = std::pin::pin!(future);
    let _ = future.as_mut().poll(&mut Context::from_waker(&waker));
}

/// Does the program's chores, outside of isolates and in one.
pub(crate) fn execute(at: &At, runtime: &Runtime) {
    let chores = Arc::new(at.world.program.rounds.clone());
    // Isolates that the prelude has spawned run beside the chores, and may allocate without end.
    if chores.is_empty() || !at.world.program.prelude.0.is_empty() {
        return;
    }
    let Some(stage) = Stage::new(runtime) else {
        return;
    };
    let is_seeded = at.world.program.kind == Kind::Seeded;
    let grown = runtime.block_on(all_rounds(&stage, &chores, is_seeded));
    report(at, "outside of isolates", grown);
    let (answer, reply) = one_shot();
    let target = stage.target.clone();
    Isolate::builder().runtime(runtime).spawn(
        async move |()| answer.send(all_rounds(&stage, &chores, is_seeded).await),
        (),
    );
    let grown = runtime.block_on(reply).ok().flatten();
    report(at, "in an isolate", grown);
    target.kill();
}

fn report(at: &At, place: &str, grown: Option<usize>) {
    if let Some(bytes) = grown {
        at.world
            .ledger
            .fault(format!("chores {place} keep {bytes} bytes a round"));
    }
}

async fn all_rounds(stage: &Stage, chores: &[Chore], is_seeded: bool) -> Option<usize> {
    let mut looks = Vec::new();
    for window in WINDOWS {
        for round in 0..window {
            for chore in chores {
                outside(chore, stage);
                if Isolate::current().is_some() {
                    inside(chore, stage);
                }
            }
            // Let other tasks run, or queues would fill. Time costs nothing only on a seeded
            // runtime.
            if is_seeded || round % 8 == 0 {
                sleep(Duration::from_millis(1)).await;
            } else {
                yield_now().await;
            }
        }
        // For what the last rounds have begun, such as isolates that have yet to end.
        for _ in 0..4 {
            sleep(Duration::from_millis(1)).await;
        }
        looks.push(Memory::now());
    }
    let bytes = |from: usize, to: usize| looks[to].bytes.saturating_sub(looks[from].bytes);
    let early = bytes(0, 1) / WINDOWS[1];
    let mut late = bytes(1, 2) / WINDOWS[2];
    // In both windows, since a table that grows to its final size may do so in one of them.
    if early.min(late) >= BYTES && !is_seeded {
        // The threads of a loaded machine may not have come to what the rounds have begun.
        sleep(Duration::from_millis(200)).await;
        late = Memory::now().bytes.saturating_sub(looks[1].bytes) / WINDOWS[2];
    }
    (early.min(late) >= BYTES).then_some(late)
}

fn outside(chore: &Chore, stage: &Stage) {
    let target = &stage.target;
    let spawn = || Isolate::builder().runtime(&stage.runtime);
    match chore {
        Chore::GiveUpExited() => give_up(target.exited()),
        Chore::SpawnAndEnd() => drop(spawn().spawn(|()| {}, ())),
        Chore::SpawnAndKill() => spawn().paused().spawn(|()| {}, ()).kill(),
        Chore::ExitListener() => {
            target.add_exit_listener(&stage.port, |_| None);
            target.remove_exit_listener(&stage.port);
        }
        Chore::ErrorListener() => {
            target.add_error_listener(&stage.errors);
            target.remove_error_listener(&stage.errors);
        }
        Chore::PauseAndResume() => {
            let capability = target.pause();
            target.resume(capability);
        }
        Chore::GiveUpPing() => give_up(target.ping(Priority::Immediate)),
        Chore::GiveUpWhyAlive() => give_up(target.why_alive()),
        Chore::GiveUpSendWait() => give_up(stage.full.send_wait(None)),
        Chore::CopySender() => drop(stage.port.clone()),
        Chore::GiveUpAsk() => give_up(stage.port.ask(Some)),
        Chore::GiveUpReply() => {
            let (to, reply) = one_shot::<u32>();
            give_up(reply);
            drop(to);
        }
        Chore::DropOneShot() => drop(one_shot::<u32>()),
        Chore::RegisterAndRemove() => {
            let _ = IsolateNameServer::register("hostile-rounds", &stage.port);
            IsolateNameServer::remove("hostile-rounds");
        }
        Chore::GiveUpSleep() => give_up(sleep(Duration::from_secs(10))),
        _ => blocking(chore, stage),
    }
}

/// Does blocking waits with a time-out of zero.
fn blocking(chore: &Chore, stage: &Stage) {
    match chore {
        Chore::AttachAndDropMailbox() => {
            let mailbox = Mailbox::<u32>::new();
            mailbox.attach();
        }
        Chore::GiveUpTake() => drop(stage.mailbox.take_timeout(Duration::ZERO)),
        Chore::GiveUpPut() => drop(stage.full_mailbox.put_timeout(2, Duration::ZERO)),
        Chore::AttachAndDropEnds() => {
            let (requester, responder) = rendezvous::<u32, u32>();
            requester.attach();
            responder.attach();
        }
        Chore::GiveUpRequest() => {
            let _ = stage.requester.request_timeout(1, Duration::ZERO);
        }
        Chore::GiveUpReceiving() => {
            let _ = stage.responder.receive_timeout(Duration::ZERO);
            let _ = stage.responder.decline();
        }
        Chore::GiveUpLock() => drop(stage.lock.lock_timeout(Duration::ZERO)),
        Chore::GiveUpNotification() => {
            if let Some(guard) = stage.lock.try_lock() {
                let _ = stage.condition.wait_timeout(guard, Duration::ZERO);
            }
        }
        Chore::NativeOnce() => drop(NativePort::<u32>::new("hostile", drop, 1)),
        _ => {}
    }
}

fn inside(chore: &Chore, stage: &Stage) {
    match chore {
        Chore::OpenAndClose() => drop(ReceivePort::<u32>::new()),
        Chore::OpenAndDropSender() => {
            let port = ReceivePort::<u32>::new();
            let sender = port.send_port();
            drop(port);
            drop(sender);
        }
        Chore::GiveUpReceive() => {
            let mut port = ReceivePort::<u32>::new();
            let sender = port.send_port();
            give_up(port.recv());
            drop((port, sender));
        }
        Chore::RegisterAndClose() => {
            let port = ReceivePort::<u32>::new();
            let _ = IsolateNameServer::register("hostile-rounds", &port.send_port());
            drop(port);
            IsolateNameServer::remove("hostile-rounds");
        }
        Chore::CancelTimer() => {
            Timer::after(Duration::from_secs(10), || {}).cancel();
        }
        Chore::ZeroTimer() => drop(Timer::run(|| {})),
        Chore::EndedTask() => spawn_local(async {}),
        Chore::MicrotaskOnce() => schedule_microtask(|| {}),
        Chore::ListenerCallbackOnce() => {
            let callback = ListenerCallback::new(|_: u32| {});
            let _ = callback.call(1);
            callback.close();
        }
        Chore::BlockingCallbackOnce() => drop(BlockingCallback::new(|n: u32| n)),
        Chore::LocalCallbackOnce() => drop(IsolateLocalCallback::new(|n: u32| n).call(1)),
        Chore::GroupCallbackOnce() => {
            let callback = GroupBoundCallback::new(stage.port.clone(), |_, n: u32| n);
            let _ = callback.call(1);
            callback.close();
        }
        Chore::CellOnce() => IsolateCell::new(1).with(|n| *n += 1),
        _ => {}
    }
}
