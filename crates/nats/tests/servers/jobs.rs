//! Risk: a job is lost or never done, or one that cannot be done leaves no trace.

use std::process;
use std::sync::Arc;
use std::time::Duration;

use insula_core::{Runtime, block_on, sleep};
use insula_nats::{GiveError, Given, Jobs, JobsBuilder, Nats, NatsError, Working};
use insula_pool::{Shutdown, WorkerPool};
use insula_rpc::{CallError, Context, Reject, contract};
use insula_sync::Mutex;

use tempfile::TempDir;

use crate::server::Server;
use crate::service::{LONG, Oops, Process, run, say_so_and_wait};
use crate::{Test, service};

pub(crate) const ALL: &[Test] = &[
    (
        "each_job_is_done_and_forgotten",
        each_job_is_done_and_forgotten,
    ),
    (
        "a_job_with_a_known_key_is_not_kept_again",
        a_job_with_a_known_key_is_not_kept_again,
    ),
    (
        "jobs_outlive_the_giver_and_the_server",
        jobs_outlive_the_giver_and_the_server,
    ),
    (
        "a_job_of_a_killed_process_goes_to_another_one",
        a_job_of_a_killed_process_goes_to_another_one,
    ),
    (
        "a_job_of_a_worker_that_stops_goes_to_another_one",
        a_job_of_a_worker_that_stops_goes_to_another_one,
    ),
    (
        "a_job_that_takes_long_is_done_once",
        a_job_that_takes_long_is_done_once,
    ),
    (
        "a_pool_that_has_shut_down_takes_no_jobs_from_others",
        a_pool_that_has_shut_down_takes_no_jobs_from_others,
    ),
    (
        "the_patience_is_that_of_the_first_worker",
        the_patience_is_that_of_the_first_worker,
    ),
    (
        "a_job_in_a_runtime_that_is_shut_down_goes_elsewhere",
        a_job_in_a_runtime_that_is_shut_down_goes_elsewhere,
    ),
    (
        "a_server_that_has_lost_its_store_gets_new_jobs",
        a_server_that_has_lost_its_store_gets_new_jobs,
    ),
    (
        "a_job_that_cannot_be_done_is_dead",
        a_job_that_cannot_be_done_is_dead,
    ),
    (
        "what_is_not_stored_comes_back",
        what_is_not_stored_comes_back,
    ),
    (
        "jobs_that_make_no_sense_are_refused",
        jobs_that_make_no_sense_are_refused,
    ),
];

#[contract(wire, crate = insula_rpc)]
pub(crate) trait Chores {
    #[idempotent]
    async fn sweep(&self, cx: &Context, room: String) -> Result<(), Oops>;
    #[idempotent]
    async fn dust(&self, cx: &Context, room: String) -> Result<(), Oops>;
}

/// Notes the rooms that were swept.
#[derive(Clone, Default)]
struct Broom(Arc<Mutex<Vec<String>>>);

impl Chores for Broom {
    async fn sweep(&self, cx: &Context, room: String) -> Result<(), Oops> {
        match &*room {
            locked if locked.starts_with("locked") => {
                return Err(Oops("it is locked".to_owned()));
            }
            "haunted" => panic!("a ghost"),
            "large" => sleep(Duration::from_secs(3)).await,
            "endless" => {
                if let Some(file) = std::env::var_os(BEGUN) {
                    std::fs::write(file, "").unwrap();
                    cx.cancelled().await;
                    return Err(Oops("cancelled".to_owned()));
                }
            }
            _ => {}
        }
        self.0.lock().push(room);
        Ok(())
    }

    async fn dust(&self, _cx: &Context, _room: String) -> Result<(), Oops> {
        Ok(())
    }
}

impl Broom {
    fn swept(&self) -> Vec<String> {
        let mut rooms = self.0.lock().clone();
        rooms.sort_unstable();
        rooms
    }
}

/// The variables of a process that does jobs: the server, and a file that is written when it begins one
/// that has no end there.
const URL: &str = "JOBS_URL";
const BEGUN: &str = "JOBS_BEGUN";

/// Does jobs until the standard input is closed.
pub(crate) fn work_if_asked() {
    let Ok(url) = std::env::var(URL) else {
        return;
    };
    block_on(async {
        let jobs = chores(&Nats::connect(&url)).open().await.unwrap();
        let _working = work(&jobs, &Broom::default()).await;
        say_so_and_wait();
    });
    process::exit(0);
}

fn with_jetstream() -> Server {
    Server::with("jetstream: { store_dir: \"FOLDER/jobs\" }")
}

fn chores(nats: &Nats) -> JobsBuilder {
    let builder = nats.jobs("chores").patience(Duration::from_secs(1));
    builder.delay(Duration::from_millis(50), Duration::from_millis(100))
}

struct Work {
    working: Working,
    pool: WorkerPool<ChoresRequest>,
}

async fn work(jobs: &Jobs, broom: &Broom) -> Work {
    let broom = broom.clone();
    let pool = WorkerPool::builder()
        .workers(2)
        .service::<ChoresResponder<_>>(move |_cx| {
            let broom = broom.clone();
            async { Ok(broom) }
        })
        .build()
        .await
        .unwrap();
    let working = jobs.work::<ChoresRequest>(pool.caller(), 2).await.unwrap();
    Work { working, pool }
}

async fn give(jobs: &Jobs, room: &str) {
    try_give(jobs, room).await.unwrap();
}

async fn try_give(jobs: &Jobs, room: &str) -> Result<Given, GiveError<Oops, String>> {
    let caller: ChoresCaller = jobs.caller();
    jobs.give(caller.sweep(room.to_owned())).await
}

/// Waits until so many jobs are left, and so many are dead.
async fn until(jobs: &Jobs, left: u64, dead: u64) {
    let begin = std::time::Instant::now();
    loop {
        let now = (jobs.waiting().await.unwrap(), jobs.dead().await.unwrap());
        if now == (left, dead) {
            return;
        }
        assert!(begin.elapsed() < LONG, "{now:?} of {:?}", (left, dead));
        sleep(Duration::from_millis(20)).await;
    }
}

/// For a test of what a user may do.
pub(crate) async fn one_is_done_and_one_is_dead(nats: &Nats) {
    let jobs = chores(nats).open().await.unwrap();
    let broom = Broom::default();
    let work = work(&jobs, &broom).await;
    give(&jobs, "hall").await;
    give(&jobs, "locked").await;
    until(&jobs, 0, 1).await;
    assert_eq!(broom.swept(), ["hall"]);
    work.working.stop(LONG).await;
}

fn each_job_is_done_and_forgotten() {
    let server = with_jetstream();
    run(|| async {
        let jobs = chores(&server.nats()).open().await.unwrap();
        for room in 0..20 {
            give(&jobs, &format!("room {room:02}")).await;
        }
        assert_eq!(jobs.waiting().await.unwrap(), 20);
        let broom = Broom::default();
        let work = work(&jobs, &broom).await;
        until(&jobs, 0, 0).await;
        let expected: Vec<_> = (0..20).map(|room| format!("room {room:02}")).collect();
        assert_eq!(broom.swept(), expected);
        // Also what comes while it works.
        give(&jobs, "the hall").await;
        until(&jobs, 0, 0).await;
        assert!(broom.swept().contains(&"the hall".to_owned()));
        work.working.stop(LONG).await;
        give(&jobs, "later").await;
        sleep(Duration::from_millis(100)).await;
        assert_eq!(jobs.waiting().await.unwrap(), 1);
        assert!(!broom.swept().contains(&"later".to_owned()));
    });
}

fn a_job_with_a_known_key_is_not_kept_again() {
    let server = with_jetstream();
    run(|| async {
        let jobs = chores(&server.nats()).open().await.unwrap();
        let caller: ChoresCaller = jobs.caller();
        let job = |key: &str| caller.sweep("hall".to_owned()).idempotency_key(key);
        let first = jobs.give(job("monday é")).await.unwrap();
        let second = jobs.give(job("monday ü")).await.unwrap();
        let again = jobs.give(job("monday é")).await.unwrap();
        assert_eq!((first.number, first.is_duplicate), (1, false));
        assert_eq!((second.number, second.is_duplicate), (2, false));
        assert_eq!((again.number, again.is_duplicate), (1, true));
        // The same key, of another method.
        let dusting = caller.dust("hall".to_owned()).idempotency_key("monday é");
        assert!(!jobs.give(dusting).await.unwrap().is_duplicate);
        assert_eq!(jobs.waiting().await.unwrap(), 3);
        // A call of this caller goes nowhere, and says so.
        let error = caller.sweep("hall".to_owned()).await.unwrap_err();
        assert!(
            matches!(
                error,
                CallError::Rejected {
                    why: Reject::NoWorker,
                    ..
                }
            ),
            "{error:?}"
        );
    });
}

fn jobs_outlive_the_giver_and_the_server() {
    let mut server = with_jetstream();
    run(|| async {
        let giver = server.nats();
        let jobs = chores(&giver).open().await.unwrap();
        give(&jobs, "attic").await;
        give(&jobs, "cellar").await;
        drop((jobs, giver));
        server.kill();
        server.start_again();
        let jobs = chores(&server.nats()).open().await.unwrap();
        assert_eq!(jobs.waiting().await.unwrap(), 2);
        let broom = Broom::default();
        let _work = work(&jobs, &broom).await;
        until(&jobs, 0, 0).await;
        assert_eq!(broom.swept(), ["attic", "cellar"]);
        // A worker outlives the server too.
        server.kill();
        server.start_again();
        let jobs = chores(&server.nats()).open().await.unwrap();
        give(&jobs, "hall").await;
        until(&jobs, 0, 0).await;
        assert_eq!(broom.swept(), ["attic", "cellar", "hall"]);
    });
}

fn a_job_of_a_killed_process_goes_to_another_one() {
    let server = with_jetstream();
    run(|| async {
        let jobs = chores(&server.nats()).open().await.unwrap();
        let folder = TempDir::new().unwrap();
        let begun = folder.path().join("begun");
        let begun_text = begun.display().to_string();
        let mut process = Process::with(&[(URL, &server.url()), (BEGUN, &begun_text)]);
        give(&jobs, "endless").await;
        service::until(|| begun.exists()).await;
        process.kill();
        let broom = Broom::default();
        let _work = work(&jobs, &broom).await;
        until(&jobs, 0, 0).await;
        assert_eq!(broom.swept(), ["endless"]);
    });
}

fn a_job_of_a_worker_that_stops_goes_to_another_one() {
    let server = with_jetstream();
    run(|| async {
        let jobs = chores(&server.nats()).open().await.unwrap();
        let (first, second) = (Broom::default(), Broom::default());
        let stopping = work(&jobs, &first).await;
        give(&jobs, "large").await;
        service::until(|| stopping.working.running() == 1).await;
        stopping.working.stop(Duration::from_millis(1)).await;
        let _work = work(&jobs, &second).await;
        until(&jobs, 0, 0).await;
        assert_eq!((first.swept().len(), second.swept().len()), (0, 1));
    });
}

/// Longer than the patience of one second.
fn a_job_that_takes_long_is_done_once() {
    let server = with_jetstream();
    run(|| async {
        let jobs = chores(&server.nats()).open().await.unwrap();
        let broom = Broom::default();
        let first = work(&jobs, &broom).await;
        let second = work(&jobs, &broom).await;
        give(&jobs, "large").await;
        until(&jobs, 0, 0).await;
        // A second run may still go on.
        first.working.stop(LONG).await;
        second.working.stop(LONG).await;
        assert_eq!(broom.swept(), ["large"]);
    });
}

fn a_pool_that_has_shut_down_takes_no_jobs_from_others() {
    let server = with_jetstream();
    run(|| async {
        let jobs = chores(&server.nats()).open().await.unwrap();
        let (first, second) = (Broom::default(), Broom::default());
        let ended = work(&jobs, &first).await;
        ended.pool.shut_down(Shutdown::now()).await;
        let other = work(&jobs, &second).await;
        for room in 0..50 {
            give(&jobs, &room.to_string()).await;
        }
        until(&jobs, 0, 0).await;
        assert_eq!((first.swept().len(), second.swept().len()), (0, 50));
        // It needs a job to see it.
        while !ended.working.is_over() {
            give(&jobs, "one more").await;
            sleep(Duration::from_millis(20)).await;
        }
        assert!(!other.working.is_over());
    });
}

/// The signs of a worker that believes in a longer one would come too late.
fn the_patience_is_that_of_the_first_worker() {
    let server = with_jetstream();
    run(|| async {
        let jobs = chores(&server.nats()).open().await.unwrap();
        let first = work(&jobs, &Broom::default()).await;
        first.working.stop(LONG).await;
        let jobs = chores(&server.nats()).patience(LONG).open().await.unwrap();
        let broom = Broom::default();
        let work = work(&jobs, &broom).await;
        give(&jobs, "large").await;
        until(&jobs, 0, 0).await;
        work.working.stop(LONG).await;
        assert_eq!(broom.swept(), ["large"]);
    });
}

fn a_job_in_a_runtime_that_is_shut_down_goes_elsewhere() {
    let server = with_jetstream();
    run(|| async {
        let jobs = chores(&server.nats()).open().await.unwrap();
        let (first, second) = (Broom::default(), Broom::default());
        let runtime = Runtime::builder().name("other").build();
        let there = {
            let _entered = runtime.enter();
            work(&jobs, &first).await
        };
        give(&jobs, "large").await;
        service::until(|| there.working.running() == 1).await;
        runtime.shut_down();
        let _work = work(&jobs, &second).await;
        until(&jobs, 0, 0).await;
        assert_eq!((first.swept().len(), second.swept().len()), (0, 1));
        there.working.stop(LONG).await;
    });
}

fn a_server_that_has_lost_its_store_gets_new_jobs() {
    let mut server = with_jetstream();
    run(|| async {
        let jobs = chores(&server.nats()).open().await.unwrap();
        let giver = chores(&server.nats()).open().await.unwrap();
        let broom = Broom::default();
        let _work = work(&jobs, &broom).await;
        give(&giver, "attic").await;
        until(&jobs, 0, 0).await;
        server.kill();
        server.forget("jobs");
        server.start_again();
        // Until it is connected again.
        while let Err(error) = try_give(&giver, "cellar").await {
            assert!(matches!(error, GiveError::NotStored { .. }), "{error:?}");
            sleep(Duration::from_millis(50)).await;
        }
        until(&jobs, 0, 0).await;
        assert_eq!(broom.swept(), ["attic", "cellar"]);
        // The dead ones are kept again too.
        give(&giver, "locked").await;
        until(&jobs, 0, 1).await;
    });
}

fn a_job_that_cannot_be_done_is_dead() {
    let server = with_jetstream();
    run(|| async {
        let jobs = chores(&server.nats()).attempts(3).open().await.unwrap();
        let broom = Broom::default();
        let _work = work(&jobs, &broom).await;
        give(&jobs, "locked").await;
        until(&jobs, 0, 1).await;
        give(&jobs, "haunted").await;
        give(&jobs, "kitchen").await;
        until(&jobs, 0, 2).await;
        // As large as a job can be, so that it is larger when it is dead.
        let most = (1 << 20) - 2048 - 200;
        give(&jobs, &format!("locked{}", "x".repeat(most))).await;
        until(&jobs, 0, 3).await;
        assert_eq!(broom.swept(), ["kitchen"]);
    });
}

fn what_is_not_stored_comes_back() {
    let server = with_jetstream();
    run(|| async {
        let jobs = chores(&server.nats()).open().await.unwrap();
        let caller: ChoresCaller = jobs.caller();
        for bytes in [2 << 20, (1 << 20) - 1000] {
            let large = "x".repeat(bytes);
            let error = jobs.give(caller.sweep(large)).await.unwrap_err();
            let GiveError::NotStored { why, request } = error else {
                panic!("{error:?}");
            };
            assert!(matches!(why, NatsError::NotKept { .. }), "{why:?}");
            assert!(why.to_string().contains("takes 1046528"), "{why}");
            assert_eq!(request.map(|it| it.len()), Some(bytes));
        }
        assert_eq!(jobs.waiting().await.unwrap(), 0);
    });
    // A server that keeps nothing.
    let server = Server::start();
    run(|| async {
        let error = chores(&server.nats()).open().await.unwrap_err();
        assert!(error.to_string().contains("JetStream"), "{error}");
    });
}

fn jobs_that_make_no_sense_are_refused() {
    let server = with_jetstream();
    run(|| async {
        let nats = server.nats();
        for builder in [
            nats.jobs(""),
            nats.jobs("a.b"),
            nats.jobs("a").patience(Duration::from_millis(10)),
            nats.jobs("a").patience(Duration::MAX),
            nats.jobs("a").window(Duration::ZERO),
            nats.jobs("a").window(Duration::MAX),
            nats.jobs("a").delay(Duration::ZERO, Duration::MAX),
        ] {
            let error = builder.open().await.unwrap_err();
            assert!(matches!(error, NatsError::Settings { .. }), "{error:?}");
        }
        // The name of the stream is the same.
        let _jobs = nats.clone().prefix("x.y").jobs("a").open().await.unwrap();
        let error = nats.clone().prefix("x-y").jobs("a").open().await;
        assert!(matches!(error, Err(NatsError::Settings { .. })));
        let jobs = nats.jobs("a").open().await.unwrap();
        let pool = WorkerPool::builder()
            .workers(1)
            .service::<ChoresResponder<_>>(|_cx| async { Ok(Broom::default()) })
            .build()
            .await
            .unwrap();
        for at_once in [0, usize::MAX] {
            let error = jobs.work::<ChoresRequest>(pool.caller(), at_once).await;
            assert!(matches!(error, Err(NatsError::Settings { .. })));
        }
    });
}
