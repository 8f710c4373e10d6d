//! Programs: their grammar, and how they are generated, printed, read, shrunk and run.
//!
//! A program is a tree of operations ([`Op`]). Handles live in small tables that all scripts of the
//! program share. An operation names a place in a table and does nothing if the place is empty. So
//! every tree is a valid program, and any operation can be removed from it.
//!
//! `grammar!` declares each operation once: its name, its family, its weight and its parts.
//! Generating, printing, reading and walking follow from the parts ([`Part`]). A new operation is
//! one line here and one arm in `run/`.

#[macro_use]
mod grammar;
mod calls;
mod generate;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::sync::Arc;

pub(crate) use calls::{
    Amount, Cargo, Entry, Full, Key, Limit, Making, Order, Plan, Services, Shape, Sort, Staff,
    Terms, Weight,
};
pub(crate) use generate::{Gen, WITH_CALLS};
pub(crate) use text::{Reader, Writer};

/// A part of a program or an operation.
pub(crate) trait Part: Sized {
    /// Makes a random part.
    fn generate(source: &mut Gen) -> Self;
    /// Prints the part.
    fn write(&self, to: &mut Writer);
    /// Reads what `write` printed.
    ///
    /// # Errors
    /// Fails if the text continues differently.
    fn read(from: &mut Reader<'_>) -> Result<Self, String>;
    /// Calls `visit` with each script directly inside the part.
    fn each_script(&mut self, _visit: &mut dyn FnMut(&mut Script)) {}
}

/// The kind of runtime that a program runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// On virtual time, in an order that follows from the program's seed.
    Seeded,
    /// On a pool of threads.
    Threads,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seeded => "seeded",
            Self::Threads => "threads",
        })
    }
}

/// A whole program.
#[derive(Clone)]
pub(crate) struct Program {
    /// The seed of the seeded runtime.
    pub(crate) seed: u64,
    /// The kind of runtime.
    pub(crate) kind: Kind,
    /// The number of threads of the pool.
    pub(crate) threads: u8,
    /// `true` if all handles are dropped before the shutdown, and not after it.
    pub(crate) clears_first: bool,
    /// The time for which the program continues after the main script.
    pub(crate) linger: Ms,
    /// Runs on a thread before the library is used in this process.
    pub(crate) prelude: Script,
    /// Chores that are repeated, and must leave nothing behind.
    pub(crate) rounds: Vec<Chore>,
    /// Runs at the first use of an isolate-local value.
    pub(crate) local_init: Script,
    /// Runs when an isolate-local value is dropped.
    pub(crate) local_drop: Script,
    /// Runs on the program's first thread, outside of isolates.
    pub(crate) main: Script,
}

/// A sequence of operations.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Script(pub(crate) Arc<Vec<Op>>);

/// A place in a table of handles.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) u8);

/// A short time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ms(pub(crate) u8);

/// A small number, at least 1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) u8);

/// Yes or no.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flag(pub(crate) bool);

/// The limit of a wait; `None` is without end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience(pub(crate) Option<Ms>);

/// A script that runs when a value is dropped; usually empty.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Load(pub(crate) Script);

/// A script that runs at a bad moment: in a destructor while the stack unwinds, or while an isolate
/// or a thread ends. Often a single operation that is harmful there.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Nasty(pub(crate) Script);

/// A waker of user code, with the scripts that run when it wakes, is cloned and is dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Wakes {
    /// Runs when it wakes.
    pub(crate) wake: Script,
    /// Runs when it is cloned.
    pub(crate) clone: Script,
    /// Runs when its last clone is dropped.
    pub(crate) last: Script,
}

/// A group of related operations. A program uses only some families, so that their operations meet
/// often.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    Flow,
    Thread,
    Isolate,
    Control,
    Port,
    Ask,
    Name,
    Timer,
    Task,
    Waker,
    Mailbox,
    Rendezvous,
    Lock,
    Callback,
    Native,
    Runtime,
    Local,
    Root,
    Call,
    Stream,
    Pool,
    /// Of the handler of a call.
    Handler,
}

impl Family {
    /// The families of calls and pools, which only the programs of some seeds use.
    pub(crate) const OF_CALLS: &'static [Self] = &[Self::Call, Self::Stream, Self::Pool];

    /// All other families.
    pub(crate) const ALL: &'static [Self] = &[
        Self::Flow,
        Self::Thread,
        Self::Isolate,
        Self::Control,
        Self::Port,
        Self::Ask,
        Self::Name,
        Self::Timer,
        Self::Task,
        Self::Waker,
        Self::Mailbox,
        Self::Rendezvous,
        Self::Lock,
        Self::Callback,
        Self::Native,
        Self::Runtime,
        Self::Local,
        Self::Root,
    ];
}

grammar! {
    /// An operation.
    pub(crate) enum Op {
        Flow {
            6 Panic(),
            2 PanicWith(load: Load),
            4 Catch(inside: Script),
            2 CatchPanic(inside: Script),
            4 Persist(inside: Script),
            2 Rethrow(inside: Script),
            6 Guard(on_drop: Nasty),
            6 Unwind(on_drop: Nasty),
            6 Hold(on_drop: Nasty),
            4 HoldPanic(held_by: Slot, count: Count),
            3 Check(),
            2 Work(ms: Ms),
            1 Blocking(inside: Script),
        }
        Thread {
            4 Thread(inside: Script),
            2 BareThread(inside: Script),
            6 AtThreadExit(inside: Nasty),
        }
        Isolate {
            8 Spawn(isolate: Slot, fails: Flag, inside: Script),
            5 SpawnAsync(isolate: Slot, inside: Script),
            2 SpawnPaused(isolate: Slot, inside: Script),
            2 SpawnLenient(isolate: Slot, inside: Script),
            2 SpawnPinned(isolate: Slot, inside: Script),
            3 SpawnIn(runtime: Slot, isolate: Slot, inside: Script),
            2 SpawnGroup(group: Slot, isolate: Slot, inside: Script),
            4 Run(inside: Script),
            2 RunAsync(run: Slot, inside: Script),
            2 RunLater(run: Slot, inside: Script),
            2 WaitRun(run: Slot),
            2 DropRun(run: Slot),
            1 DropIsolate(isolate: Slot),
            1 NewGroup(group: Slot),
        }
        Control {
            8 Kill(isolate: Slot, priority: Slot),
            2 KillSelf(priority: Slot),
            1 KillGroup(group: Slot),
            1 KillAll(runtime: Slot),
            2 Exit(),
            1 ExitWith(port: Slot, load: Load),
            2 Pause(isolate: Slot, capability: Slot),
            3 Resume(isolate: Slot, capability: Slot),
            2 PingPort(isolate: Slot, port: Slot, priority: Slot),
            3 RunAt(isolate: Slot, priority: Slot, inside: Script),
            3 OnExit(isolate: Slot, port: Slot, response: Script),
            1 RemoveOnExit(isolate: Slot, port: Slot),
            1 OnError(isolate: Slot),
            1 SetErrorsFatal(isolate: Slot, are_fatal: Flag),
            1 StashCurrent(isolate: Slot),
        }
        Port {
            4 Open(port: Slot, limit: Count, is_bounded: Flag),
            4 Listen(port: Slot, answer: Answering, handler: Script),
            5 Serve(port: Slot, isolate: Slot, answer: Answering, handler: Script),
            1 Replace(port: Slot, handler: Script),
            1 Clear(port: Slot),
            2 CloseListener(port: Slot),
            2 CloseReceiver(port: Slot),
            1 KeepAlive(port: Slot, keep: Flag),
            8 Send(port: Slot, load: Load),
            3 SendBlocking(port: Slot, load: Load),
            2 DropPort(port: Slot),
        }
        Ask {
            4 AskBlocking(port: Slot, patience: Patience),
            2 Answer(reply: Slot, load: Load),
            2 DropReplyTo(reply: Slot),
            3 OneShot(reply: Slot),
            2 WaitReply(reply: Slot),
        }
        Name {
            3 Register(name: Slot, port: Slot),
            2 LookUp(name: Slot, port: Slot),
            2 Unregister(name: Slot),
        }
        Timer {
            5 After(timer: Slot, ms: Ms, inside: Script),
            2 Periodic(timer: Slot, ms: Ms, inside: Script),
            2 Cancel(timer: Slot),
        }
        Task {
            3 Microtask(inside: Script),
            5 Task(inside: Script),
            12 Wait(future: Future, how: How),
            2 PollAgain(future: Slot, wakes: Wakes),
            2 DropFuture(future: Slot),
        }
        Waker {
            4 WakeStashed(waker: Slot),
            2 CopyWaker(waker: Slot, to: Slot),
            2 DropWaker(waker: Slot),
        }
        Mailbox {
            3 NewMailbox(mailbox: Slot),
            4 Put(mailbox: Slot, patience: Patience, load: Load),
            1 TryPut(mailbox: Slot, load: Load),
            5 Take(mailbox: Slot, patience: Patience),
            1 TryTake(mailbox: Slot),
            1 CloseMailbox(mailbox: Slot),
            1 AttachMailbox(mailbox: Slot),
            1 CopyMailbox(mailbox: Slot, to: Slot),
            1 DropMailbox(mailbox: Slot),
        }
        Rendezvous {
            4 NewRendezvous(rendezvous: Slot),
            8 Request(rendezvous: Slot, patience: Patience, load: Load),
            5 Receive(rendezvous: Slot, patience: Patience),
            3 Respond(rendezvous: Slot, load: Load),
            1 Decline(rendezvous: Slot),
            3 MessageLoop(rendezvous: Slot, handler: Script),
            1 StopLoop(rendezvous: Slot),
            1 CloseRendezvous(rendezvous: Slot),
            1 AttachEnd(rendezvous: Slot, is_requester: Flag),
            1 PeerIs(rendezvous: Slot, isolate: Slot, is_requester: Flag),
            1 DropEnd(rendezvous: Slot, is_requester: Flag),
        }
        Lock {
            5 Lock(lock: Slot, patience: Patience, inside: Script),
            2 TryLock(lock: Slot, inside: Script),
            2 RawLock(lock: Slot, patience: Patience),
            2 RawUnlock(lock: Slot),
            5 WaitFor(condition: Slot, lock: Slot, patience: Patience),
            2 WaitForRaw(condition: Slot, lock: Slot, patience: Patience),
            3 Notify(condition: Slot),
            1 NotifyAll(condition: Slot),
        }
        Callback {
            3 NewListenerCallback(callback: Slot, handler: Script),
            3 CallListener(callback: Slot, load: Load),
            3 NewBlockingCallback(callback: Slot, answer: Answering, handler: Script),
            4 CallBlocking(callback: Slot, patience: Patience, load: Load),
            1 AnswerCallback(reply: Slot, load: Load),
            2 NewLocalCallback(callback: Slot, handler: Script),
            2 CallLocal(callback: Slot, load: Load),
            2 NewGroupCallback(callback: Slot, handler: Script),
            2 CallGroup(callback: Slot, load: Load),
            2 CloseCallback(callback: Slot, kind: Slot),
            2 DropCallback(callback: Slot, kind: Slot),
            1 KeepCallbackAlive(callback: Slot, kind: Slot, keep: Flag),
        }
        Native {
            3 NewNative(native: Slot, limit: Count, answer: Answering, handler: Script),
            5 Post(native: Slot, load: Load),
            1 CloseNative(native: Slot),
            1 DropNative(native: Slot),
        }
        Runtime {
            2 NewRuntime(runtime: Slot, threads: Count),
            3 ShutDown(runtime: Slot),
            2 ShutDownUnderBlockOn(runtime: Slot),
            2 Enter(runtime: Slot, inside: Script),
            2 StashEntered(runtime: Slot, entered: Slot),
            2 DropEntered(entered: Slot),
            2 Advance(runtime: Slot, ms: Ms),
        }
        Local {
            4 WithLocal(local: Slot, inside: Script),
            2 WithCell(inside: Script),
        }
        Root {
            2 Root(notify: Script, pauses: Flag, entry: Script, entered: Script, end: RootEnd),
        }
        Call {
            3 ServeCalls(caller: Slot, isolate: Slot, service: Services, at_end: Load),
            2 ServeHere(caller: Slot, limit: Count, is_bounded: Flag, service: Services, at_end: Load),
            7 NewCall(call: Slot, caller: Slot, sort: Sort, terms: Terms, order: Order),
            3 StartCall(call: Slot),
            2 TryStartCall(call: Slot),
            3 DetachCall(call: Slot),
            3 BlockOnCall(call: Slot),
            3 DropCall(call: Slot),
            4 CallAndBlock(caller: Slot, sort: Sort, terms: Terms, order: Order),
            3 CallAndLeave(caller: Slot, sort: Sort, terms: Terms, order: Order),
            1 DropCaller(caller: Slot),
        }
        Stream {
            3 TrySendItem(sender: Slot, item: Cargo),
            2 FinishItems(sender: Slot),
            2 AbortItems(sender: Slot),
            2 DropSender(sender: Slot),
            3 DropStream(stream: Slot),
        }
        Pool {
            2 CallerOf(pool: Slot, caller: Slot),
            1 LookAtPool(pool: Slot),
            2 DropPool(pool: Slot),
        }
        Handler {
            3 Progress(ms: Ms),
            4 Fail(error: Cargo),
            1 Trail(),
            2 StashToken(token: Slot),
            2 DropItems(),
            2 StashItems(items: Slot),
        }
    }
}

grammar! {
    /// A future to wait for.
    pub(crate) enum Future {
        Timer { 6 Sleep(ms: Ms), }
        Task {
            2 Yield(),
            2 Pending(),
            3 Do(inside: Script),
            2 Either(one: Box<Future>, other: Box<Future>),
        }
        Waker { 4 StashWaker(waker: Slot), }
        Port { 4 Receive(port: Slot), 3 SendWait(port: Slot, load: Load), }
        Ask { 4 Ask(port: Slot), 2 Reply(reply: Slot), }
        Native { 2 AskNative(native: Slot), }
        Control { 3 Ping(isolate: Slot, priority: Slot), 1 WhyAlive(isolate: Slot), }
        Isolate { 4 Exited(isolate: Slot), 2 Result(run: Slot), }
        Flow { 1 DropLater(load: Load), }
        Call {
            12 Call(caller: Slot, sort: Sort, terms: Terms, order: Order),
            5 Await(call: Slot),
            3 AwaitDetails(call: Slot),
            5 CancelAndWait(call: Slot),
            3 Both(one: Box<Future>, other: Box<Future>),
            2 Then(one: Box<Future>, other: Box<Future>),
            3 MapCalls(caller: Slot, amount: Amount, at_once: Count, is_ordered: Flag, order: Order),
            2 CancelledOf(token: Slot),
        }
        Stream {
            8 ReadStream(stream: Slot, amount: Amount),
            6 SendItems(sender: Slot, item: Cargo, amount: Amount),
            1 Reserve(sender: Slot),
            1 ReadStashed(items: Slot, amount: Amount),
        }
        Pool {
            4 BuildPool(pool: Slot, caller: Slot, shape: Shape, staff: Staff),
            4 ShutDownPool(pool: Slot, plan: Plan),
        }
        Handler {
            3 Cancelled(),
            2 Checkpoint(),
            6 ReadItems(amount: Amount),
            8 Give(item: Cargo, amount: Amount),
            4 CallWithin(caller: Slot, sort: Sort, terms: Terms, order: Order),
        }
    }
}

grammar! {
    /// A way to drive a future.
    pub(crate) enum How {
        Task { 8 Await(), 5 BlockOn(), 1 PollDrop(wakes: Wakes), }
        Waker { 2 PollWith(future: Slot, wakes: Wakes), }
        Timer { 4 PollKeep(future: Slot, wakes: Wakes), }
    }
}

grammar! {
    /// A handler's use of the right to answer.
    pub(crate) enum Answering {
        Flow { 3 First(), 2 Last(), 1 Never(), 2 Keep(reply: Slot), }
    }
}

grammar! {
    /// The end of a root isolate.
    pub(crate) enum RootEnd {
        Flow { 2 Dropped(), 2 ShutDown(), 2 Looped(), }
    }
}

grammar! {
    /// A chore that leaves nothing behind, however often it is done.
    pub(crate) enum Chore {
        Isolate { 1 GiveUpExited(), 1 SpawnAndEnd(), 1 SpawnAndKill(), }
        Control { 1 ExitListener(), 1 ErrorListener(), 1 PauseAndResume(), 1 GiveUpPing(), 1 GiveUpWhyAlive(), }
        Port { 1 OpenAndClose(), 1 OpenAndDropSender(), 1 GiveUpSendWait(), 1 GiveUpReceive(), 1 CopySender(), }
        Ask { 1 GiveUpAsk(), 1 GiveUpReply(), 1 DropOneShot(), }
        Name { 1 RegisterAndRemove(), 1 RegisterAndClose(), }
        Timer { 1 CancelTimer(), 1 GiveUpSleep(), 1 ZeroTimer(), }
        Task { 1 EndedTask(), 1 MicrotaskOnce(), }
        Mailbox { 1 AttachAndDropMailbox(), 1 GiveUpTake(), 1 GiveUpPut(), }
        Rendezvous { 1 AttachAndDropEnds(), 1 GiveUpRequest(), 1 GiveUpReceiving(), }
        Lock { 1 GiveUpLock(), 1 GiveUpNotification(), }
        Callback { 1 ListenerCallbackOnce(), 1 BlockingCallbackOnce(), 1 LocalCallbackOnce(), 1 GroupCallbackOnce(), }
        Native { 1 NativeOnce(), }
        Local { 1 CellOnce(), }
    }
}

impl Script {
    /// Returns whether the script has no operation.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn count(&mut self) -> usize {
        let ops = Arc::make_mut(&mut self.0);
        let mut count = ops.len();
        for op in ops {
            op.each_script(&mut |script| count += script.count());
        }
        count
    }

    /// Removes the operation at `index` in a walk from the outside in. Returns `None` once it is
    /// removed, and else the remaining index.
    fn remove(&mut self, index: usize, unwrap: bool) -> Option<usize> {
        let ops = Arc::make_mut(&mut self.0);
        // A script's own operations come before what is in them, so that large parts are tried
        // first.
        if index < ops.len() {
            let mut removed = ops.remove(index);
            if unwrap {
                let mut at = index;
                removed.each_script(&mut |script| {
                    for op in script.0.iter().cloned() {
                        ops.insert(at, op);
                        at += 1;
                    }
                });
            }
            return None;
        }
        let mut left = Some(index - ops.len());
        for op in ops {
            op.each_script(&mut |script| {
                if let Some(index) = left {
                    left = script.remove(index, unwrap);
                }
            });
        }
        left
    }
}

impl Program {
    /// Returns the program of a seed.
    pub(crate) fn generate(kind: Kind, seed: u64) -> Self {
        Gen::new(kind, seed).program()
    }

    /// Reads the output of `Display`.
    ///
    /// # Errors
    /// Reports what is wrong and where, if the text is not a program.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader::new(text);
        let program = reader.program().map_err(|why| reader.locate(&why))?;
        Ok(program)
    }

    fn scripts(&mut self) -> [&mut Script; 4] {
        [
            &mut self.main,
            &mut self.prelude,
            &mut self.local_init,
            &mut self.local_drop,
        ]
    }

    /// Returns the number of operations.
    pub(crate) fn count(&self) -> usize {
        // A copy, since the walk is that of `remove`, which takes scripts by mutable reference.
        let mut copy = self.clone();
        let ops: usize = copy.scripts().into_iter().map(Script::count).sum();
        ops + self.rounds.len()
    }

    /// Returns the program without one of its operations. With `unwrap`, the removed operation's
    /// parts stay in its place.
    pub(crate) fn without(&self, index: usize, unwrap: bool) -> Self {
        let mut copy = self.clone();
        let mut left = Some(index);
        for script in copy.scripts() {
            if let Some(index) = left {
                left = script.remove(index, unwrap);
            }
        }
        if let Some(index) = left
            && index < copy.rounds.len()
        {
            copy.rounds.remove(index);
        }
        copy
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut writer = Writer::default();
        writer.program(self);
        f.write_str(&writer.finish())
    }
}
