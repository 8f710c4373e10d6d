//! What handles stand for.

use std::sync::Arc;

use insula::{Capability, Isolate};

use crate::abi::status::Status;
use crate::buffer::BufferObject;
use crate::callback::CallbackObject;
use crate::handle::{Bits, table};
use crate::in_place::InPlace;
use crate::mailbox::{
    ConditionObject, MailboxObject, MutexObject, RequesterObject, ResponderObject,
};
use crate::native_port::NativePortObject;
use crate::port::PortObject;
use crate::root::RootObject;
use crate::service::{End, ServiceObject};
use crate::timer::TimerObject;

/// A call that may be cancelled.
#[derive(Clone, Debug)]
pub(crate) enum CallObject {
    /// An isolate waits for its answer.
    Isolate(Isolate),
    /// Nobody does.
    InPlace(Arc<InPlace<End>>),
}

impl CallObject {
    pub(crate) fn cancel(&self) {
        match self {
            Self::Isolate(isolate) => isolate.kill(),
            Self::InPlace(call) => call.cancel(),
        }
    }
}

/// An object by its type.
pub(crate) trait Item: Sized {
    fn of(object: Object) -> Option<Self>;
}

macro_rules! objects {
    ($($variant:ident($type:ty) = $number:literal,)*) => {
        /// The types of handles, as they stand in the number.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub(crate) enum Kind {
            $($variant = $number,)*
        }

        impl Kind {
            pub(crate) fn of(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        /// Something that C has a handle of. Cloning runs no foreign code.
        #[derive(Clone, Debug)]
        pub(crate) enum Object {
            $($variant($type),)*
        }

        impl Object {
            pub(crate) fn kind(&self) -> Kind {
                match self {
                    $(Self::$variant(_) => Kind::$variant,)*
                }
            }
        }

        $(impl Item for $type {
            fn of(object: Object) -> Option<Self> {
                match object {
                    Object::$variant(item) => Some(item),
                    _ => None,
                }
            }
        })*
    };
}

objects! {
    Port(Arc<PortObject>) = 1,
    NativePort(NativePortObject) = 2,
    Isolate(Isolate) = 3,
    Timer(TimerObject) = 4,
    Root(RootObject) = 5,
    Service(Arc<ServiceObject>) = 6,
    Call(CallObject) = 7,
    Capability(Capability) = 8,
    Callback(Arc<CallbackObject>) = 9,
    Buffer(BufferObject) = 10,
    Mailbox(MailboxObject) = 11,
    Requester(RequesterObject) = 12,
    Responder(ResponderObject) = 13,
    Mutex(MutexObject) = 14,
    Condition(ConditionObject) = 15,
}

impl Object {
    /// Ends what others may wait for: the runtime shuts down.
    pub(crate) fn end(&self) {
        match self {
            Self::Callback(callback) => callback.close(),
            Self::Mailbox(it) => it.mailbox.close(),
            Self::Requester(requester) => requester.close(),
            Self::Responder(responder) => responder.side().close(),
            Self::Mutex(mutex) => mutex.close(),
            Self::Condition(condition) => condition.close(),
            _ => {}
        }
    }
}

/// The object of a handle.
pub(crate) fn find<T: Item>(bits: Bits) -> Result<T, Status> {
    T::of(table().find(bits)?).ok_or(Status::WrongType)
}

/// The object of a handle, which is stale from now on.
pub(crate) fn remove<T: Item>(bits: Bits) -> Result<T, Status> {
    // Looked at first: a handle of another type has to stay as it is.
    drop(find::<T>(bits)?);
    T::of(table().remove(bits)?).ok_or(Status::WrongType)
}
