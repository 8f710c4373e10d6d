//! What the scripts of one program share, and the values that they send about.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::thread::JoinHandle;

use insula_core::{
    BlockingCallback, CallbackReply, Capability, ConditionVariable, Entered, Exited,
    GroupBoundCallback, GroupShared, Isolate, IsolateGroup, IsolateLocalCallback, Listener,
    ListenerCallback, Mailbox, NativePort, RawMutex, ReceivePort, RendezvousState, Reply, ReplyTo,
    Requester, Responder, Run, Runtime, SendPort, Timer,
};
use insula_sync::Mutex;

use crate::oracle::Ledger;
use crate::program::{Program, Script, Slot};

/// Operations that a program may do before all of its scripts end.
const FUEL: u64 = 600;

/// Scripts inside of scripts on one stack.
const STACK: u32 = 24;

/// A future that was polled, and kept.
pub(crate) type KeptFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A table of handles.
pub(crate) struct Table<T>([Mutex<Option<T>>; 3]);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self([Mutex::new(None), Mutex::new(None), Mutex::new(None)])
    }
}

impl<T> Table<T> {
    fn place(&self, slot: Slot) -> &Mutex<Option<T>> {
        &self.0[usize::from(slot.0) % 3]
    }

    /// Fills a place. What was there is dropped, outside of the table's lock.
    pub(crate) fn put(&self, slot: Slot, value: T) {
        let before = self.place(slot).lock().replace(value);
        drop(before);
    }

    /// Empties a place.
    pub(crate) fn take(&self, slot: Slot) -> Option<T> {
        self.place(slot).lock().take()
    }

    /// Empties all places. A destructor that panics keeps the others from nothing.
    pub(crate) fn clear(&self) {
        for slot in 0..3 {
            contain(|| drop(self.take(Slot(slot))));
        }
    }
}

impl<T: Clone> Table<T> {
    /// A clone of what is there.
    pub(crate) fn get(&self, slot: Slot) -> Option<T> {
        self.place(slot).lock().clone()
    }
}

/// Runs code of the program's whose panic is to end here.
pub(crate) fn contain(f: impl FnOnce()) {
    insula_core::contain(f);
}

/// What all scripts of a program share.
pub(crate) struct World {
    pub(crate) program: Program,
    pub(crate) ledger: Ledger,
    pub(crate) runtimes: Table<Runtime>,
    pub(crate) isolates: Table<Isolate>,
    pub(crate) groups: Table<IsolateGroup>,
    pub(crate) runs: Table<Run<Parcel>>,
    pub(crate) capabilities: Table<Capability>,
    pub(crate) ports: Table<SendPort<Letter>>,
    pub(crate) receivers: Table<ReceivePort<Letter>>,
    pub(crate) listeners: Table<Listener<Letter>>,
    pub(crate) reply_tos: Table<ReplyTo<Parcel>>,
    pub(crate) replies: Table<Reply<Parcel>>,
    pub(crate) timers: Table<Timer>,
    pub(crate) futures: Table<KeptFuture>,
    /// Shared, since the clone of a waker is a program's code, which no lock may be held for.
    pub(crate) wakers: Table<Arc<Waker>>,
    pub(crate) mailboxes: Table<Arc<Mailbox<Parcel>>>,
    pub(crate) requesters: Table<Arc<Rendezvous>>,
    pub(crate) responders: Table<Arc<Responder<Parcel, Parcel>>>,
    pub(crate) listening: Table<ListenerCallback<Parcel>>,
    pub(crate) blocking: Table<BlockingCallback<Parcel, Parcel>>,
    pub(crate) callback_replies: Table<CallbackReply<Parcel>>,
    pub(crate) local: Table<IsolateLocalCallback<Parcel, ()>>,
    pub(crate) grouped: Table<GroupBoundCallback<Hook, Parcel, ()>>,
    pub(crate) natives: Table<NativePort<Letter>>,
    /// All that have not been shut down.
    pub(crate) all_runtimes: Mutex<Vec<Runtime>>,
    pub(crate) locks: [insula_core::Mutex<u32>; 3],
    pub(crate) raw_locks: [RawMutex; 3],
    pub(crate) conditions: [ConditionVariable; 3],
    /// All that were made and live: a thread may wait for one that is in no table any more.
    pub(crate) all_mailboxes: Mutex<Vec<Weak<Mailbox<Parcel>>>>,
    /// Of all programs' threads, those that have not been joined.
    pub(crate) threads: Mutex<Vec<JoinHandle<()>>>,
    /// Waits for the ends of isolates that have no listener.
    pub(crate) exits: Mutex<Vec<(usize, Exited)>>,
}

/// An end that requests, and who does so at the moment.
pub(crate) struct Rendezvous {
    pub(crate) requester: Requester<Parcel, Parcel>,
    attempts: Mutex<Attempts>,
}

#[derive(Default)]
struct Attempts {
    under_way: Vec<usize>,
    /// A request that was admitted has ended.
    has_ended: bool,
    /// Requests that were admitted beside another one: that one, and the time of the return.
    beside: Vec<(usize, usize)>,
    closed_at: Option<usize>,
}

/// One attempt to request. Times are numbers of values: those that were made later are larger.
pub(crate) struct Attempt<'a> {
    end: &'a Rendezvous,
    number: usize,
    /// The attempt that was admitted, without doubt, when this one began.
    beside: Option<usize>,
}

impl Rendezvous {
    pub(crate) fn new(requester: Requester<Parcel, Parcel>) -> Self {
        Self {
            requester,
            attempts: Mutex::default(),
        }
    }

    /// Notes when the rendezvous is about to be closed.
    pub(crate) fn closes(&self, now: usize) {
        self.attempts.lock().closed_at.get_or_insert(now);
    }

    /// A request begins.
    pub(crate) fn begin(&self, number: usize) -> Attempt<'_> {
        let is_busy = self.requester.state() != RendezvousState::None;
        let mut attempts = self.attempts.lock();
        let beside = match attempts.under_way[..] {
            // The first that was ever admitted: what is under way is its request.
            [first] if is_busy && !attempts.has_ended => Some(first),
            _ => None,
        };
        attempts.under_way.push(number);
        Attempt {
            end: self,
            number,
            beside,
        }
    }
}

impl Attempt<'_> {
    /// The request returns. `at_least_until` is a time until which it was under way for sure.
    /// Tells whether another one was admitted in between.
    pub(crate) fn end(
        &self,
        was_admitted: bool,
        answered: Option<usize>,
        closed: bool,
        now: usize,
    ) -> bool {
        let mut attempts = self.end.attempts.lock();
        if was_admitted
            && let Some(first) = self.beside
            && attempts.under_way.contains(&first)
        {
            attempts.beside.push((first, now));
        }
        let until = if closed { attempts.closed_at } else { answered };
        let mut beside = attempts.beside.iter();
        beside.any(|&(first, at)| first == self.number && until.is_some_and(|until| until >= at))
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut attempts = self.end.attempts.lock();
        attempts.under_way.retain(|it| *it != self.number);
        attempts.has_ended = true;
    }
}

impl World {
    pub(crate) fn new(program: Program) -> Arc<Self> {
        Arc::new(Self {
            program,
            ledger: Ledger::default(),
            runtimes: Table::default(),
            isolates: Table::default(),
            groups: Table::default(),
            runs: Table::default(),
            capabilities: Table::default(),
            ports: Table::default(),
            receivers: Table::default(),
            listeners: Table::default(),
            reply_tos: Table::default(),
            replies: Table::default(),
            timers: Table::default(),
            futures: Table::default(),
            wakers: Table::default(),
            mailboxes: Table::default(),
            requesters: Table::default(),
            responders: Table::default(),
            listening: Table::default(),
            blocking: Table::default(),
            callback_replies: Table::default(),
            local: Table::default(),
            grouped: Table::default(),
            natives: Table::default(),
            all_runtimes: Mutex::new(Vec::new()),
            locks: std::array::from_fn(|_| insula_core::Mutex::new(0)),
            raw_locks: std::array::from_fn(|_| RawMutex::new()),
            conditions: std::array::from_fn(|_| ConditionVariable::new()),
            all_mailboxes: Mutex::new(Vec::new()),
            threads: Mutex::new(Vec::new()),
            exits: Mutex::new(Vec::new()),
        })
    }

    /// Ends what a thread that is no isolate may wait for without end.
    pub(crate) fn close_all(&self) {
        for slot in (0..3).map(Slot) {
            if let Some(mailbox) = self.mailboxes.take(slot) {
                mailbox.close();
            }
            if let Some(end) = self.requesters.take(slot) {
                end.closes(self.ledger.now());
                end.requester.close();
            }
            if let Some(end) = self.responders.take(slot) {
                end.close();
            }
            self.notify_all(usize::from(slot.0));
        }
        let mailboxes = self.all_mailboxes.lock().clone();
        for mailbox in mailboxes.iter().filter_map(Weak::upgrade) {
            mailbox.close();
        }
        self.clear();
    }

    /// Keeps a mailbox in the table.
    pub(crate) fn add_mailbox(&self, slot: Slot, mailbox: Mailbox<Parcel>) {
        let mailbox = Arc::new(mailbox);
        self.all_mailboxes.lock().push(Arc::downgrade(&mailbox));
        self.mailboxes.put(slot, mailbox);
    }

    /// Notifies all who wait for a condition variable.
    pub(crate) fn notify_all(&self, condition: usize) {
        let ended = self.ledger.waits_ended(condition);
        self.conditions[condition].notify_all();
        self.ledger.notified_all(condition, ended);
    }

    /// Drops every handle.
    pub(crate) fn clear(&self) {
        self.isolates.clear();
        self.groups.clear();
        self.ports.clear();
        self.receivers.clear();
        self.listeners.clear();
        self.wakers.clear();
        self.futures.clear();
        self.reply_tos.clear();
        self.replies.clear();
        self.runs.clear();
        self.mailboxes.clear();
        self.requesters.clear();
        self.responders.clear();
        self.callback_replies.clear();
        self.listening.clear();
        self.blocking.clear();
        self.local.clear();
        self.grouped.clear();
        self.natives.clear();
    }
}

/// Where a script runs.
#[derive(Clone)]
pub(crate) struct At {
    pub(crate) world: Arc<World>,
    /// The runtime of the isolate whose script this is, if it is one's.
    pub(crate) home: Option<Slot>,
}

impl At {
    /// Counts an operation. `false` if the program has done enough.
    pub(crate) fn may_go_on(&self) -> bool {
        self.world.ledger.step() < FUEL
    }

    /// A value that is counted.
    pub(crate) fn parcel(&self, load: &Script) -> Parcel {
        Parcel {
            number: self.world.ledger.parcel(),
            at: self.clone(),
            load: load.clone(),
        }
    }

    /// A value that is counted, for a closure to capture: its destructor is its own.
    pub(crate) fn token(&self) -> Parcel {
        self.parcel(&Script::default())
    }

    /// A script with its place, to be captured.
    pub(crate) fn hook(&self, script: &Script) -> Hook {
        Hook {
            script: script.clone(),
            token: self.token(),
        }
    }

    /// As `hook`, for a script of an isolate of that runtime.
    pub(crate) fn hook_in(&self, home: Option<Slot>, script: &Script) -> Hook {
        let at = Self {
            world: self.world.clone(),
            home,
        };
        at.hook(script)
    }
}

/// A value whose way is written down, and whose destructor runs a script.
pub(crate) struct Parcel {
    pub(crate) number: usize,
    pub(crate) at: At,
    load: Script,
}

impl Parcel {
    pub(crate) fn handled(&self) {
        self.at.world.ledger.handled(self.number);
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        self.at.world.ledger.dropped(self.number);
        if !self.load.is_empty() {
            super::run(&self.load, &self.at);
        }
    }
}

/// A script that a closure captured.
pub(crate) struct Hook {
    script: Script,
    token: Parcel,
}

impl GroupShared for Hook {}

impl Hook {
    pub(crate) fn run(&self) {
        super::run(&self.script, &self.token.at);
    }

    pub(crate) fn at(&self) -> &At {
        &self.token.at
    }

    pub(crate) fn script(&self) -> &Script {
        &self.script
    }

    pub(crate) async fn run_async(self) {
        super::run_async(self.script.clone(), self.token.at.clone()).await;
    }
}

/// Runs its script when it is dropped.
pub(crate) struct Guard(pub(crate) Hook);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.run();
    }
}

/// A message.
pub(crate) struct Letter {
    pub(crate) parcel: Parcel,
    pub(crate) reply: Option<ReplyTo<Parcel>>,
}

impl Letter {
    pub(crate) fn new(parcel: Parcel) -> Self {
        Self {
            parcel,
            reply: None,
        }
    }
}

/// What kind of thread a script runs on, outside of isolates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// One on which nothing may wait without end.
    Elsewhere,
    /// One that waits for nothing that ends after the program's last shutdown.
    Free,
    /// The one that drives the program.
    Driver,
}

thread_local! {
    static PLACE: Cell<Place> = const { Cell::new(Place::Elsewhere) };
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Guards that are dropped in any order, or with the thread.
    static ENTERED: RefCell<[Option<Entered>; 3]> = const { RefCell::new([None, None, None]) };
    static AT_EXIT: RefCell<AtExit> = const { RefCell::new(AtExit(Vec::new())) };
}

impl Place {
    pub(crate) fn here() -> Self {
        PLACE.get()
    }

    /// Changes the place until what is returned is dropped.
    pub(crate) fn set(self) -> impl Drop {
        struct Before(Place);
        impl Drop for Before {
            fn drop(&mut self) {
                PLACE.set(self.0);
            }
        }
        Before(PLACE.replace(self))
    }
}

/// One script deeper, until it is dropped.
pub(crate) struct Deeper(());

impl Deeper {
    pub(crate) fn enter() -> Option<Self> {
        let depth = DEPTH.get();
        (depth < STACK).then(|| {
            DEPTH.set(depth + 1);
            Self(())
        })
    }
}

impl Drop for Deeper {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// What runs in a thread-local destructor. The language ends the process if one panics.
struct AtExit(Vec<Guard>);

impl Drop for AtExit {
    fn drop(&mut self) {
        for guard in self.0.drain(..) {
            contain(|| drop(guard));
        }
    }
}

/// Has a script run when the thread ends; or never, if its storage is gone.
pub(crate) fn at_thread_exit(guard: Guard) {
    // The global runtime's threads never end.
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    if name.starts_with("insula-") {
        return;
    }
    let mut guard = Some(guard);
    let _ = AT_EXIT.try_with(|exits| {
        if let Ok(mut exits) = exits.try_borrow_mut() {
            exits.0.extend(guard.take());
        }
    });
    drop(guard);
}

/// Keeps a guard, of this thread. What was kept there is dropped.
pub(crate) fn stash_entered(slot: Slot, guard: Entered) {
    let mut guard = Some(guard);
    let _ = ENTERED.try_with(|all| {
        if let Ok(mut all) = all.try_borrow_mut() {
            std::mem::swap(&mut all[usize::from(slot.0) % 3], &mut guard);
        }
    });
    drop(guard);
}

/// Drops a guard that was kept.
pub(crate) fn drop_entered(slot: Slot) {
    let mut guard = None;
    let _ = ENTERED.try_with(|all| {
        if let Ok(mut all) = all.try_borrow_mut() {
            std::mem::swap(&mut all[usize::from(slot.0) % 3], &mut guard);
        }
    });
    drop(guard);
}
