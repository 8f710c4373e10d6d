//! A real program for tests: isolates, a pool and an inspector in the process of the tests.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use insula::inspect::{Inspector, Listen};
use insula::pool::Shutdown;
use insula::{
    Context, Isolate, Mailbox, ReceivePort, ReplyTo, Runtime, SendPort, Timer, WorkerPool,
    contract, sleep, spawn_local,
};

/// All pools of a process are shown, and so those of other tests too. These have different names.
static NEXT: AtomicU32 = AtomicU32::new(0);

#[contract]
trait Pictures {
    async fn thumbnail(&self, cx: &Context) -> Result<(), Infallible>;
}

struct Painter;

impl Pictures for Painter {
    async fn thumbnail(&self, _cx: &Context) -> Result<(), Infallible> {
        sleep(Duration::from_millis(20)).await;
        Ok(())
    }
}

/// The rights of a client of the inspector.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    Read,
    Control,
}

/// A question to an isolate that answers only once another one has answered it.
enum Message {
    Meet(SendPort<Message>),
    Question(ReplyTo<()>),
}

/// A program that runs until it is dropped: the idle isolates `shelf` and one whose name has an
/// escape, `clock` with a timer, `chicken`, `egg` and `farmer`, of which each awaits an answer of the
/// next and the last one of the first, a pool that an isolate calls, and a mailbox with a parcel.
pub(crate) struct Program {
    pub(crate) runtime: Runtime,
    /// The name of the pool.
    pub(crate) pool: String,
    inspector: Option<Inspector>,
    workers: WorkerPool<PicturesRequest>,
    _idle: Vec<SendPort<()>>,
    _cycle: [SendPort<Message>; 3],
    _mailbox: Mailbox<Parcel>,
}

/// What waits in the mailbox.
struct Parcel;

impl Program {
    pub(crate) fn start(rights: Rights, listen: Listen) -> Self {
        let runtime = Runtime::builder().threads(2).build();
        let _entered = runtime.enter();
        let pool = format!("thumbs-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let workers = WorkerPool::builder()
            .name(pool.as_str())
            .workers(2)
            .service::<PicturesResponder<_>>(|_cx| async { Ok(Painter) });
        let workers = runtime.block_on(workers.build()).unwrap();
        let caller: PicturesCaller = workers.caller();
        let call = |caller: PicturesCaller| {
            spawn_local(async move { while caller.thumbnail().await.is_ok() {} });
        };
        Isolate::builder().name("customer").spawn(call, caller);
        let clock = |()| {
            Timer::periodic(Duration::from_millis(50), |_, _| {});
        };
        Isolate::builder().name("clock").spawn(clock, ());
        // No program has announced itself: the tests of announcements have folders of their own.
        let builder = Inspector::builder().name("mill").runtime(&runtime);
        let builder = builder.listen(listen).announce(false);
        let builder = match rights {
            Rights::Read => builder,
            Rights::Control => builder.allow_control(),
        };
        Self {
            _idle: ["shelf", "wri\u{1b}[31mter"].map(wait).into(),
            _cycle: wait_for_each_other(),
            _mailbox: full(),
            inspector: Some(builder.start().unwrap()),
            workers,
            pool,
            runtime,
        }
    }

    pub(crate) fn address(&self) -> &str {
        self.inspector.as_ref().map_or("", Inspector::address)
    }

    /// Ends the inspector, as if the program had ended.
    pub(crate) fn end(&mut self) {
        self.inspector = None;
    }

    /// Returns whether there is an isolate of a name, as the runtime itself knows.
    pub(crate) fn has(&self, name: &str) -> bool {
        let isolates = self.runtime.snapshot().isolates;
        isolates.iter().any(|it| it.name.as_deref() == Some(name))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let shutdown = Shutdown::graceful(Duration::from_secs(5));
        self.runtime.block_on(self.workers.shut_down(shutdown));
        self.runtime.shut_down();
    }
}

/// Starts an isolate that waits for messages.
fn wait(name: &str) -> SendPort<()> {
    let listen = |port: ReceivePort<()>| {
        port.listen(|()| {});
    };
    Isolate::builder().name(name).spawn_with_port(listen)
}

fn full() -> Mailbox<Parcel> {
    let mailbox = Mailbox::new();
    assert!(mailbox.put(Parcel).is_ok(), "it has room");
    mailbox
}

fn wait_for_each_other() -> [SendPort<Message>; 3] {
    let start = |name: &str| Isolate::builder().name(name).spawn_with_port(answer_later);
    // In another order than they wait, so that their numbers do not tell it.
    let [farmer, egg, chicken] = ["farmer", "egg", "chicken"].map(start);
    chicken.send(Message::Meet(egg.clone())).unwrap();
    egg.send(Message::Meet(farmer.clone())).unwrap();
    farmer.send(Message::Meet(chicken.clone())).unwrap();
    [chicken, egg, farmer]
}

async fn answer_later(mut port: ReceivePort<Message>) {
    let mut questions = Vec::new();
    while let Some(message) = port.recv().await {
        match message {
            Message::Meet(other) => drop(other.ask(Message::Question).await),
            Message::Question(reply) => questions.push(reply),
        }
    }
}
