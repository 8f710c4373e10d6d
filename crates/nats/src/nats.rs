//! The kind of workers on other machines, and the settings of both sides.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use insula_link::{Connection, Remote};
use insula_pool::{Kind, Starting, WorkerContext};
use insula_rpc::wire::{MOST_BYTES, WireContract};

use crate::node::NodeBuilder;
use crate::plan::{Login, Plan, Secret};
use crate::session::Shared;
use crate::subjects::Subjects;
use crate::worker::start;

/// Workers on other machines, and the way to them; see the [crate](crate).
///
/// It is the [kind](insula_pool::PoolBuilder::kind) of a pool where calls are made, and begins a
/// [node](Self::node) where they run. Clones share one connection, which is opened at its first use
/// and closed after the last of them, and the last link.
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is the kind of a pool, or a node"]
pub struct Nats {
    plan: Arc<Plan>,
    shared: Arc<Shared>,
}

impl Nats {
    /// Names the server: `nats://host:4222`, `tls://host:4222`, or several of a cluster with commas
    /// between. Nothing is opened yet.
    pub fn connect(urls: &str) -> Self {
        let urls = urls.split(',').map(str::trim).filter(|it| !it.is_empty());
        let plan = Plan {
            urls: urls.map(str::to_owned).collect(),
            login: Login::None,
            root_certificates: None,
            client_certificate: None,
            allows_plain: false,
            name: "insula".to_owned(),
            subjects: Subjects::new(),
            most: MOST_BYTES,
            silence: Duration::from_secs(3),
            patience: Duration::from_secs(10),
        };
        Self {
            plan: Arc::new(plan),
            shared: Arc::default(),
        }
    }

    /// Changes the settings, and parts with the connection of other clones.
    fn with(mut self, change: impl FnOnce(&mut Plan)) -> Self {
        change(Arc::make_mut(&mut self.plan));
        self.shared = Arc::default();
        self
    }

    /// Logs in with a user and a password.
    pub fn user(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        let login = Login::User(user.into(), Secret(password.into()));
        self.with(|plan| plan.login = login)
    }

    /// Logs in with a token.
    pub fn token(self, token: impl Into<String>) -> Self {
        let login = Login::Token(Secret(token.into()));
        self.with(|plan| plan.login = login)
    }

    /// Logs in with a file of credentials, as the tools of NATS write it: a token and the key that
    /// belongs to it.
    pub fn credentials_file(self, path: impl Into<PathBuf>) -> Self {
        let login = Login::File(path.into());
        self.with(|plan| plan.login = login)
    }

    /// Trusts the servers whose certificates were issued by those in a PEM file, and no others. By
    /// default those are trusted that the system trusts.
    pub fn root_certificates(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.with(|plan| plan.root_certificates = Some(path))
    }

    /// Shows a certificate to the server: two PEM files, the certificate and its key.
    pub fn client_certificate(
        self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        let files = (certificate.into(), key.into());
        self.with(|plan| plan.client_certificate = Some(files))
    }

    /// Allows a connection to another machine without TLS, which all machines between can read and
    /// change. By default only one to the own machine may do without.
    pub fn allow_plain(self) -> Self {
        self.with(|plan| plan.allows_plain = true)
    }

    /// Sets the name under which the server lists the connection. The default is `insula`.
    pub fn name(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.with(|plan| plan.name = name)
    }

    /// Sets the beginning of all subjects, of several parts with dots between. Callers and nodes find
    /// each other only with the same one. The default is `insula`.
    pub fn prefix(self, prefix: impl AsRef<str>) -> Self {
        self.with(|plan| plan.subjects.set_prefix(prefix.as_ref()))
    }

    /// Sets the part of the subjects of inboxes that is this side's own, for
    /// [permissions](crate#permissions): letters, digits, `-` and `_`. The default is `any`.
    pub fn inbox(self, user: impl AsRef<str>) -> Self {
        self.with(|plan| plan.subjects.set_user(user.as_ref()))
    }

    /// Sets the most bytes of a request, an answer or an item. The default is 16 MiB.
    pub fn most_bytes(self, most: usize) -> Self {
        self.with(|plan| plan.most = most)
    }

    /// Sets the time without a word of the other end after which a link is lost. Both ends send three
    /// beats in the shorter one of their times, so it decides how soon the end of a machine is known,
    /// and which pauses are taken for one. The default is 3 seconds.
    pub fn silence(self, silence: Duration) -> Self {
        self.with(|plan| plan.silence = silence)
    }

    /// Sets how long the start of a worker waits for a connection that was lost, and for a node that
    /// has a free worker. It should be shorter than the
    /// [time](insula_pool::PoolBuilder::startup_timeout) that the pool gives it. The default is 10
    /// seconds.
    pub fn patience(self, patience: Duration) -> Self {
        self.with(|plan| plan.patience = patience)
    }

    /// Waits until the links of all clones have ended, for two seconds at most. For a program that ends
    /// after its pools: a node that is not told learns of it only by the [silence](Self::silence), and
    /// its worker is not free until then.
    pub async fn close(self) {
        self.shared.close(Duration::from_secs(2)).await;
    }

    /// Begins a node: a program that serves calls of workers elsewhere.
    pub fn node(&self) -> NodeBuilder {
        NodeBuilder::new(self.clone())
    }

    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl<C: WireContract> Kind<C> for Nats {
    type Responder = Remote<C>;

    fn start(&self, cx: WorkerContext) -> Starting<Connection> {
        let nats = self.clone();
        Box::pin(async move { start::<C>(&nats, cx).await })
    }
}
