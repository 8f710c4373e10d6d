//! Isolate-local values, whose constructor and destructor run scripts of the current program.

use std::sync::Arc;

use insula_sync::Mutex;
use insula_sync::atomic::{AtomicU32, Ordering};

use super::world::{At, Parcel, World};
use crate::program::{Op, Slot};

insula_core::isolate_local! {
    static FIRST: Local = Local::make(Slot(0));
    static SECOND: Local = Local::make(Slot(1));
    static THIRD: Local = Local::make(Slot(2));
}

/// The program that runs in this process. Only one runs at a time.
static CURRENT: Mutex<Option<Arc<World>>> = Mutex::new(None);

/// The number of isolate-local values made for the current program.
static MADE: AtomicU32 = AtomicU32::new(0);

/// More than a program's operations ask for, so reaching it means that values make themselves anew.
const TOO_MANY: u32 = 5_000;

/// Sets the program that runs from now on.
pub(crate) fn set_current(world: Option<Arc<World>>) {
    MADE.store(0, Ordering::Relaxed);
    let before = std::mem::replace(&mut *CURRENT.lock(), world);
    drop(before);
}

struct Local {
    /// `None` if no program runs.
    parcel: Option<Parcel>,
    slot: Slot,
}

impl Local {
    fn make(slot: Slot) -> Self {
        let world = CURRENT.lock().clone();
        let Some(world) = world else {
            return Self { parcel: None, slot };
        };
        let at = At { world, home: None };
        super::run(&at.world.program.local_init, &at);
        Self {
            parcel: Some(at.token()),
            slot,
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let Some(parcel) = &self.parcel else {
            return;
        };
        let at = &parcel.at;
        let script = &at.world.program.local_drop;
        // A value that makes itself anew would do so without end. The program's limit of operations
        // must not hide that.
        let uses_itself = |op: &Op| matches!(op, Op::WithLocal(slot, _) if *slot == self.slot);
        let may_use = insula_core::Isolate::current().is_some() && !std::thread::panicking();
        if may_use && script.0.iter().any(uses_itself) {
            // Relaxed: a few more or less make no difference.
            if MADE.fetch_add(1, Ordering::Relaxed) < TOO_MANY {
                with(self.slot, || ());
            } else {
                let ledger = &at.world.ledger;
                ledger.fault("an isolate local is made anew without end");
            }
        }
        super::run(script, at);
    }
}

/// Runs `inside` with an isolate-local value.
pub(crate) fn with(slot: Slot, inside: impl FnOnce()) {
    match slot.0 {
        0 => FIRST.with(|_| inside()),
        1 => SECOND.with(|_| inside()),
        _ => THIRD.with(|_| inside()),
    }
}
