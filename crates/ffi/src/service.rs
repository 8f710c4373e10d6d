//! Services: a function that answers values with values, on the workers of a pool.
//!
//! A call is an isolate of its own that waits for the answer, so to cancel the call is to kill the
//! isolate. For a caller that accepts answers on the workers' threads it is only a future
//! ([`InPlace`]). In every case [`Done`] is called exactly once, at the latest when it is dropped.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use insula::pool::{Overflow, Queue, Shutdown};
use insula::rpc::{Outcome as Ran, Reject};
use insula::{CallError, Context, Isolate, Runtime, WorkerPool, contract};
use insula_sync::Mutex;
use insula_sync::atomic::{AtomicBool, Ordering};

use crate::abi::status::{Failure, INSULA_OK, Outcome, Status, StatusCode};
use crate::abi::types::{RawValue, ServiceHandle};
use crate::callout;
use crate::custody::{Custody, Duty, Share};
use crate::handle::{Reservation, table};
use crate::in_place::InPlace;
use crate::object::{self, CallObject, Object};
use crate::raw::{Address, User};
use crate::replying::{Answer, answering};
use crate::serving::serving;
use crate::state::{self, while_running};
use crate::value::Value;
use crate::value::view::deliver;

#[contract]
pub(crate) trait AnyService {
    /// Answers a value with a value.
    async fn exchange(&self, cx: &Context, request: Request) -> Result<Value, Refusal>;
}

/// A request and its progress.
#[derive(Debug)]
pub(crate) struct Request {
    value: Value,
    progress: Progress,
}

/// Records whether a worker has begun with a call. The flag is read after the call has been
/// withdrawn: a call that has not begun by then never will.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<AtomicBool>);

impl Progress {
    fn begin(&self) {
        // Release; pairs with the Acquire in `has_begun`. The reader has taken the queue's lock
        // after the worker.
        self.0.store(true, Ordering::Release);
    }

    fn has_begun(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The error that a service's own code answers with.
#[derive(Debug)]
pub(crate) struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// The function that answers the requests.
pub(crate) enum Handler {
    /// A C function.
    C(extern "C" fn(*mut c_void, *const RawValue), User),
    /// A Rust function.
    Rust(Box<dyn Fn(Value) -> Answer + Send + Sync>),
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::C(..) => "C",
            Self::Rust(_) => "Rust",
        })
    }
}

/// The state that the workers share. It is dropped with the last of their isolates, which is after
/// the last function has returned: first the function's data, then the signal.
struct Served {
    handler: Handler,
    _signal: Signal,
}

/// Records whether the workers of a service have ended, and the wakers that wait for it.
#[derive(Debug, Default)]
struct Gone(Mutex<(bool, Vec<Waker>)>);

/// Records the end of the workers when it is dropped.
struct Signal(Arc<Gone>);

impl Drop for Signal {
    fn drop(&mut self) {
        let mut gone = self.0.0.lock();
        gone.0 = true;
        let wakers = std::mem::take(&mut gone.1);
        drop(gone);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Gone {
    async fn wait(&self) {
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let mut gone = self.0.lock();
            if gone.0 {
                return Poll::Ready(());
            }
            // Bounded by the tasks that close the service, each through a handle of its own.
            if !gone.1.iter().any(|other| other.will_wake(&waker)) {
                gone.1.push(waker);
            }
            Poll::Pending
        })
        .await;
    }
}

struct Worker(Arc<Served>);

impl AnyService for Worker {
    async fn exchange(&self, cx: &Context, request: Request) -> Result<Value, Refusal> {
        request.progress.begin();
        let request = request.value;
        let answer = serving(cx, || match &self.0.handler {
            Handler::Rust(function) => {
                request.delivered();
                function(request)
            }
            Handler::C(function, user) => answering(|| {
                callout::in_isolate(|| {
                    deliver(request, |request| function(user.data(), request));
                });
            }),
        });
        answer.map_err(Refusal)
    }
}

/// A service and its pool.
pub(crate) struct ServiceObject {
    name: Option<String>,
    pool: WorkerPool<AnyServiceRequest>,
    caller: AnyServiceCaller,
    gone: Arc<Gone>,
}

impl fmt::Debug for ServiceObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceObject")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The services that can be found by name.
static NAMES: Mutex<BTreeMap<String, Arc<ServiceObject>>> = Mutex::new(BTreeMap::new());

/// The settings with which a service is opened.
#[derive(Debug, Default, Clone)]
pub struct ServiceSettings {
    /// The name by which others find it.
    pub name: Option<String>,
    /// The number of requests that are answered at once; one per core by default.
    pub workers: Option<usize>,
    /// The number of calls that may wait; 1,024 by default.
    pub queue: Option<usize>,
    /// If `true`, calls for which there is no room are rejected and do not wait.
    pub rejects_when_full: bool,
}

/// The most workers that a service may have.
const MOST_WORKERS: usize = 65_536;

/// Opens a service whose requests a Rust function answers, with a value or with the text of an
/// error. The runtime must run. Returns a handle as `insula_service_open` does.
///
/// # Blocking
/// Blocks until the workers have started.
///
/// # Errors
/// The same as of `insula_service_open`.
pub fn open_service(
    settings: ServiceSettings,
    function: impl Fn(Value) -> Result<Value, String> + Send + Sync + 'static,
) -> Result<ServiceHandle, Failure> {
    crate::state::require_same_process()?;
    crate::state::require_running()?;
    open(settings, Handler::Rust(Box::new(function)))
}

/// Opens a service. If this fails, workers that have started may hold `handler` for a while, but
/// get no more requests.
pub(crate) fn open(opening: ServiceSettings, handler: Handler) -> Result<ServiceHandle, Failure> {
    let gone = Arc::new(Gone::default());
    let served = Arc::new(Served {
        handler,
        _signal: Signal(gone.clone()),
    });
    // `publish` checks the name again, under the lock; this check saves the start of the workers.
    let is_taken = |name: &String| NAMES.lock().contains_key(name);
    if opening.name.as_ref().is_some_and(is_taken) {
        return Err(Status::NameTaken.into());
    }
    let overflow = if opening.rejects_when_full {
        Overflow::Reject
    } else {
        Overflow::Wait
    };
    let mut builder = WorkerPool::builder()
        .name(opening.name.as_deref().unwrap_or("service"))
        .queue(Queue::bounded(opening.queue.unwrap_or(1024)).overflow(overflow))
        .service::<AnyServiceResponder<_>>(move |_| {
            let worker = Worker(served.clone());
            async move { Ok(worker) }
        });
    if let Some(workers) = opening.workers {
        // Refused here, because a count that was meant as -1 would start workers until memory is
        // used up.
        if workers > MOST_WORKERS {
            let text = format!("{workers} workers are more than {MOST_WORKERS}, which is the most");
            return Err(Failure::new(Status::OutOfResources, text));
        }
        builder = builder.workers(workers);
    }
    let pool = while_running(builder.build())?
        .map_err(|error| Failure::new(Status::OutOfResources, error.to_string()))?;
    let service = Arc::new(ServiceObject {
        name: opening.name,
        caller: pool.caller(),
        pool,
        gone,
    });
    // The handle first: a handle can be removed unnoticed, but a name that was published may have
    // been found.
    let bits = table().insert(Object::Service(service.clone()))?;
    if let Err(status) = publish(&service) {
        drop(table().remove(bits));
        return Err(status.into());
    }
    Ok(bits)
}

/// Makes a service findable by its name.
fn publish(service: &Arc<ServiceObject>) -> Result<(), Status> {
    let Some(name) = &service.name else {
        return Ok(());
    };
    let mut names = NAMES.lock();
    // Checked under the lock: a shutdown that missed the name would leave the service open forever.
    state::require_running()?;
    if names.contains_key(name) {
        return Err(Status::NameTaken);
    }
    names.insert(name.clone(), service.clone());
    Ok(())
}

/// Returns a new handle of the service with that name.
pub(crate) fn look_up(name: &str) -> Result<ServiceHandle, Failure> {
    let service = NAMES.lock().get(name).cloned();
    let service = service.ok_or(Status::NotFound)?;
    Ok(table().insert(Object::Service(service))?)
}

/// Ends a service: its running and queued calls have `patience` to finish.
pub(crate) fn close(bits: ServiceHandle, patience: Duration) -> Outcome {
    if callout::is_inside() && Isolate::current().is_some() {
        let text = "a service may not wait for its own end";
        return Err(Failure::new(Status::Deadlock, text));
    }
    let service: Arc<ServiceObject> = object::remove(bits)?;
    // Before the workers end, so that a look-up does not find a service that refuses every call.
    forget_name(&service);
    while_running(async {
        service.pool.shut_down(Shutdown::graceful(patience)).await;
        // The pool gives up a function that does not stop; it is waited for here.
        service.gone.wait().await;
    })?;
    Ok(())
}

fn forget_name(service: &Arc<ServiceObject>) {
    let Some(name) = &service.name else {
        return;
    };
    let mut names = NAMES.lock();
    // The name may be another service's by now, if this one was closed by another handle before.
    if names.get(name).is_some_and(|it| Arc::ptr_eq(it, service)) {
        let service = names.remove(name);
        drop(names);
        drop(service);
    }
}

/// Drops the names of all services.
pub(crate) fn forget_all() {
    let names = std::mem::take(&mut *NAMES.lock());
    drop(names);
}

/// A C function that is called at the end of a call.
pub(crate) type Told = extern "C" fn(*mut c_void, StatusCode, u32, *const RawValue);

/// The function that is called at the end of a call, once; but not if the call could not be made.
#[derive(Debug)]
pub(crate) struct Done {
    function: Option<Told>,
    user: User,
    custody: Share,
    progress: Progress,
}

impl Done {
    pub(crate) fn new(function: Told, user: User, custody: &Custody) -> Self {
        Self {
            function: Some(function),
            user,
            custody: custody.share(),
            progress: Progress::default(),
        }
    }

    /// Returns the request of the call that this belongs to.
    fn request(&self, value: Value) -> Request {
        let progress = self.progress.clone();
        Request { value, progress }
    }

    fn tell(mut self, end: CallEnd) {
        if let Some(function) = self.function.take() {
            self.custody.accept();
            end.show(function, self.user.data());
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(function) = self.function.take() {
            let (data, progress) = (Address(self.user.data()), self.progress.clone());
            self.custody.settle(Duty::tell(function, data, progress));
        }
    }
}

/// The end of a call.
#[derive(Debug)]
pub(crate) struct CallEnd {
    error: Option<Status>,
    may_have_run: bool,
    /// The answer, or the text of the error.
    reply: Value,
}

impl CallEnd {
    fn failed(error: Status, may_have_run: bool, text: &str) -> Self {
        Self {
            error: Some(error),
            may_have_run,
            reply: Value::text(text),
        }
    }

    /// The end of a call that was cancelled at `progress`.
    pub(crate) fn cancelled(progress: &Progress) -> Self {
        let text = Status::Cancelled.text();
        Self::failed(Status::Cancelled, progress.has_begun(), text)
    }

    fn of(result: Result<Value, CallError<Refusal, Request>>) -> Self {
        let error = match result {
            Ok(reply) => {
                return Self {
                    error: None,
                    may_have_run: true,
                    reply,
                };
            }
            Err(error) => error,
        };
        let status = match &error {
            CallError::App(_) | CallError::Panicked { .. } => Status::Failed,
            CallError::Rejected {
                why: Reject::Shutdown,
                ..
            } => Status::Closed,
            CallError::Rejected { .. } => Status::Rejected,
            CallError::Cancelled { .. } => Status::Cancelled,
            CallError::Deadline { .. } => Status::TimedOut,
            CallError::WorkerDied { .. } => Status::PeerDied,
            CallError::NotWaited { why, .. } => crate::mailbox::not_waited(why),
            _ => Status::Internal,
        };
        let may_have_run = error.outcome() != Ran::NotStarted;
        Self::failed(status, may_have_run, &error.to_string())
    }

    /// Returns the outcome, for the function that waited for the call.
    pub(crate) fn outcome(&self) -> Outcome {
        match (self.error, &self.reply) {
            (None, _) => Ok(()),
            (Some(status), Value::String(text)) => {
                Err(Failure::new(status, text.as_str().to_owned()))
            }
            (Some(status), _) => Err(status.into()),
        }
    }

    /// Passes the end to a C function.
    pub(crate) fn show(self, function: Told, data: *mut c_void) {
        let status = self.error.map_or(INSULA_OK, Status::code);
        deliver(self.reply, |reply| {
            callout::outside(|| function(data, status, self.may_have_run.into(), reply));
        });
    }
}

/// Begins a call; `done` is called at its end, on a thread of the runtime.
pub(crate) fn call(
    runtime: &Runtime,
    service: &Arc<ServiceObject>,
    request: Value,
    deadline: Option<Duration>,
    done: Done,
    handle: Option<Reservation<'_>>,
) {
    let caller = service.caller.clone();
    let isolate = Isolate::builder().name("call").runtime(runtime);
    let bits = handle.as_ref().map(Reservation::bits);
    let isolate = isolate.spawn(
        move |()| async move {
            // The isolate may run before `spawn` has returned. The one of the two that comes second
            // finds the handle filled.
            if let (Some(bits), Some(isolate)) = (bits, Isolate::current()) {
                table().fill(bits, Object::Call(CallObject::Isolate(isolate)));
            }
            let call = caller.exchange(done.request(request));
            let result = match deadline {
                Some(deadline) => call.deadline(deadline).await,
                None => call.await,
            };
            done.tell(CallEnd::of(result));
        },
        (),
    );
    if let Some(handle) = handle {
        handle.fill(Object::Call(CallObject::Isolate(isolate)));
    }
}

/// Begins a call; `done` is called at its end by the thread that ends it, and so must not wait.
pub(crate) fn call_in_place(
    service: &Arc<ServiceObject>,
    request: Value,
    done: Done,
    handle: Option<Reservation<'_>>,
) {
    let (caller, request) = (service.caller.clone(), done.request(request));
    let call = InPlace::new(
        async move { CallEnd::of(caller.exchange(request).await) },
        move |end| match end {
            Some(end) => done.tell(end),
            // Its drop reports the cancellation.
            None => drop(done),
        },
    );
    // Before the first poll, during which `done` may be called already, and use the handle.
    if let Some(handle) = handle {
        handle.fill(Object::Call(CallObject::InPlace(call.clone())));
    }
    call.begin();
}

/// Calls, and waits for the end on this thread. Accepts `custody` if the call may have run.
pub(crate) fn call_blocking(
    service: &Arc<ServiceObject>,
    request: Value,
    deadline: Option<Duration>,
    custody: &Custody,
) -> Result<CallEnd, Failure> {
    let _entered = crate::state::runtime()?.enter();
    let progress = Progress::default();
    let value = request;
    let call = service.caller.exchange(Request { value, progress });
    let call = match deadline {
        Some(deadline) => call.deadline(deadline),
        None => call,
    };
    let end = CallEnd::of(call.blocking());
    if end.may_have_run {
        custody.accept();
    }
    Ok(end)
}

#[cfg(test)]
mod tests;
