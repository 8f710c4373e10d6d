//! One connection to NATS servers, with the thread that moves its messages.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{
    Client, ClientError, ConnectError, ConnectErrorKind, ConnectOptions, Event, ServerAddr,
    ServerError,
};
use insula_sync::atomic::Ordering;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error::NatsError;
use crate::plan::{Login, Plan};

/// The messages that may wait for one inbox: those of a window, and signs between them.
const MOST_WAITING: usize = 256;

/// The messages of all links that may wait for the connection: few, since the beats of one link wait
/// behind the parts of others.
const MOST_UNSENT: usize = 16;

/// The time that a server may take to greet.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest wait between two tries to connect again.
const LONGEST_DELAY: Duration = Duration::from_millis(400);

/// A connection that is opened at its first use.
#[derive(Debug, Default)]
pub(crate) struct Shared(Mutex<Option<Arc<Session>>>);

/// A connection.
pub(crate) struct Session {
    client: Client,
    losses: watch::Receiver<u64>,
    said: watch::Receiver<String>,
    /// The number of links.
    links: watch::Sender<usize>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Shared {
    /// Returns the connection, once it is open.
    ///
    /// # Errors
    /// It could not be opened.
    pub(crate) async fn session(&self, plan: &Arc<Plan>) -> Result<Arc<Session>, NatsError> {
        // Under the lock: of the workers of a pool, which start at once, the first one connects.
        let mut shared = self.0.lock().await;
        if let Some(session) = &*shared {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(Session::open(plan).await?);
        // Also while no link is open, so that a connection that was lost is tried again.
        *shared = Some(Arc::clone(&session));
        Ok(session)
    }
}

impl Shared {
    /// Waits for the end of all links, at most for a time.
    pub(crate) async fn close(&self, most: Duration) {
        let session = self.0.lock().await.clone();
        if let Some(session) = session {
            let ended = session.without_links();
            // An error says that there is nothing left to wait for.
            let _ = session.run(async move { timeout(most, ended).await }).await;
        }
    }
}

impl Session {
    async fn open(plan: &Arc<Plan>) -> Result<Self, NatsError> {
        plan.check()?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("insula-nats")
            .enable_all()
            .build()
            .map_err(NatsError::thread)?;
        let (lost, losses) = watch::channel(0);
        let (says, said) = watch::channel(String::new());
        let plan = Arc::clone(plan);
        let opening = async move {
            let addresses = plan.addresses()?;
            let options = options(&plan, lost, says).await?;
            let connected = options.connect(addresses).await;
            connected.map_err(|error| NatsError::connect(&plan, &error, is_denied(&error)))
        };
        let client = Aborts(runtime.spawn(opening)).await;
        let client = client.unwrap_or_else(|why| Err(NatsError::thread(why)))?;
        Ok(Self {
            client,
            losses,
            said,
            links: watch::channel(0).0,
            runtime: Some(runtime),
        })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Runs a future on the thread of the connection, and drops it with the one that is returned.
    ///
    /// # Errors
    /// It has panicked, or the connection is closed.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, NatsError> {
        let Some(runtime) = &self.runtime else {
            return Err(NatsError::thread("it has ended"));
        };
        Aborts(runtime.spawn(future))
            .await
            .map_err(NatsError::thread)
    }

    /// Runs a future on the thread of the connection to its end, as far as the connection lasts.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            drop(runtime.spawn(future));
        }
    }

    /// As [`spawn`](Self::spawn), for a future that is a link.
    pub(crate) fn spawn_link(&self, future: impl Future<Output = ()> + Send + 'static) {
        let counted = Counted::new(&self.links);
        self.spawn(async move {
            future.await;
            drop(counted);
        });
    }

    /// Ready once there are no links.
    pub(crate) fn without_links(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut links = self.links.subscribe();
        async move {
            // An error says that the connection has ended.
            let _ = links.wait_for(|links| *links == 0).await;
        }
    }

    /// Begins to look out for losses of the connection, and with it of messages.
    pub(crate) fn losses(&self) -> Losses {
        let mut told = self.losses.clone();
        told.mark_unchanged();
        let connects = self.connects();
        Losses { told, connects }
    }

    fn connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    /// The last error that the server has told, or that the client has met. Changes with each that
    /// follows.
    pub(crate) fn said(&self) -> watch::Receiver<String> {
        let mut said = self.said.clone();
        said.mark_unchanged();
        said
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A drop in an isolate must not block, and one on the runtime's own thread cannot wait.
            runtime.shutdown_background();
        }
    }
}

/// A link that is counted.
struct Counted(watch::Sender<usize>);

impl Counted {
    fn new(links: &watch::Sender<usize>) -> Self {
        links.send_modify(|links| *links += 1);
        Self(links.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|links| *links -= 1);
    }
}

/// The losses of a connection since some moment.
#[derive(Debug, Clone)]
pub(crate) struct Losses {
    told: watch::Receiver<u64>,
    connects: u64,
}

impl Losses {
    /// Ready once the connection was lost.
    pub(crate) async fn next(&mut self) {
        // An error says that the connection is closed for good.
        let _ = self.told.changed().await;
    }

    /// Returns whether the connection was lost, also if that was not told: the client drops its events
    /// if there are too many.
    pub(crate) fn were_missed(&self, session: &Session) -> bool {
        self.connects != session.connects()
    }
}

async fn options(
    plan: &Plan,
    lost: watch::Sender<u64>,
    says: watch::Sender<String>,
) -> Result<ConnectOptions, NatsError> {
    let mut options = ConnectOptions::new()
        .name(&plan.name)
        .custom_inbox_prefix(plan.subjects.inboxes())
        .subscription_capacity(MOST_WAITING)
        .client_capacity(MOST_UNSENT)
        .connection_timeout(PATIENCE)
        .ping_interval(plan.silence)
        .require_tls(plan.requires_tls())
        .reconnect_delay_callback(delay)
        .event_callback(move |event| {
            match event {
                Event::Disconnected | Event::Closed => lost.send_modify(|count| *count += 1),
                Event::ServerError(ServerError::Other(text))
                | Event::ClientError(ClientError::Other(text)) => {
                    says.send_modify(|said| *said = text.chars().take(300).collect());
                }
                _ => {}
            }
            std::future::ready(())
        });
    if let Some(path) = &plan.root_certificates {
        options = options.add_root_certificates(path.clone());
    }
    if let Some((certificate, key)) = &plan.client_certificate {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(match &plan.login {
        Login::None => options,
        Login::User(user, password) => options.user_and_password(user.clone(), password.0.clone()),
        Login::Token(token) => options.token(token.0.clone()),
        Login::File(path) => {
            let opened = options.credentials_file(path).await;
            opened.map_err(|error| NatsError::credentials(path, &error))?
        }
    })
}

/// The wait before a try to connect: soon, since the callers of a pool wait, and not for all clients of
/// a server that comes back at the same time.
fn delay(tries: usize) -> Duration {
    if tries <= 1 {
        return Duration::ZERO;
    }
    let exponent = u32::try_from(tries).unwrap_or(u32::MAX).min(10);
    let longest = Duration::from_millis(1 << exponent).min(LONGEST_DELAY);
    longest.mul_f64(0.5 + 0.5 * jitter())
}

/// A number from 0 to 1 that is different in each process and at each time.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(0_u8);
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

fn is_denied(error: &ConnectError) -> bool {
    use ConnectErrorKind::{Authentication, AuthorizationViolation};
    matches!(error.kind(), Authentication | AuthorizationViolation)
}

impl Plan {
    fn addresses(&self) -> Result<Vec<ServerAddr>, NatsError> {
        self.urls
            .iter()
            .map(|url| url.parse().map_err(|why| NatsError::url(url, &why)))
            .collect()
    }
}

/// A task of the runtime that ends when it is dropped.
struct Aborts<T>(JoinHandle<T>);

impl<T> Future for Aborts<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> task::Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for Aborts<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}
