//! Generates programs from seeds.
//!
//! Each program uses the operations of a few families only, chosen at random: an operation that is
//! rare among all is frequent among those few, so that rare combinations occur within a thousand
//! programs.

use std::sync::Arc;

use super::{
    Chore, Count, Family, Flag, Future, How, Kind, Load, Ms, Op, Part, Patience, Program, Script,
    Slot, Sort,
};

/// The nesting depth of scripts.
const DEPTH: u32 = 6;

/// The first seed whose program makes calls. Those below keep the programs that they had before
/// there were calls.
pub(crate) const WITH_CALLS: u64 = 1 << 32;

/// The source of parts: a random generator, and the remaining size of the program.
pub(crate) struct Gen {
    state: u64,
    kind: Kind,
    seed: u64,
    budget: u32,
    depth: u32,
    /// The program's families.
    families: Vec<Family>,
    /// The number of handlers around the part that is made.
    handlers: u32,
}

impl Gen {
    /// Starts the program of a seed.
    pub(crate) fn new(kind: Kind, seed: u64) -> Self {
        let mut source = Self {
            state: seed ^ 0x1234_5678_9ABC_DEF0,
            kind,
            seed,
            budget: 0,
            depth: 0,
            families: Vec::new(),
            handlers: 0,
        };
        let count = 2 + source.below(6);
        // Every program uses these.
        source.families = vec![Family::Flow, Family::Isolate, Family::Control, Family::Task];
        for _ in 0..count {
            let index = source.below(Family::ALL.len() as u64) as usize;
            source.families.push(Family::ALL[index]);
        }
        if seed >= WITH_CALLS {
            let others = source.below(3) as usize;
            // The first four stay, which are those of every program. Fewer others leave room for
            // calls, whose operations must meet at the same handles to do anything.
            source.families.truncate(4 + others);
            source.families.push(Family::Call);
            for _ in 0..3 {
                let index = source.below(Family::OF_CALLS.len() as u64) as usize;
                source.families.push(Family::OF_CALLS[index]);
            }
        }
        source
    }

    /// The splitmix64 generator of Steele, Lea and Flood (2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Returns the weight of an operation of that family in this program.
    pub(crate) fn weight(&self, family: Family, weight: u32) -> u32 {
        // A family that was drawn twice is twice as frequent. A family that was not drawn keeps a
        // small weight, so that each sum of weights is above zero.
        let times = self.families.iter().filter(|it| **it == family).count() as u32;
        match family {
            Family::Handler => weight * 40 * self.handlers.min(1),
            Family::Call | Family::Stream | Family::Pool => weight * 16 * times,
            Family::Flow | Family::Isolate | Family::Control | Family::Task => weight * 4 * times,
            _ => weight * (16 * times).max(1),
        }
    }

    /// Returns a random index with these weights.
    pub(crate) fn weighted(&mut self, weights: &[u32]) -> usize {
        let sum: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let mut left = self.below(sum.max(1));
        for (index, &weight) in weights.iter().enumerate() {
            if left < u64::from(weight) {
                return index;
            }
            left -= u64::from(weight);
        }
        0
    }

    /// Returns a script that is usually empty: one in `rarity` is not.
    pub(crate) fn rare_script(&mut self, rarity: u64) -> Script {
        if self.below(rarity) == 0 {
            self.script()
        } else {
            Script::default()
        }
    }

    /// Returns a script that fits in the remaining size of the program.
    pub(crate) fn script(&mut self) -> Script {
        let longest = 1 + self.below(4);
        self.script_of(longest as u32)
    }

    fn script_of(&mut self, longest: u32) -> Script {
        let mut ops = Vec::new();
        if self.depth < DEPTH {
            self.depth += 1;
            while self.budget > 0 && (ops.len() as u32) < longest {
                self.budget -= 1;
                ops.push(self.op());
            }
            self.depth -= 1;
        }
        Script(Arc::new(ops))
    }

    /// Returns the script of a handler, in which the operations of handlers are frequent.
    pub(crate) fn handling(&mut self) -> Script {
        if self.below(3) == 0 {
            return Script::default();
        }
        self.handlers += 1;
        let script = self.script();
        self.handlers -= 1;
        script
    }

    /// Returns a script for a bad moment: often a single operation that is harmful there.
    pub(crate) fn nasty(&mut self) -> Script {
        if self.below(3) == 0 {
            return self.script();
        }
        let slot = Slot::generate(self);
        let nothing = Script::default;
        let op = match self.below(14) {
            0..=2 => Op::Panic(),
            3 => Op::Check(),
            4 => Op::Take(slot, Patience(None)),
            5 => Op::Spawn(slot, Flag(false), nothing()),
            6 => Op::Post(slot, Load(nothing())),
            7 => Op::Run(nothing()),
            8 => Op::WithLocal(slot, nothing()),
            9 => Op::Kill(slot, slot),
            10 => Op::Wait(Future::Sleep(Ms(1)), How::BlockOn()),
            11 => Op::Lock(slot, Patience(None), nothing()),
            12 => Op::Send(slot, Load(nothing())),
            _ => Op::generate(self),
        };
        Script(Arc::new(vec![op]))
    }

    /// Returns the same as `nasty` once in `rarity` times, and else an empty script.
    pub(crate) fn rarely_nasty(&mut self, rarity: u64) -> Script {
        if self.below(rarity) == 0 {
            self.nasty()
        } else {
            Script::default()
        }
    }

    /// Returns the script of a local's destructor: it uses a local, maybe its own, or is nasty.
    fn of_locals(&mut self, rarity: u64) -> Script {
        match self.below(3 * rarity) {
            0 => Script(Arc::new(vec![Op::WithLocal(
                Slot::generate(self),
                self.rare_script(4),
            )])),
            1 => self.nasty(),
            _ => Script::default(),
        }
    }

    /// Returns an operation. Most operations need an isolate around them, so at the outside it is
    /// often one that makes an isolate.
    fn op(&mut self) -> Op {
        if self.seed >= WITH_CALLS {
            return self.op_with_calls();
        }
        if self.depth > 1 || self.below(2) == 0 {
            return Op::generate(self);
        }
        let slot = Slot::generate(self);
        match self.below(5) {
            0 => Op::Serve(slot, slot, Part::generate(self), self.script()),
            1 | 2 => Op::SpawnAsync(slot, self.script()),
            _ => Op::Spawn(slot, Flag(false), self.script()),
        }
    }

    /// The same for a program that makes calls.
    fn op_with_calls(&mut self) -> Op {
        let slot = Slot::generate(self);
        match (self.below(12), self.depth <= 1) {
            (0..4, true) => Op::SpawnAsync(slot, self.script()),
            (4..6, true) => Op::Thread(self.script()),
            (0..3, false) => Op::Wait(Part::generate(self), Part::generate(self)),
            (3..6, false) => Op::Wait(self.conversation(), Part::generate(self)),
            _ => Op::generate(self),
        }
    }

    /// Returns a future that makes a call and uses its streams.
    fn conversation(&mut self) -> Future {
        let [caller, call, stream, sender] = std::array::from_fn(|_| Slot::generate(self));
        let then = |one, other| Future::Then(Box::new(one), Box::new(other));
        let both = |one, other| Future::Both(Box::new(one), Box::new(other));
        let sort = match self.below(4) {
            0 => Sort::Unary(),
            1 => Sort::Download(stream),
            2 => Sort::Upload(sender),
            _ => Sort::Exchange(stream, sender),
        };
        let reads = Future::ReadStream(stream, Part::generate(self));
        let sends = Future::SendItems(sender, Part::generate(self), Part::generate(self));
        let (terms, order) = (Part::generate(self), Part::generate(self));
        let new = Op::NewCall(call, caller, sort.clone(), terms, order);
        let ends = match self.below(4) {
            0 => Op::AbortItems(sender),
            1 => Op::DropSender(sender),
            _ => Op::FinishItems(sender),
        };
        let script = |op| Future::Do(Script(Arc::new(vec![op])));
        let sends = then(sends, script(ends));
        let answer = match self.below(6) {
            0 => Future::CancelAndWait(call),
            _ => Future::Await(call),
        };
        let talk = match sort {
            Sort::Download(_) => then(answer, reads),
            Sort::Upload(_) => both(sends, answer),
            Sort::Exchange(..) => both(sends, then(answer, reads)),
            _ => answer,
        };
        then(script(new), talk)
    }

    /// Returns operations that make what the program's families work on.
    fn set_up(&mut self) -> Vec<Op> {
        let mut ops = Vec::new();
        let mut endpoints = (0..3).map(Slot);
        for family in self.families.clone() {
            let slot = match family {
                // A place for each, or a later endpoint would replace an earlier one before it is
                // called.
                Family::Call | Family::Pool => endpoints.next().unwrap_or(Slot(0)),
                _ => Slot::generate(self),
            };
            match family {
                Family::Mailbox => ops.push(Op::NewMailbox(slot)),
                Family::Rendezvous => ops.push(Op::NewRendezvous(slot)),
                Family::Port | Family::Ask | Family::Name => {
                    let answering = Part::generate(self);
                    ops.push(Op::Serve(slot, slot, answering, self.rare_script(2)));
                }
                Family::Native => {
                    let answering = Part::generate(self);
                    ops.push(Op::NewNative(
                        slot,
                        Count(2),
                        answering,
                        self.rare_script(2),
                    ));
                }
                Family::Runtime => ops.push(Op::NewRuntime(Slot(1), Count(1))),
                Family::Timer => {
                    // A timer that is polled once and kept, so that its waker is called.
                    let time = Ms(1 + self.below(2) as u8);
                    let how = How::PollKeep(slot, Part::generate(self));
                    ops.push(Op::Wait(Future::Sleep(time), how));
                }
                Family::Call => ops.push(Op::ServeCalls(
                    slot,
                    slot,
                    Part::generate(self),
                    Part::generate(self),
                )),
                Family::Pool => {
                    let (shape, staff) = (Part::generate(self), Part::generate(self));
                    let pool = Future::BuildPool(slot, slot, shape, staff);
                    // With the thread, so that the pool is there for the operations that follow.
                    ops.push(Op::Wait(pool, How::BlockOn()));
                }
                Family::Local => {
                    let uses = Script(Arc::new(vec![Op::WithLocal(slot, Script::default())]));
                    ops.push(Op::Spawn(slot, Flag(false), uses));
                }
                _ => {}
            }
        }
        ops
    }

    /// Returns a part one level deeper, or `otherwise` if that is too deep.
    pub(crate) fn inner<P>(&mut self, generate: fn(&mut Self) -> P, otherwise: fn() -> P) -> P {
        if self.depth >= DEPTH {
            return otherwise();
        }
        self.depth += 1;
        let part = generate(self);
        self.depth -= 1;
        part
    }

    /// Returns the whole program.
    pub(crate) fn program(&mut self) -> Program {
        // Each part has a budget of its own, so that an early one leaves enough to the main script.
        self.budget = 6 + self.below(5) as u32;
        let prelude = match self.below(4) {
            0 => Script(Arc::new(vec![Op::Unwind(Part::generate(self))])),
            1 => self.script(),
            _ => Script::default(),
        };
        // Programs that use such values often use them in their constructors and destructors too.
        let uses_locals = self.families.contains(&Family::Local);
        let rarity = if uses_locals { 1 } else { 4 };
        self.budget = 5;
        let local_init = self.rarely_nasty(2 * rarity + 1);
        self.budget = 5;
        let local_drop = self.of_locals(rarity);
        // Chores are done hundreds of times, so few programs have any.
        let rounds = if self.below(8) == 0 {
            1 + self.below(3)
        } else {
            0
        };
        let rounds = (0..rounds).map(|_| Chore::generate(self)).collect();
        self.budget = 8 + self.below(40) as u32;
        if self.seed >= WITH_CALLS {
            self.budget += 30;
        }
        let mut main = self.set_up();
        main.extend(self.script_of(12).0.iter().cloned());
        Program {
            seed: self.seed,
            kind: self.kind,
            threads: 1 + self.below(3) as u8,
            clears_first: self.below(2) == 0,
            linger: Ms(self.below(3) as u8),
            prelude,
            rounds,
            local_init,
            local_drop,
            main: Script(Arc::new(main)),
        }
    }
}
