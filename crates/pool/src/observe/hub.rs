//! The way of an event to the observers of a pool and to the readers of its events.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use insula_core::{contain, wake_contained};
use insula_sync::Mutex;

use super::events::{PoolObserver, WorkerChange, WorkerEvent};
use super::outbox::Batch;

/// Events that wait for a slow reader, at most.
const BUFFER: usize = 256;

/// The observers that a pool was built with.
#[derive(Default)]
pub(crate) struct Observers(Vec<Box<dyn PoolObserver>>);

/// Everything that is told of a pool's events. Its locks are leaves.
#[derive(Debug)]
pub(crate) struct Hub {
    observers: Observers,
    readers: Mutex<Readers>,
}

#[derive(Debug)]
enum Readers {
    Open(Vec<Arc<Reader>>),
    /// The last event was told.
    Over,
}

#[derive(Debug, Default)]
struct Reader(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    buffer: VecDeque<WorkerEvent>,
    lost: u64,
    is_over: bool,
    waker: Option<Waker>,
}

/// The events of a pool's workers, from [`WorkerPool::events`](crate::WorkerPool::events).
///
/// A stream that ends after the last event, when every worker of the pool has ended. It holds up to
/// 256 events that were not read. One more takes the place of the oldest one, which is lost and
/// [counted](Self::lost). The stream does not keep the pool open.
#[must_use = "events are read from the stream"]
pub struct Events {
    reader: Arc<Reader>,
    hub: Arc<Hub>,
}

impl Observers {
    pub(crate) fn add(&mut self, observer: Box<dyn PoolObserver>) {
        self.0.push(observer);
    }
}

impl Hub {
    pub(crate) fn new(observers: Observers) -> Arc<Self> {
        Arc::new(Self {
            observers,
            readers: Mutex::new(Readers::Open(Vec::new())),
        })
    }

    /// Makes a reader of the events from now on.
    pub(crate) fn events(self: &Arc<Self>) -> Events {
        let reader = Arc::new(Reader::default());
        let mut readers = self.readers.lock();
        let is_over = match &mut *readers {
            Readers::Open(readers) => {
                readers.push(Arc::clone(&reader));
                false
            }
            Readers::Over => true,
        };
        drop(readers);
        if is_over {
            reader.0.lock().is_over = true;
        }
        let hub = Arc::clone(self);
        Events { reader, hub }
    }

    /// Tells everyone. Called without a lock and by one thread at a time.
    pub(crate) fn tell(&self, batch: Batch) {
        for event in &batch.events {
            self.observe(event);
        }
        let readers = self.readers(batch.is_last);
        for reader in readers {
            reader.add(&batch);
        }
        // It may have the last references to errors of factories, and the thread that tells has to
        // come to its end, or no other one tells anything.
        contain(move || drop(batch));
    }

    fn observe(&self, event: &WorkerEvent) {
        let (worker, incarnation) = (event.worker, event.incarnation);
        // Contained, and also the end of the isolate: a kill that takes effect in an observer must
        // not keep the next one from being told.
        for observer in &self.observers.0 {
            match &event.change {
                WorkerChange::Spawning => {
                    contain(|| observer.on_worker_created(worker, incarnation));
                }
                WorkerChange::Exited { why } => {
                    contain(|| observer.on_worker_terminated(worker, incarnation, why));
                }
                _ => {}
            }
            if let Some(error) = event.error() {
                contain(|| observer.on_worker_error(worker, incarnation, &error));
            }
            contain(|| observer.on_event(event));
        }
    }

    /// The present readers, all of which are forgotten if this is the last time.
    fn readers(&self, is_last: bool) -> Vec<Arc<Reader>> {
        let mut readers = self.readers.lock();
        match &mut *readers {
            Readers::Open(all) if !is_last => all.clone(),
            _ => match std::mem::replace(&mut *readers, Readers::Over) {
                Readers::Open(all) => all,
                Readers::Over => Vec::new(),
            },
        }
    }

    fn forget(&self, reader: &Arc<Reader>) {
        let mut readers = self.readers.lock();
        let mut forgotten = None;
        if let Readers::Open(all) = &mut *readers
            && let Some(index) = all.iter().position(|it| Arc::ptr_eq(it, reader))
        {
            forgotten = Some(all.swap_remove(index));
        }
        drop(readers);
        // Outside of the lock, since it has a waker and the errors of factories.
        drop(forgotten);
    }
}

impl Reader {
    fn add(&self, batch: &Batch) {
        let mut displaced = Vec::new();
        let mut inside = self.0.lock();
        for event in &batch.events {
            if inside.buffer.len() == BUFFER {
                displaced.extend(inside.buffer.pop_front());
                inside.lost += 1;
            }
            inside.buffer.push_back(event.clone());
        }
        inside.is_over = batch.is_last;
        let waker = inside.waker.take();
        drop(inside);
        // Outside of the lock: events hold the errors of factories.
        contain(|| drop(displaced));
        waker.into_iter().for_each(wake_contained);
    }
}

impl Events {
    /// Waits for the next event. `None` after the last one.
    ///
    /// # Cancellation
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<WorkerEvent> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Returns the number of events that came while the buffer was full, and so displaced others
    /// that were never read.
    pub fn lost(&self) -> u64 {
        self.reader.0.lock().lost
    }
}

impl Stream for Events {
    type Item = WorkerEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<WorkerEvent>> {
        // Cloned before the lock is taken: the waker may be of any executor.
        let waker = cx.waker().clone();
        let mut inside = self.reader.0.lock();
        let (next, unused) = match inside.buffer.pop_front() {
            Some(event) => (Poll::Ready(Some(event)), Some(waker)),
            None if inside.is_over => (Poll::Ready(None), Some(waker)),
            None => (Poll::Pending, inside.waker.replace(waker)),
        };
        drop(inside);
        drop(unused);
        next
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.hub.forget(&self.reader);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("lost", &self.lost())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observers").field(&self.0.len()).finish()
    }
}
