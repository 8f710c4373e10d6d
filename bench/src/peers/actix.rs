//! actix: actors that never leave one thread and drain their mailbox in one poll.

use std::future::Future;

use actix::prelude::{Actor, Addr, Context, Handler, System};

use crate::drivers::actor::{ActorSystem, Behavior};

/// One system on the calling thread. Its tells ignore the mailbox's capacity, so there is no
/// bounded variant.
#[derive(Clone, Copy)]
pub(crate) struct Actix;

/// An actor around a behavior.
pub(crate) struct Node<B>(B);

struct Tell(u64);
struct Ask(u64);
struct Link<B: Behavior<Actix>>(Addr<Node<B>>);

impl actix::Message for Tell {
    type Result = ();
}

impl actix::Message for Ask {
    type Result = u64;
}

impl<B: Behavior<Actix>> actix::Message for Link<B> {
    type Result = ();
}

impl<B: Behavior<Actix>> Actor for Node<B> {
    type Context = Context<Self>;

    fn started(&mut self, _context: &mut Self::Context) {
        self.0.on_start();
    }
}

impl<B: Behavior<Actix>> Handler<Tell> for Node<B> {
    type Result = ();

    fn handle(&mut self, Tell(value): Tell, _context: &mut Self::Context) {
        if let Some((next, value)) = self.0.on_tell(value) {
            next.do_send(Tell(value));
        }
    }
}

impl<B: Behavior<Actix>> Handler<Ask> for Node<B> {
    type Result = u64;

    fn handle(&mut self, Ask(value): Ask, _context: &mut Self::Context) -> u64 {
        self.0.on_ask(value)
    }
}

impl<B: Behavior<Actix>> Handler<Link<B>> for Node<B> {
    type Result = ();

    fn handle(&mut self, Link(next): Link<B>, _context: &mut Self::Context) {
        self.0.on_link(next);
    }
}

impl ActorSystem for Actix {
    type Addr<B: Behavior<Self>> = Addr<Node<B>>;

    fn run<F>(self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        System::new().block_on(async { self.spawn(root).await })
    }

    fn spawn<F>(self, task: F) -> impl Future<Output = F::Output> + Send
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let task = actix::spawn(task);
        async move { task.await.expect("a task does not panic") }
    }

    async fn start<B: Behavior<Self>>(self, behavior: B, _bound: Option<usize>) -> Addr<Node<B>> {
        Node(behavior).start()
    }

    async fn tell<B: Behavior<Self>>(addr: &Addr<Node<B>>, value: u64) {
        addr.do_send(Tell(value));
    }

    async fn ask<B: Behavior<Self>>(addr: &Addr<Node<B>>, value: u64) -> u64 {
        addr.send(Ask(value)).await.expect("the actor answers")
    }

    async fn link<B: Behavior<Self>>(addr: &Addr<Node<B>>, next: Addr<Node<B>>) {
        addr.do_send(Link(next));
    }
}
