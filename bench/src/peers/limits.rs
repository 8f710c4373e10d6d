//! Not peers: the limits of the hardware and the kernel, for comparison with every system.

use std::fs;
use std::hint::black_box;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::unbounded;
use insula_sync::atomic::{AtomicU64, Ordering};
use insula_sync::wait;

use crate::case::Sample;
use crate::drivers::actor::ping_every_millisecond;
use crate::drivers::frames::{Scene, Stage, drive};
use crate::measure::Work;

/// One cache line goes to another running thread and back.
pub(crate) fn cache_line_round_trips(count: u64) -> Duration {
    let line = Arc::new(AtomicU64::new(0));
    let peer = Arc::clone(&line);
    // Even values are written here, odd ones there.
    let there = thread::spawn(move || {
        for turn in 0..count {
            wait_for(&peer, 2 * turn + 1);
            peer.store(2 * turn + 2, Ordering::Release);
        }
    });
    let start = Instant::now();
    for turn in 0..count {
        line.store(2 * turn + 1, Ordering::Release);
        wait_for(&line, 2 * turn + 2);
    }
    let elapsed = start.elapsed();
    there.join().expect("the answering thread does not panic");
    elapsed
}

fn wait_for(line: &AtomicU64, value: u64) {
    // Acquire; pairs with the Release store of the opposite side.
    while line.load(Ordering::Acquire) != value {
        wait::spin();
    }
}

/// A buffer is copied there and back, on one thread, into memory that is already touched.
pub(crate) fn copies_there_and_back(bytes: usize, count: u64) -> Duration {
    let (mut here, mut there) = (vec![1_u8; bytes], vec![2_u8; bytes]);
    let start = Instant::now();
    for _ in 0..count {
        // Hidden from the compiler, which could leave out copies that the next round overwrites.
        there.copy_from_slice(black_box(&here));
        here.copy_from_slice(black_box(&there));
    }
    let elapsed = start.elapsed();
    assert_eq!((here[bytes - 1], there[0]), (1, 1));
    elapsed
}

/// One thread calls `stat` for a file.
pub(crate) fn stats(path: &Path, count: u64) -> Duration {
    let start = Instant::now();
    let length = || fs::metadata(path).expect("the file is there").len();
    let sum: u64 = (0..count).map(|_| black_box(length())).sum();
    assert_ne!(sum, 0);
    start.elapsed()
}

/// One thread reads a file into one buffer.
pub(crate) fn read(path: &Path, length: u64, chunk: usize) -> Duration {
    let start = Instant::now();
    let mut file = fs::File::open(path).expect("the file is there");
    let (mut buffer, mut total) = (vec![0; chunk], 0);
    while let count @ 1.. = file.read(&mut buffer).expect("it can be read") {
        total += count as u64;
    }
    assert_eq!(total, length);
    start.elapsed()
}

/// A thread answers while `heavy` other threads compute: the kernel's own fairness.
pub(crate) fn latency_of_threads(heavy: u64, length: Duration) -> Sample {
    let work = Work::lasting(length);
    let (ping, pings) = unbounded();
    let (answer, answers) = unbounded();
    let answerer = thread::spawn(move || {
        for sent in pings {
            answer
                .send(sent)
                .expect("the pinging thread waits for all answers");
        }
    });
    let busy: Vec<_> = (0..heavy)
        .map(|_| thread::spawn(move || work.run()))
        .collect();
    let sample = ping_every_millisecond(
        |sent| ping.send(sent).expect("the answering thread is there"),
        &answers,
        length,
    );
    drop(ping);
    answerer
        .join()
        .expect("the answering thread does not panic");
    for thread in busy {
        thread.join().expect("a computing thread does not panic");
    }
    sample
}

/// A loop of frames without tiles to compute.
pub(crate) fn frames(length: Duration) -> Sample {
    drive(&mut Alone(Scene::new()), length)
}

struct Alone(Scene);

impl Stage for Alone {
    fn frame(&mut self) {
        self.0.draw();
    }

    fn flush(&mut self) {}

    fn tiles(&mut self) -> u64 {
        self.0.came()
    }
}
