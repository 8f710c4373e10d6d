//! The objects that handles name.

use std::sync::Arc;

use insula::Isolate;
use insula::control::Capability;

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
use crate::service::{CallEnd, ServiceObject};
use crate::timer::TimerObject;

/// A call that may be cancelled.
#[derive(Clone, Debug)]
pub(crate) enum CallObject {
    /// An isolate waits for the answer.
    Isolate(Isolate),
    /// No isolate waits: the call is polled in place.
    InPlace(Arc<InPlace<CallEnd>>),
}

impl CallObject {
    pub(crate) fn cancel(&self) {
        match self {
            Self::Isolate(isolate) => isolate.kill(),
            Self::InPlace(call) => call.cancel(),
        }
    }
}

/// A type of object that a handle can name.
pub(crate) trait Item: Sized {
    fn of(object: Object) -> Option<Self>;
}

macro_rules! objects {
    ($($variant:ident($type:ty) = $number:literal,)*) => {
        /// The types of handles, as encoded in the number.
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

        /// An object that C has a handle to. Cloning it runs no foreign code.
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
    /// Ends the waits for this object, because the runtime shuts down.
    pub(crate) fn end(&self) {
        match self {
            Self::Callback(callback) => callback.close(),
            Self::Mailbox(it) => it.mailbox.close(),
            Self::Requester(requester) => requester.close(),
            Self::Responder(responder) => responder.side().close(),
            Self::Mutex(mutex) => mutex.close(),
            Self::Condition(condition) => condition.close(),
            // The waits for others end without this: that for an isolate with its kill, and those
            // in `while_running` by themselves.
            _ => {}
        }
    }
}

/// Returns the object of a handle.
pub(crate) fn find<T: Item>(bits: Bits) -> Result<T, Status> {
    T::of(table().find(bits)?).ok_or(Status::WrongType)
}

/// Removes a handle, which is stale from now on, and returns its object.
pub(crate) fn remove<T: Item>(bits: Bits) -> Result<T, Status> {
    // Looked up first, because a handle of another type must stay in the table.
    drop(find::<T>(bits)?);
    // The type is a part of the number, so this finds the same type, or a stale handle if another
    // thread was faster.
    T::of(table().remove(bits)?).ok_or(Status::WrongType)
}
