//! The parts of calls, streams and pools.
//!
//! A call carries the script of its handler, so that a service needs no plan of its own. Some
//! operations make sense in a handler only, since they need its context or its stream; elsewhere
//! they do nothing.

use std::fmt;

use super::{Count, Family, Flag, Gen, Load, Ms, Part, Reader, Script, Slot, Writer};

/// Makes a part of several parts.
macro_rules! parts {
    ($($(#[$about:meta])* $Name:ident { $($(#[$doc:meta])* $field:ident: $part:ty,)* })*) => {$(
        $(#[$about])*
        #[derive(Clone, PartialEq, Eq)]
        pub(crate) struct $Name {
            $($(#[$doc])* pub(crate) $field: $part,)*
        }

        impl Part for $Name {
            fn generate(source: &mut Gen) -> Self {
                Self { $($field: <$part as Part>::generate(source),)* }
            }

            fn write(&self, to: &mut Writer) {
                to.open(stringify!($Name));
                $(to.part(&self.$field);)*
                to.close();
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, String> {
                let name = from.open()?;
                if name != stringify!($Name) {
                    return Err(format!("'{name}' is no {}", stringify!($Name)));
                }
                let read = Self { $($field: from.part::<$part>()?,)* };
                from.close()?;
                Ok(read)
            }

            fn each_script(&mut self, visit: &mut dyn FnMut(&mut Script)) {
                $(self.$field.each_script(visit);)*
            }
        }
    )*};
}

parts! {
    /// A value that a call moves.
    Cargo {
        /// Runs when it is dropped.
        load: Load,
        /// Its size.
        weight: Weight,
    }

    /// A request, and all that its handler does.
    Order {
        request: Cargo,
        handler: Handling,
        answer: Cargo,
    }

    /// The options of a call.
    Terms {
        deadline: Limit,
        key: Key,
        admission: Entry,
        /// Runs when the handler reports its progress. Without a script, nothing looks.
        on_progress: Load,
    }

    /// The settings of a pool.
    Shape {
        workers: Count,
        places: Count,
        bound: Slot,
        overflow: Full,
        is_balanced: Flag,
        is_measured: Flag,
        grace: Ms,
    }

    /// The services of a pool, and how each worker makes them.
    Staff {
        service: Services,
        /// Runs in a worker that makes its services, at its start and after each panic.
        factory: Load,
        makes: Making,
        /// Runs when a service is dropped.
        at_end: Load,
    }
}

/// The script of a handler.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Handling(pub(crate) Script);

impl Part for Handling {
    fn generate(source: &mut Gen) -> Self {
        Self(source.handling())
    }

    fn write(&self, to: &mut Writer) {
        self.0.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, String> {
        Script::read(from).map(Self)
    }

    fn each_script(&mut self, visit: &mut dyn FnMut(&mut Script)) {
        visit(&mut self.0);
    }
}

grammar! {
    /// The kind of a call, and the places of its streams.
    pub(crate) enum Sort {
        Flow {
            6 Unary(),
            4 Download(stream: Slot),
            3 Upload(sender: Slot),
            3 Exchange(stream: Slot, sender: Slot),
            2 UploadAll(items: Amount, item: Cargo),
        }
    }
}

grammar! {
    /// The size that a value says it has.
    pub(crate) enum Weight {
        Flow { 10 Light(), 2 Heavy(), 1 Endless(), 2 Asks(script: Load), }
    }
}

grammar! {
    /// The deadline of a call.
    pub(crate) enum Limit {
        Flow { 8 Never(), 1 Passed(), 2 Soon(ms: Ms), 1 Latest(), }
    }
}

grammar! {
    /// The key of a call.
    pub(crate) enum Key {
        Flow { 6 Free(), 2 Pinned(key: Slot), }
    }
}

grammar! {
    /// The treatment of a call for which there is no room.
    pub(crate) enum Entry {
        Flow { 6 ByPolicy(), 1 AtOnce(), }
    }
}

grammar! {
    /// A number of items.
    pub(crate) enum Amount {
        Flow { 6 Few(count: Count), 2 Many(), }
    }
}

grammar! {
    /// The policy of a pool whose queue is full.
    pub(crate) enum Full {
        Flow { 3 Waits(), 2 Rejects(), 2 DropsOldest(), 2 DropsNewest(), }
    }
}

grammar! {
    /// The services of a pool.
    pub(crate) enum Services {
        Flow { 4 Shared(), 2 Alone(), 1 Two(), }
    }
}

grammar! {
    /// The end of a factory.
    pub(crate) enum Making {
        Flow { 14 Makes(), 1 Fails(), 1 MakesOnce(), }
    }
}

grammar! {
    /// A plan for the end of a pool.
    pub(crate) enum Plan {
        Flow { 2 Now(), 2 Patient(ms: Ms), 1 RejectsQueued(ms: Ms), }
    }
}

impl Amount {
    /// Returns the number: few, or more than a stream's window.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Few(count) => usize::from(count.0),
            Self::Many() => insula_rpc::WINDOW + 8,
        }
    }
}

impl Cargo {
    /// Returns a value that does nothing.
    pub(crate) fn plain() -> Self {
        Self {
            load: Load(Script::default()),
            weight: Weight::Light(),
        }
    }
}

impl Order {
    /// Returns a request whose handler does nothing.
    pub(crate) fn plain() -> Self {
        Self {
            request: Cargo::plain(),
            handler: Handling(Script::default()),
            answer: Cargo::plain(),
        }
    }
}

impl Terms {
    /// Returns the usual options.
    pub(crate) fn plain() -> Self {
        Self {
            deadline: Limit::Never(),
            key: Key::Free(),
            admission: Entry::ByPolicy(),
            on_progress: Load(Script::default()),
        }
    }
}
