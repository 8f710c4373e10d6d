//! Programs: what is generated, printed, read, shrunk and run.
//!
//! A program is a tree of operations ([`Op`]). Handles live in small tables that all scripts of
//! the program share; an operation names a place in a table and does nothing if the place is
//! empty. So every tree is a valid program, and any operation can be taken out of it.
//!
//! A grammar is declared once, by `grammar!`: an operation's name, its family, its weight and the
//! parts that it consists of. How it is generated, printed, read and walked follows from its
//! parts ([`Part`]). A new operation is one line here and one arm in `run/`.

mod generate;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::sync::Arc;

pub(crate) use generate::Gen;
pub(crate) use text::{Reader, Writer};

/// What a program or an operation consists of.
pub(crate) trait Part: Sized {
    /// Makes one at random.
    fn generate(source: &mut Gen) -> Self;
    /// Prints it.
    fn write(&self, to: &mut Writer);
    /// Reads what `write` printed.
    ///
    /// # Errors
    /// If the text is something else.
    fn read(from: &mut Reader<'_>) -> Result<Self, String>;
    /// Calls `visit` with each script right inside of it.
    fn each_script(&mut self, _visit: &mut dyn FnMut(&mut Script)) {}
}

/// Which runtime a program runs on.
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
    /// Of the seeded runtime.
    pub(crate) seed: u64,
    /// Which runtime it runs on.
    pub(crate) kind: Kind,
    /// Threads of the pool.
    pub(crate) threads: u8,
    /// Whether all handles are dropped before the shutdown, and not after it.
    pub(crate) clears_first: bool,
    /// How long the program goes on after the main script.
    pub(crate) linger: Ms,
    /// What a thread does before anything else has used the library in this process.
    pub(crate) prelude: Script,
    /// What is done again and again, and must leave nothing behind.
    pub(crate) rounds: Vec<Chore>,
    /// What runs at the first use of an isolate-local value, by its number.
    pub(crate) local_init: Script,
    /// What runs when an isolate-local value is dropped.
    pub(crate) local_drop: Script,
    /// What runs on the program's first thread, which is no isolate.
    pub(crate) main: Script,
}

/// Operations, one after the other.
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

/// How long a wait may take; `None` is without end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience(pub(crate) Option<Ms>);

/// What runs when a value is dropped; most often nothing.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Load(pub(crate) Script);

/// What runs at a bad moment: in a destructor while the stack unwinds, while an isolate or a
/// thread ends. Often one operation that does harm there.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Nasty(pub(crate) Script);

/// A waker of user code: what runs when it wakes, is cloned and is dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Wakes {
    /// When it wakes.
    pub(crate) wake: Script,
    /// When it is cloned.
    pub(crate) clone: Script,
    /// When its last clone is dropped.
    pub(crate) last: Script,
}

macro_rules! grammar {
    ($(#[$about:meta])* $visibility:vis enum $Name:ident {
        $($family:ident { $($weight:literal $op:ident($($field:ident: $part:ty),*),)* })*
    }) => {
        $(#[$about])*
        #[derive(Clone, PartialEq, Eq)]
        $visibility enum $Name {
            $($($op($($part),*),)*)*
        }

        impl fmt::Debug for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut writer = Writer::default();
                self.write(&mut writer);
                f.write_str(&writer.finish())
            }
        }

        impl Part for $Name {
            fn generate(source: &mut Gen) -> Self {
                type Make = fn(&mut Gen) -> $Name;
                const KINDS: &[(Family, u32, Make)] = &[
                    $($((
                        Family::$family,
                        $weight,
                        |_source| $Name::$op($(<$part as Part>::generate(_source)),*),
                    ),)*)*
                ];
                let weights = KINDS.iter().map(|kind| source.weight(kind.0, kind.1));
                let weights: Vec<u32> = weights.collect();
                let index = source.weighted(&weights);
                (KINDS[index].2)(source)
            }

            fn write(&self, to: &mut Writer) {
                match self {
                    $($(Self::$op($($field),*) => {
                        to.open(stringify!($op));
                        $(to.part($field);)*
                        to.close();
                    })*)*
                }
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, String> {
                let name = from.open()?;
                let read = match &*name {
                    $($(stringify!($op) => Self::$op($(from.part::<$part>()?),*),)*)*
                    _ => return Err(format!("'{name}' is no {}", stringify!($Name))),
                };
                from.close()?;
                Ok(read)
            }

            fn each_script(&mut self, visit: &mut dyn FnMut(&mut Script)) {
                let _ = &visit;
                match self {
                    $($(Self::$op($($field),*) => {
                        $($field.each_script(visit);)*
                    })*)*
                }
            }
        }
    };
}

/// Operations that belong together. A program has those of some families only, so that those
/// meet often.
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
}

impl Family {
    /// All of them.
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
    /// One operation.
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
    }
}

grammar! {
    /// What is waited for.
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
    }
}

grammar! {
    /// How a future is driven.
    pub(crate) enum How {
        Task { 8 Await(), 5 BlockOn(), 1 PollDrop(wakes: Wakes), }
        Waker { 2 PollWith(future: Slot, wakes: Wakes), }
        Timer { 4 PollKeep(future: Slot, wakes: Wakes), }
    }
}

grammar! {
    /// What a handler does with the right to answer.
    pub(crate) enum Answering {
        Flow { 3 First(), 2 Last(), 1 Never(), 2 Keep(reply: Slot), }
    }
}

grammar! {
    /// How a root isolate comes to its end.
    pub(crate) enum RootEnd {
        Flow { 2 Dropped(), 2 ShutDown(), 2 Looped(), }
    }
}

grammar! {
    /// Something that leaves nothing behind, however often it is done.
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
    /// No operation.
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

    /// Takes out the operation whose turn it is in a walk from the outside in. `None` once it is
    /// done; else how many to go.
    fn remove(&mut self, index: usize, unwrap: bool) -> Option<usize> {
        let ops = Arc::make_mut(&mut self.0);
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
    /// The program of a seed.
    pub(crate) fn generate(kind: Kind, seed: u64) -> Self {
        Gen::new(kind, seed).program()
    }

    /// Reads what `Display` printed.
    ///
    /// # Errors
    /// If the text is something else; says what and where.
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

    /// How many operations there are.
    pub(crate) fn count(&self) -> usize {
        let mut copy = self.clone();
        let ops: usize = copy.scripts().into_iter().map(Script::count).sum();
        ops + self.rounds.len()
    }

    /// The program without one of its operations; with `unwrap`, what the operation consisted of
    /// stays in its place.
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
