//! Real pictures: the program of `apps/images`, compared with the same kernels in other pools.
//!
//! One repetition makes every picture of the folder once, with the program's default options. The
//! files are in memory and the threads exist before the clock starts; nothing is written.

use std::cell::{OnceCell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use images::{
    Operation, Pipeline, ProcessImage, ProcessedImage, RawImage, ResizeMode, Scan, Size, start_pool,
};
use insula::block_on;

use crate::case::{Case, Kind, Metric};
use crate::drivers::executor::THREADS;
use crate::insula::Shape;
use crate::peers::rayon::Rayon;
use crate::peers::runtimes::Runtimes;
use crate::peers::tokio::Blocking;
use crate::suites::{PACKAGE, Suite};
use crate::versions;

pub(super) const SUITE: Suite = Suite {
    name: "photos",
    about: "a folder of pictures, the samples or what --photos names",
    cases,
};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../samples/photos");

const RATE: Metric = Metric::higher("pictures", "/s");

fn cases(photos: Option<&Path>, _runtimes: &Runtimes) -> Vec<Case> {
    let folder = Rc::new(Folder::new(photos.unwrap_or(Path::new(SAMPLES))));
    let mut case = Case::new("photos", "a folder, in memory", &[RATE]);
    let mut add = |name: String, kind, package, run: fn(Vec<ProcessImage>) -> Made| {
        let folder = Rc::clone(&folder);
        case.add(name, kind, versions::of(package), move |_| folder.rate(run));
    };
    add(Shape::Multi.name(""), Kind::Pool, PACKAGE, insula_pool);
    add("rayon par_iter".to_owned(), Kind::Pool, "rayon", par_iter);
    let name = "tokio spawn_blocking".to_owned();
    add(name, Kind::Pool, "tokio", spawn_blocking);
    add("one thread".to_owned(), Kind::Limit, "std", one_thread);
    vec![case]
}

/// The pictures of a repetition, and the time that they took.
struct Made {
    elapsed: Duration,
    pictures: Vec<ProcessedImage>,
}

/// The program's way: a pool of two workers, called from a plain thread that submits a picture when
/// one comes back, so that two wait while two are made.
fn insula_pool(requests: Vec<ProcessImage>) -> Made {
    Shape::Multi.run_beside(|| {
        block_on(async {
            let pool = start_pool(THREADS).await.expect("the workers start");
            let caller: images::PicturesCaller = pool.caller();
            let start = Instant::now();
            let pictures = stream::iter(requests)
                .map(async |request| caller.process(request).await)
                .buffer_unordered(THREADS + 2)
                .map(|result| result.expect("the worker makes the picture"))
                .collect()
                .await;
            let elapsed = start.elapsed();
            assert_eq!(pool.stats().traffic.bytes_copied, 0);
            Made { elapsed, pictures }
        })
    })
}

fn par_iter(requests: Vec<ProcessImage>) -> Made {
    let pool = Rayon::new();
    let start = Instant::now();
    let pictures = pool.map_all(requests, make);
    Made {
        elapsed: start.elapsed(),
        pictures,
    }
}

fn spawn_blocking(requests: Vec<ProcessImage>) -> Made {
    let pool = Blocking::new();
    let start = Instant::now();
    let pictures = pool.map_all(requests, make);
    Made {
        elapsed: start.elapsed(),
        pictures,
    }
}

fn one_thread(requests: Vec<ProcessImage>) -> Made {
    let start = Instant::now();
    let pictures = requests.into_iter().map(make).collect();
    Made {
        elapsed: start.elapsed(),
        pictures,
    }
}

/// Makes one picture on this thread, which keeps its pipeline as a worker of the program does.
fn make(request: ProcessImage) -> ProcessedImage {
    thread_local! {
        static PIPELINE: RefCell<Pipeline> = RefCell::new(Pipeline::new());
    }
    PIPELINE
        .with_borrow_mut(|pipeline| pipeline.process(request))
        .expect("the folder holds whole pictures")
}

/// The input pictures, and the expected results.
struct Folder {
    path: PathBuf,
    /// Read by the first repetition, so that listing the cases reads nothing.
    requests: OnceCell<Vec<ProcessImage>>,
    /// Paths and contents as the first repetition of any system made them, sorted.
    expected: OnceCell<Vec<(PathBuf, Vec<u8>)>>,
}

impl Folder {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            requests: OnceCell::new(),
            expected: OnceCell::new(),
        }
    }

    /// Returns the pictures per second of `run`, which has to make the same pictures as every
    /// system.
    fn rate(&self, run: fn(Vec<ProcessImage>) -> Made) -> f64 {
        // Cloned before the clock starts, since a system consumes its requests.
        let requests = self.requests.get_or_init(|| read(&self.path)).clone();
        let count = requests.len();
        let Made { elapsed, pictures } = run(requests);
        let mut made: Vec<_> = pictures
            .into_iter()
            .map(|picture| (picture.path, picture.bytes.to_vec()))
            .collect();
        // The systems finish the pictures in different orders.
        made.sort();
        assert_eq!(made.len(), count, "every file gives a picture");
        let rate = count as f64 / elapsed.as_secs_f64();
        // Not `assert_eq`, which would print the pictures.
        let is_the_same = match self.expected.get() {
            Some(expected) => *expected == made,
            None => self.expected.set(made).is_ok(),
        };
        assert!(is_the_same, "everybody makes the same pictures");
        rate
    }
}

/// Reads all pictures of a folder, with the program's default operations.
fn read(folder: &Path) -> Vec<ProcessImage> {
    // A scan leaves out the folder of a run's results; here there is none.
    let scan = Scan::of(&[folder.to_owned()], Path::new(""));
    let folder = folder.display();
    assert!(scan.failures.is_empty(), "all of {folder} can be read");
    assert!(!scan.pictures.is_empty(), "there are pictures in {folder}");
    let request = |path: &Path| ProcessImage {
        image: RawImage::load(path).unwrap_or_else(|failure| panic!("{failure}")),
        operations: vec![
            Operation::Resize {
                size: Size::new(800, 600),
                mode: ResizeMode::Fit,
            },
            Operation::Sharpen { amount: 0.3 },
        ],
        format: None,
        quality: 85,
    };
    let found = scan.pictures.iter();
    found.map(|picture| request(&picture.path)).collect()
}
