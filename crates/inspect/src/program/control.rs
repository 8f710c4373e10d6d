//! What a client may change, if the program has allowed it. Each change is an event.

use std::collections::HashMap;

use insula_core::{Capability, Isolate, IsolateId};
use insula_pool::{AnyPool, PoolPhase, pools};

use super::isolates::{PATIENCE, number_in};
use super::{Failure, Program};
use crate::model::{Done, Event, Severity};

impl Program {
    /// Pauses an isolate. A second pause changes nothing.
    pub(crate) fn pause(&self, id: &str) -> Result<Done, Failure> {
        let isolate = self.find(id)?;
        let number = isolate.id().number();
        let mut pauses = self.pauses.lock();
        let Some(known) = pauses.as_mut() else {
            return Err(Failure::Failed("the inspector is over".to_owned()));
        };
        let capability = *known.entry(number).or_insert_with(Capability::new);
        drop(pauses);
        // Without the lock: it may call the host of a root isolate.
        isolate.pause_with(capability);
        let kept = |pauses: &HashMap<u64, Capability>| pauses.get(&number) == Some(&capability);
        if !self.pauses.lock().as_ref().is_some_and(kept) {
            // Its end came first, and would have no effect.
            isolate.resume(capability);
        }
        Ok(self.done(
            id,
            format!("told {} to pause after its turn", isolate.name()),
        ))
    }

    /// Ends the pause of this inspector.
    pub(crate) fn resume(&self, id: &str) -> Result<Done, Failure> {
        let isolate = self.find(id)?;
        let capability = self.forget_pause(&isolate);
        let capability = capability.ok_or_else(|| {
            Failure::Failed(format!(
                "{} was not paused by this inspector",
                isolate.name()
            ))
        })?;
        isolate.resume(capability);
        Ok(self.done(id, format!("told {} to go on", isolate.name())))
    }

    /// Kills an isolate.
    pub(crate) fn kill(&self, id: &str) -> Result<Done, Failure> {
        let isolate = self.find(id)?;
        isolate.kill();
        self.forget_pause(&isolate);
        Ok(self.done(
            id,
            format!("told {} to end at its next interrupt check", isolate.name()),
        ))
    }

    /// Asks an isolate for a sign of life.
    pub(crate) fn ping(&self, id: &str) -> Result<Done, Failure> {
        let isolate = self.find(id)?;
        let begun = std::time::Instant::now();
        if is_alive(self, &isolate) {
            let text = format!("{} answered after {:.1?}", isolate.name(), begun.elapsed());
            return Ok(Done { text });
        }
        Err(Failure::Failed(format!(
            "{} has not answered within {PATIENCE:?}: it computes or blocks",
            isolate.name()
        )))
    }

    /// Lets a pool take no more calls.
    pub(crate) fn drain(&self, id: &str) -> Result<Done, Failure> {
        let pool = find_pool(id)?;
        let name = pool.status().name;
        if !pool.begin_drain() {
            let text = format!("pool {name} takes no calls already");
            return Err(Failure::Failed(text));
        }
        Ok(self.done(id, format!("pool {name} takes no more calls")))
    }

    /// Sets the number of workers of a pool.
    pub(crate) fn resize(&self, id: &str, workers: usize) -> Result<Done, Failure> {
        let pool = serving_pool(id)?;
        let resized = pool.resize(workers);
        resized.map_err(|error| Failure::Failed(error.to_string()))?;
        let name = pool.status().name;
        let ending = if workers == 1 { "" } else { "s" };
        let text = format!("pool {name} is to have {workers} worker{ending}");
        Ok(self.done(id, text))
    }

    /// Has the services of all workers of a pool built anew.
    pub(crate) fn recycle(&self, id: &str) -> Result<Done, Failure> {
        let pool = serving_pool(id)?;
        pool.begin_reload();
        let name = pool.status().name;
        Ok(self.done(id, format!("pool {name} builds its services anew")))
    }

    fn forget_pause(&self, isolate: &Isolate) -> Option<Capability> {
        self.pauses.lock().as_mut()?.remove(&isolate.id().number())
    }

    /// Ends all pauses of this inspector, which is over.
    pub(crate) fn resume_all(&self) {
        let pauses = self.pauses.lock().take();
        for (number, capability) in pauses.into_iter().flatten() {
            if let Some(isolate) = self.runtime.isolate(IsolateId::from_number(number)) {
                isolate.resume(capability);
            }
        }
    }

    fn done(&self, subject: &str, text: String) -> Done {
        self.note(Event {
            kind: "control".to_owned(),
            severity: Severity::Warning,
            subject: subject.to_owned(),
            text: format!("by the inspector: {text}"),
            ..Event::default()
        });
        Done { text }
    }
}

/// Returns whether an isolate answers in time.
fn is_alive(program: &Program, isolate: &Isolate) -> bool {
    let told = program.ask(std::slice::from_ref(isolate));
    told.first().is_some_and(Option::is_some)
}

/// Returns a pool that takes calls, or could if it had a worker.
fn serving_pool(id: &str) -> Result<AnyPool, Failure> {
    let pool = find_pool(id)?;
    let status = pool.status();
    match status.phase {
        PoolPhase::Draining | PoolPhase::Closed => Err(Failure::Failed(format!(
            "pool {} takes no calls any more",
            status.name
        ))),
        _ => Ok(pool),
    }
}

fn find_pool(id: &str) -> Result<AnyPool, Failure> {
    let number = number_in(id, "pools")?;
    let mut pools = pools().into_iter();
    let pool = pools.find(|pool| pool.number() == number);
    pool.ok_or_else(|| Failure::Missing(format!("there is no pool '{id}'")))
}

#[cfg(test)]
mod tests;
