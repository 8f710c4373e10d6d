//! Handles that Dart objects own in this library, and their release.
//!
//! A *lease* is a handle together with the function of the C ABI that releases it. The object of
//! the package that owns the lease (`owner.dart`) ends it when it is closed. Otherwise a finalizer
//! ends it: when Dart's collector finds the object, or when the object's isolate ends, however it
//! ends. So an isolate that has died has released its ends of mailboxes and rendezvous, and the
//! waits of its peers end with `PEER_DIED`.
//!
//! # The reaper
//! A finalizer runs in the middle of a collection, where the VM must not be called. Releasing a
//! handle may call it: a service that ends reports the end of its calls through Dart ports. So
//! finalizers only add to a list, and a separate thread, the reaper, does the work. It starts with
//! the first entry of the list and ends when the list is empty. The list is bounded by the number
//! of handles.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use insula_ffi::abi::mailbox::{insula_mailbox_release, insula_rendezvous_release};
use insula_ffi::abi::status::{INSULA_ERROR_NULL_POINTER, INSULA_ERROR_WRONG_TYPE, StatusCode};

/// A function of the C ABI that releases a handle.
type ReleaseFn = extern "C" fn(u64) -> StatusCode;

struct Lease {
    handle: u64,
    release: ReleaseFn,
}

impl Lease {
    fn end(self) -> StatusCode {
        (self.release)(self.handle)
    }
}

type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Reaper {
    works: VecDeque<Work>,
    is_running: bool,
}

static REAPER: Mutex<Reaper> = Mutex::new(Reaper {
    works: VecDeque::new(),
    is_running: false,
});

/// Locks a mutex whose holders do not panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Queues `work` for the reaper. For finalizers.
pub(crate) fn do_later(work: impl FnOnce() + Send + 'static) {
    let mut reaper = lock(&REAPER);
    reaper.works.push_back(Box::new(work));
    if std::mem::replace(&mut reaper.is_running, true) {
        return;
    }
    drop(reaper);
    let thread = thread::Builder::new().name("insula reaper".to_owned());
    if thread.spawn(reap).is_err() {
        // The system has no thread to give. To do the work here may call the VM during a
        // collection, but not to do it is worse: peers may wait for it.
        reap();
    }
}

fn reap() {
    loop {
        let mut reaper = lock(&REAPER);
        let Some(work) = reaper.works.pop_front() else {
            // Under the lock, so work that is queued after this starts another thread.
            reaper.is_running = false;
            return;
        };
        drop(reaper);
        work();
    }
}

/// Creates a lease of a handle that `release` releases. Returns null without such a function.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_lease_new(
    handle: u64,
    release: Option<ReleaseFn>,
) -> *mut c_void {
    let Some(release) = release else {
        return std::ptr::null_mut();
    };
    Box::into_raw(Box::new(Lease { handle, release })).cast()
}

/// Ends a lease, and returns the status of its function.
///
/// # Safety
/// `lease` is from `insula_dart_lease_new`, and has not ended.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_lease_end(lease: *mut c_void) -> StatusCode {
    if lease.is_null() {
        return INSULA_ERROR_NULL_POINTER;
    }
    // SAFETY: from `insula_dart_lease_new`, and ended once, as the caller promised.
    let lease = unsafe { Box::from_raw(lease.cast::<Lease>()) };
    lease.end()
}

/// Frees a lease whose handle has been given away, or is stale.
///
/// # Safety
/// As for [`insula_dart_lease_end`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_lease_forget(lease: *mut c_void) {
    if !lease.is_null() {
        // SAFETY: from `insula_dart_lease_new`, and ended once, as the caller promised.
        drop(unsafe { Box::from_raw(lease.cast::<Lease>()) });
    }
}

/// Ends a lease. The finalizer for when its Dart object, or the whole isolate, is gone.
///
/// # Safety
/// As for [`insula_dart_lease_end`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_lease_gone(lease: *mut c_void) {
    // SAFETY: the VM calls the finalizer once, with what the package attached.
    let lease = unsafe { Box::from_raw(lease.cast::<Lease>()) };
    do_later(move || {
        // A handle that is stale by now has been released already.
        let _ = lease.end();
    });
}

/// Releases a party of a mailbox, or a side of a rendezvous.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_party_release(party: u64) -> StatusCode {
    // Only the library knows which of the two the handle is. The wrong function refuses it, and
    // releases nothing.
    match insula_mailbox_release(party) {
        INSULA_ERROR_WRONG_TYPE => insula_rendezvous_release(party),
        status => status,
    }
}
