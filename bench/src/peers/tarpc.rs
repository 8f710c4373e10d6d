//! tarpc: calls with deadlines over its in-process transport, a task per request.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use tarpc::server::{BaseChannel, Channel};
use tarpc::{client, context, transport};

use crate::peers::tokio::Flavor;

#[tarpc::service]
trait Echo {
    async fn add_one(value: u64) -> u64;
}

#[derive(Clone)]
struct Server;

impl Echo for Server {
    async fn add_one(self, _context: context::Context, value: u64) -> u64 {
        value + 1
    }
}

/// Only inside a runtime.
fn connect() -> EchoClient {
    let (client_end, server_end) = transport::channel::unbounded();
    let server = BaseChannel::with_defaults(server_end).execute(Server.serve());
    tokio::spawn(server.for_each(|request| async move {
        tokio::spawn(request);
    }));
    let config = {
        let mut config = client::Config::default();
        // More than any case has outstanding, so that this limit is not what is measured.
        config.max_in_flight_requests = 2_000;
        config
    };
    EchoClient::new(config, client_end).spawn()
}

async fn call_repeatedly(client: &EchoClient, count: u64) {
    for value in 0..count {
        let answer = client.add_one(context::current(), value).await;
        assert_eq!(answer.expect("the server answers"), value + 1);
    }
}

/// One task calls `count` times, one call at a time.
pub(crate) fn ask_in_sequence(flavor: Flavor, count: u64) -> Duration {
    flavor.run_with_timers(async move {
        let client = connect();
        let start = Instant::now();
        call_repeatedly(&client, count).await;
        start.elapsed()
    })
}

/// `askers` futures of one task call `count` times together.
pub(crate) fn ask_from_futures(flavor: Flavor, askers: u64, count: u64) -> Duration {
    flavor.run_with_timers(async move {
        let client = connect();
        let start = Instant::now();
        join_all((0..askers).map(|_| call_repeatedly(&client, count / askers))).await;
        start.elapsed()
    })
}

/// `askers` tasks call `count` times together.
pub(crate) fn ask_from_tasks(flavor: Flavor, askers: u64, count: u64) -> Duration {
    flavor.run_with_timers(async move {
        let client = connect();
        let start = Instant::now();
        let ask = |_| {
            let client = client.clone();
            tokio::spawn(async move { call_repeatedly(&client, count / askers).await })
        };
        for end in join_all((0..askers).map(ask)).await {
            end.expect("a task does not panic");
        }
        start.elapsed()
    })
}
