//! Risk: a pool that loses pictures, mixes them up, or holds a whole folder in memory.

use std::fs;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as Task, Waker};

use images::{
    BatchUpdate, Failure, FileError, ImageFormat, Job, PictureWorker, Pictures, PicturesResponder,
    ProcessError, ProcessImage, ProcessedImage, Recipe, Updates, start_pool,
};
use insula::rpc::Outcome;
use insula::{CallError, Context, ReceivePort, SendPort, WorkerPool, block_on};
use tempfile::TempDir;

use crate::support::{Extras, file, process, quarters};

/// Puts `count` small pictures into a folder: `00.png`, `01.png`, and so on.
fn small_pictures(folder: &TempDir, count: u8) -> Vec<Job> {
    let job = |number: u8| {
        let input = folder.path().join(format!("{number:02}.png"));
        let picture = quarters(16 + u32::from(number), 16);
        let bytes = file(&picture, ImageFormat::Png, Extras::default());
        fs::write(&input, bytes).unwrap();
        Job {
            output: input.with_extension("done"),
            input,
            format: ImageFormat::Jpeg,
        }
    };
    (0..count).map(job).collect()
}

fn unchanged() -> Recipe {
    Recipe {
        operations: Vec::new(),
        quality: 90,
    }
}

fn paths(results: &[Result<ProcessedImage, Failure>]) -> Vec<PathBuf> {
    let mut paths: Vec<_> = results
        .iter()
        .map(|result| match result {
            Ok(picture) => picture.path.clone(),
            Err(failure) => failure.path.clone(),
        })
        .collect();
    paths.sort();
    paths
}

async fn all(mut updates: Updates) -> Vec<BatchUpdate> {
    let mut all = Vec::new();
    while let Some(update) = updates.next().await {
        all.push(update);
    }
    all
}

#[test]
fn every_picture_comes_once_and_belongs_to_its_file() {
    let folder = TempDir::new().unwrap();
    let jobs = small_pictures(&folder, 25);
    let inputs: Vec<_> = jobs.iter().map(|job| job.input.clone()).collect();
    let (updates, stats) = block_on(async {
        let pool = start_pool(3).await.unwrap();
        let updates = Updates::new(&pool.caller(), 3, jobs, unchanged(), 10);
        (all(updates).await, pool.stats())
    });
    let progress: Vec<_> = updates
        .iter()
        .map(|update| (update.processed, update.total, update.progress))
        .collect();
    assert_eq!(progress, [(10, 25, 0.4), (20, 25, 0.8), (25, 25, 1.0)]);
    let results: Vec<_> = updates
        .into_iter()
        .flat_map(|update| update.batch)
        .collect();
    assert_eq!(paths(&results), inputs);
    let mut bytes = 0;
    for result in results {
        let picture = result.unwrap();
        let content = fs::read(&picture.path).unwrap();
        bytes += content.len() + picture.bytes.len();
        let expected = process(content, &[], Some(ImageFormat::Jpeg)).unwrap();
        assert_eq!(picture.bytes, expected.bytes, "{}", picture.path.display());
    }
    assert_eq!((stats.submitted, stats.answered), (25, 25));
    assert_eq!(
        stats.workers.iter().map(|worker| worker.calls).sum::<u64>(),
        25
    );
    assert_eq!(
        (stats.queue_wait.samples, stats.run_time.samples),
        (25, 25),
        "every call is timed"
    );
    // Beside the contents, each call moves two structs and the picture's path.
    let moved = stats.traffic.bytes_moved;
    assert!(
        (bytes as u64..bytes as u64 + 25 * 2048).contains(&moved),
        "{moved} for {bytes}"
    );
    assert_eq!(stats.traffic.bytes_copied, 0);
}

#[test]
fn a_missing_and_a_damaged_file_fail_alone() {
    let folder = TempDir::new().unwrap();
    let jobs = small_pictures(&folder, 9);
    fs::remove_file(&jobs[2].input).unwrap();
    fs::write(&jobs[5].input, b"\x89PNG\r\n\x1a\n and then nothing").unwrap();
    let updates = block_on(async {
        let pool = start_pool(2).await.unwrap();
        all(Updates::new(&pool.caller(), 2, jobs, unchanged(), 100)).await
    });
    assert_eq!(updates.len(), 1);
    let mut failures: Vec<_> = updates[0]
        .batch
        .iter()
        .filter_map(|result| result.as_ref().err())
        .collect();
    failures.sort_by_key(|failure| failure.path.clone());
    assert_eq!(updates[0].batch.len(), 9);
    assert!(matches!(
        &failures[..],
        [
            Failure {
                error: FileError::Read(_),
                ..
            },
            Failure {
                error: FileError::Process(ProcessError::Decode { .. }),
                ..
            }
        ]
    ));
}

/// Panics on one picture in three.
struct Flaky(PictureWorker);

impl Pictures for Flaky {
    async fn process(
        &self,
        cx: &Context,
        request: ProcessImage,
    ) -> Result<ProcessedImage, ProcessError> {
        let name = request.image.path.file_stem().unwrap().to_str().unwrap();
        let number: u32 = name.parse().unwrap();
        assert!(number % 3 != 1, "{number} is a bad number");
        self.0.process(cx, request).await
    }
}

#[test]
fn a_panic_fails_its_own_picture_and_the_rest_goes_on() {
    let folder = TempDir::new().unwrap();
    let jobs = small_pictures(&folder, 20);
    let (updates, stats) = block_on(async {
        let pool = WorkerPool::builder()
            .workers(2)
            .service::<PicturesResponder<_>>(|_cx| async { Ok(Flaky(PictureWorker::new())) })
            .build()
            .await
            .unwrap();
        let updates = Updates::new(&pool.caller(), 2, jobs, unchanged(), 20);
        (all(updates).await, pool.stats())
    });
    assert_eq!((stats.answered, stats.panicked), (13, 7));
    let mut failed = 0;
    for failure in updates[0].batch.iter().filter_map(|it| it.as_ref().err()) {
        failed += 1;
        let FileError::Call(error) = &failure.error else {
            panic!("{failure}")
        };
        assert!(
            matches!(&**error, CallError::Panicked { .. })
                && error.outcome() == Outcome::MaybeExecuted
        );
        let (name, text) = (failure.path.file_stem().unwrap(), failure.to_string());
        let number: u32 = name.to_str().unwrap().parse().unwrap();
        assert!(
            text.contains(&format!("{number} is a bad number")),
            "{text}"
        );
    }
    assert_eq!((failed, updates[0].batch.len()), (7, 20));
}

/// Tells which picture it has, then waits for a go to process it.
struct Held {
    worker: PictureWorker,
    arrivals: Arc<SendPort<SendPort<()>>>,
}

impl Pictures for Held {
    async fn process(
        &self,
        cx: &Context,
        request: ProcessImage,
    ) -> Result<ProcessedImage, ProcessError> {
        let mut go = ReceivePort::new();
        let _ = self.arrivals.send(go.send_port());
        let _ = go.recv().await;
        self.worker.process(cx, request).await
    }
}

#[insula::test]
async fn no_more_pictures_are_read_than_the_pool_is_about_to_need() {
    let folder = TempDir::new().unwrap();
    let jobs = small_pictures(&folder, 30);
    let mut arrivals = ReceivePort::new();
    let port = Arc::new(arrivals.send_port());
    let pool = WorkerPool::builder()
        .workers(2)
        .service::<PicturesResponder<_>>(move |_cx| {
            let arrivals = Arc::clone(&port);
            async {
                Ok(Held {
                    worker: PictureWorker::new(),
                    arrivals,
                })
            }
        })
        .build()
        .await
        .unwrap();
    let mut updates = Updates::new(&pool.caller(), 2, jobs, unchanged(), 1);
    let submitted = || pool.stats().submitted;
    // As often as it is asked: with no picture finished, it stays at two more than workers.
    let ask = |updates: &mut Updates| {
        for _ in 0..10 {
            let mut task = Task::from_waker(Waker::noop());
            assert!(pin!(updates.next()).poll(&mut task).is_pending());
        }
    };
    assert_eq!(submitted(), 0, "nothing is read before somebody asks");
    for finished in 0..20 {
        ask(&mut updates);
        assert_eq!(submitted(), 4 + finished);
        let go = arrivals.recv().await.unwrap();
        go.send(()).unwrap();
        let update = updates.next().await.unwrap();
        assert_eq!(update.processed as u64, finished + 1);
        // A slow reader has no more pictures in progress.
        assert_eq!(submitted(), 4 + finished);
    }
}

#[test]
fn a_run_that_is_stopped_gives_what_it_has() {
    let folder = TempDir::new().unwrap();
    let jobs = small_pictures(&folder, 12);
    block_on(async {
        let pool = start_pool(1).await.unwrap();
        let mut updates = Updates::new(&pool.caller(), 1, jobs, unchanged(), 5);
        assert_eq!(updates.next().await.unwrap().processed, 5);
        assert!(updates.stop().is_none(), "no batch was begun");
        assert!(pool.stats().submitted < 12);
    });
}
