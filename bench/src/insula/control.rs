//! Control messages from one isolate to another.

use std::thread;
use std::time::{Duration, Instant};

use insula::control::ExitReason;
use insula::control::Priority;
use insula::{Isolate, ReceivePort, ReplyTo, SendPort, block_on, checkpoint, one_shot};

use super::Shape;
use crate::case::Sample;
use crate::measure::{percentile, stamp};

/// Time for the threads of a pool to find nothing and to park.
const REST: Duration = Duration::from_millis(1);

/// The waiter for the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    Isolate,
    /// A plain thread, which sleeps meanwhile.
    Thread,
}

/// The round trips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoundTrip {
    /// An ordinary message that carries its reply.
    Message,
    Ping(Priority),
    /// A pause, its end, and a ping that confirms both.
    PauseResume,
    /// A ping while the isolate is paused.
    PingPaused,
}

/// The isolate that answers.
struct Peer {
    isolate: Isolate,
    port: SendPort<ReplyTo<()>>,
}

impl Peer {
    fn spawn() -> Self {
        let answer = |port: ReceivePort<ReplyTo<()>>| port.listen(|reply| reply.send(()));
        let (isolate, port) = Isolate::builder().spawn_pair(answer);
        Self { isolate, port }
    }
}

impl RoundTrip {
    /// Makes `count` round trips, one at a time, to one isolate.
    pub(crate) fn repeat(self, shape: Shape, asker: Asker, count: u64) -> Duration {
        match asker {
            Asker::Isolate => shape.run(async move { self.timed(&Peer::spawn(), count).await }),
            Asker::Thread => shape.run_beside(|| block_on(self.timed(&Peer::spawn(), count))),
        }
    }

    async fn timed(self, peer: &Peer, count: u64) -> Duration {
        let pause = (self == Self::PingPaused).then(|| peer.isolate.pause());
        let start = Instant::now();
        for _ in 0..count {
            self.once(peer).await;
        }
        let elapsed = start.elapsed();
        if let Some(pause) = pause {
            peer.isolate.resume(pause);
        }
        elapsed
    }

    async fn once(self, Peer { isolate, port }: &Peer) {
        let answered = match self {
            Self::Message => port.ask(|reply| reply).await.is_ok(),
            Self::Ping(priority) => isolate.ping(priority).await.is_ok(),
            Self::PingPaused => isolate.ping(Priority::Immediate).await.is_ok(),
            Self::PauseResume => {
                let pause = isolate.pause();
                isolate.resume(pause);
                isolate.ping(Priority::BeforeNextEvent).await.is_ok()
            }
        };
        assert!(answered, "the isolate is there");
    }
}

/// The state of the isolate that is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    /// It waits for messages.
    Idle,
    /// It computes, with a checkpoint from time to time.
    Computing,
}

/// Kills `count` isolates, one at a time, from a plain thread. Returns p50, p99 and maximum of the
/// time from `kill` until another isolate has the exit notice, in microseconds.
pub(crate) fn kill_to_notice(victim: Victim, count: u64) -> Sample {
    Shape::Multi.run_beside(|| {
        let (told, notices) = crossbeam_channel::unbounded();
        let listener = Isolate::spawn_with_port(move |port: ReceivePort<ExitReason>| {
            port.listen(move |reason| {
                assert_eq!(reason, ExitReason::Killed);
                told.send(stamp()).expect("the killer waits");
            })
        });
        let mut micros: Vec<_> = (0..count)
            .map(|_| {
                // An open port without a sender would not keep the isolate alive.
                let (isolate, _port) = victim.spawn();
                isolate.add_exit_listener(&listener, ExitReason::clone);
                thread::sleep(REST);
                let start = stamp();
                isolate.kill();
                let end = notices.recv().expect("the listener is there");
                (end - start) as f64 / 1e3
            })
            .collect();
        micros.sort_by(f64::total_cmp);
        [0.5, 0.99, 1.0]
            .map(|share| percentile(&micros, share))
            .into()
    })
}

impl Victim {
    /// Spawns an isolate, and waits until it has begun.
    fn spawn(self) -> (Isolate, SendPort<()>) {
        let (begun, begins) = one_shot();
        let pair = Isolate::builder().spawn_pair(move |port: ReceivePort<()>| {
            port.listen(|()| {});
            begun.send(());
            if self == Self::Computing {
                loop {
                    checkpoint();
                }
            }
        });
        begins.wait().expect("it begins");
        pair
    }
}
