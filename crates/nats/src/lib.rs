//! Workers on other machines, over NATS.
//!
//! A pool whose workers are on other machines is built as any other, with the
//! [kind](insula_pool::PoolBuilder::kind) [`Nats`] in the place of a service. Its callers, the meaning of
//! its errors and its options stay the same. The workers are those of *nodes*: programs that serve a
//! contract, on any number of machines. Callers and nodes know the address of a NATS server, and not
//! each other's.
//!
//! ```no_run
//! # use insula_rpc::{contract, Context, wire::Never};
//! # #[contract(wire, crate = insula_rpc)]
//! # trait Sums { async fn sum(&self, cx: &Context, a: u64, b: u64) -> Result<u64, Never>; }
//! # struct Adder;
//! # impl Sums for Adder {
//! #     async fn sum(&self, _cx: &Context, a: u64, b: u64) -> Result<u64, Never> { Ok(a + b) }
//! # }
//! use insula_nats::Nats;
//! use insula_pool::WorkerPool;
//!
//! # insula_core::block_on(async {
//! // On one machine:
//! let nats = Nats::connect("tls://nats.example:4222").credentials_file("node.creds");
//! let node = nats.node().workers(4).serve::<SumsResponder<_>>(|_cx| async { Ok(Adder) });
//! let node = node.start().await?;
//!
//! // On another one:
//! let nats = Nats::connect("tls://nats.example:4222").credentials_file("caller.creds");
//! let pool = WorkerPool::builder().workers(4).kind::<SumsRequest, _>(nats).build().await?;
//! let sums: SumsCaller = pool.caller();
//! assert_eq!(sums.sum(1, 2).await?, 3);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # });
//! ```
//!
//! Calls that must be made even if their caller ends are [jobs](Jobs), which the server keeps.
//!
//! # Of what a worker consists
//! Each worker of a pool has one link (`insula-link`) to one worker of one node, for as long as both
//! last. The node's side is a pool of one worker with a service of its own, which is built when the link
//! opens and dropped when it ends. So a worker elsewhere has the state of one caller's worker, as a
//! worker that is a process does, and a node of four workers serves four workers of pools at a time.
//!
//! The client of NATS is the crate `async-nats`. A connection has one thread, on which its messages are
//! moved, with the runtime that the client needs. Handlers never run there.
//!
//! # The life of a link
//! 1. *Asking.* The worker makes an inbox, a subject with a name that cannot be guessed, and asks for a
//!    link on a subject that is made of the contract's name, version and schema. The nodes with a free
//!    worker listen there as a queue group, so that one of them gets the request. A node whose workers
//!    are all taken does not listen until one is free.
//! 2. *Welcome.* The node answers with an inbox of its own. From here on each end sends to the inbox of
//!    the other. The node builds the service, and takes calls once it says its hello.
//! 3. *Open.* The frames of the link go in both directions, each as one or several parts. Both ends
//!    beat: they send at least three messages within the [silence](Nats::silence) of the other.
//! 4. *Going.* A node that is told to stop says so. The caller's worker takes no more calls, and tells
//!    the node when none follows. The node ends the link once its calls have ended, or its patience has.
//! 5. *Ended.* One end says that it has said everything, and lets go. What is known of each call is then
//!    complete.
//! 6. *Lost.* Something may be missing: a part has another number than the one that follows, or the other
//!    end was silent, or the connection of this end to its server was lost, or a message makes no sense.
//!    Each end that finds the link lost says so, if it can, and lets go. A node frees its worker.
//!
//! When a link has ended or is lost, the worker of the pool ends with the reason, and the pool's
//! [policy](insula_pool::Restart) decides whether it starts again, which means step 1.
//!
//! # What a caller sees
//! | what happens | to the calls of the link | to the worker |
//! |---|---|---|
//! | no server is reached at the first start | none yet | its start fails: [`NotConnected`](NatsError::NotConnected) |
//! | the server does not accept the credentials, or forbids a subject | none yet | its start fails: [`Denied`](NatsError::Denied) |
//! | no node serves the contract in this version | none yet | its start fails: [`NoNode`](NatsError::NoNode), which says what there is in its place |
//! | all workers of the nodes are taken | none yet | its start waits for one, for the [patience](Nats::patience), and fails then: [`NoFreeWorker`](NatsError::NoFreeWorker) |
//! | the service cannot be built | none yet | its start fails with the node's reason |
//! | the connection is lost, or the server restarts | they end as `WorkerDied`, maybe executed | starts again; its start waits for the connection |
//! | the node is killed, or its machine, or the way to it | the same, after the silence | starts again |
//! | a message is forged, repeated or missing | the same, at once | starts again |
//! | the service of the node ends itself | `WorkerDied`: maybe executed if it had begun, and otherwise not started | starts again |
//! | the node stops | they come to their ends within the node's patience; then as above | starts again |
//! | the pool ends | as with any pool | frees that of the node |
//!
//! Calls that wait in the queue of the pool are not touched by any of this: they go to another worker, or
//! wait for one. A call that has ended as not started gives its request back, and
//! [`retry`](insula_rpc::retry()) repeats it; one that is maybe executed it repeats if its method is
//! idempotent.
//!
//! While all workers of a pool belong to nodes that stop, and until they have found others, calls are
//! rejected with `NoWorker`: start new nodes before old ones are told to stop, and stop one at a time.
//!
//! # Bounds
//! At most 32 parts of at most 64 KiB are on their way in each direction of a link, since an end sends
//! more only as the other takes them. So a slow end makes the other one wait, and neither it nor the server
//! has to keep more than that: a server drops what a client does not read. A frame is joined up to the
//! [limit](Nats::most_bytes) of its receiver, of which the smaller one of both ends counts for both. A
//! server whose `max_payload` is smaller than a part gets smaller parts.
//!
//! The links of one connection share its line. Where 64 KiB of each link that sends take longer than a
//! third of the silence, make the silence longer.
//!
//! # Bytes from elsewhere
//! What comes from a server is checked before it is used, and no message can do more than end the link of
//! its inbox: it ends it unless it is the one that follows. A node writes to inboxes only, and not to any
//! subject that a request names. The bytes of calls are checked as the [module of the
//! wire](insula_rpc::wire) says. What is not bounded here is the length of a message as the server
//! announces it: a server is trusted to keep its own limit.
//!
//! # Permissions
//! The server decides who may do what; this crate encrypts nothing beyond TLS and signs nothing. Who runs
//! the server sees all calls and can change them. Who may subscribe to an inbox sees its calls, and who
//! may publish to one can end its link, or, with the number that follows, forge a part of it. So:
//! - A connection to another machine has TLS, unless [`allow_plain`](Nats::allow_plain) is called.
//! - Each program, or each group that trusts itself, has a user of its own with an
//!   [inbox](Nats::inbox) of its own, and these permissions:
//!
//! | user | may publish to | may subscribe to |
//! |---|---|---|
//! | a caller with the inbox `ann` | `insula.1.open.>`, `insula.1.here.>`, `insula.1.link.>` | `insula.1.link.ann.>` |
//! | a node with the inbox `node` | `insula.1.link.>` | `insula.1.open.>`, `insula.1.here.>`, `insula.1.link.node.>` |
//!
//!   For one contract, `insula.1.open.Sums.>`, `insula.1.here.Sums` and `insula.1.here.Sums.>` stand in the
//!   place of those of `open` and `here`: its name, with other bytes than letters, digits, `-` and `_` as
//!   `%20`. With a [prefix](Nats::prefix) that is the
//!   beginning in the place of `insula`.
//! - Who may ask for links can take all workers of the nodes, and keep them: a node knows no shares.
//! - Programs that should not see each other at all have different accounts.
//!
//! The `1` is the version of the protocol. Passwords and tokens are not shown by any `Debug` or error.

#![forbid(unsafe_code)]

mod carrier;
mod course;
mod error;
mod jobs;
mod message;
mod nats;
mod node;
mod nodes;
mod plan;
mod serving;
mod session;
mod signals;
mod subjects;
mod worker;

pub use error::NatsError;
pub use jobs::{GiveError, Given, JobCalls, Jobs, JobsBuilder, Working};
pub use nats::Nats;
pub use node::{Node, NodeBuilder};
pub use nodes::NodeStatus;
