//! Risk: a large value is copied, comes damaged, or its memory or its file stays.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream;
use insula_core::sleep;
use insula_memory::Segment;
use insula_pool::Shutdown;
use insula_process::Process;

use crate::Test;
use crate::service::{Act, LONG, WorkCaller, pool, pool_of, run, segment};

pub(crate) const ALL: &[Test] = &[
    (
        "segments_cross_without_a_copy",
        segments_cross_without_a_copy,
    ),
    (
        "segments_for_which_there_is_no_room_are_copied",
        segments_for_which_there_is_no_room_are_copied,
    ),
    (
        "many_segments_at_once_wait_for_room",
        many_segments_at_once_wait_for_room,
    ),
    (
        "segments_in_streams_pass_in_both_directions",
        segments_in_streams_pass_in_both_directions,
    ),
    (
        "no_file_of_a_segment_stays_after_a_kill",
        no_file_of_a_segment_stays_after_a_kill,
    ),
];

const MIB: usize = 1 << 20;

/// The tests count the files of this process, so one of them runs at a time.
fn alone<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    run(test);
}

fn is_filled(segment: &Segment, len: usize, byte: u8) -> bool {
    segment.len() == len && segment.iter().all(|&it| it == byte)
}

fn segments_cross_without_a_copy() {
    alone(|| async {
        let pool = pool(1).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        // More than a message may have.
        let request = vec![segment(40 * MIB, 7), segment(100, 8)];
        let brighter = caller.brighten(request.clone()).detailed().await.unwrap();
        assert!(is_filled(&brighter.value[0], 40 * MIB, 8));
        assert!(is_filled(&brighter.value[1], 100, 9));
        assert!(brighter.value[0].is_mapped() && !brighter.value[1].is_mapped());
        let traffic = brighter.traffic;
        assert!(traffic.bytes_copied < 2_000, "{traffic:?}");
        // What has come from a process goes on to another one as well.
        let again = caller.brighten(brighter.value).await.unwrap();
        assert!(is_filled(&again[0], 40 * MIB, 9));
        assert!(is_filled(&request[0], 40 * MIB, 7));
    });
}

fn segments_for_which_there_is_no_room_are_copied() {
    alone(|| async {
        let process = Process::current_exe().most_segment_bytes(8 * MIB as u64);
        let pool = pool_of(1, process).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        for (count, len) in [(20, MIB / 8), (5, 2 * MIB)] {
            let request = (0..count).map(|number| segment(len, number)).collect();
            let brighter = caller.brighten(request).detailed().await.unwrap();
            for (number, picture) in brighter.value.iter().enumerate() {
                assert!(is_filled(picture, len, number as u8 + 1));
            }
            let copied = brighter.traffic.bytes_copied;
            assert!((len as u64..2 * u64::from(count) * len as u64).contains(&copied));
        }
    });
}

/// More than may be on their way, in both directions at once.
fn many_segments_at_once_wait_for_room() {
    alone(|| async {
        let before = open_files();
        let pool = pool(2).concurrency_per_worker(50).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let calls = (0..200_u8).map(|number| {
            let request = (0..8).map(|_| segment(MIB / 8, number)).collect();
            let call = caller.brighten(request).deadline(LONG).start();
            async move {
                for picture in call.await.unwrap() {
                    assert!(is_filled(&picture, MIB / 8, number + 1));
                }
            }
        });
        join_all(calls).await;
        pool.shut_down(Shutdown::graceful(LONG)).await;
        until_open_files_are(before).await;
    });
}

fn segments_in_streams_pass_in_both_directions() {
    alone(|| async {
        let before = open_files();
        let pool = pool(1).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let mut pictures = caller.draw(200, 100_000).await.unwrap();
        let mut number = 0;
        while let Some(picture) = pictures.next().await {
            assert!(is_filled(&picture.unwrap(), 100_000, number));
            number += 1;
        }
        assert_eq!(number, 200);
        // One that is not read to its end has pictures on their way.
        let mut unread = caller.draw(200, 100_000).await.unwrap();
        assert!(unread.next().await.is_some());
        drop(unread);
        let pictures = stream::iter((0..200).map(|number| segment(100_000, number)));
        let sum = caller.look_at().deadline(LONG).send_all(pictures).await;
        assert_eq!(sum.unwrap(), (0..200).sum());
        pool.shut_down(Shutdown::graceful(LONG)).await;
        until_open_files_are(before).await;
    });
}

fn no_file_of_a_segment_stays_after_a_kill() {
    alone(|| async {
        let before = open_files();
        let pool = pool(2).concurrency_per_worker(20).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        for round in 0..30 {
            let calls = (0..20).map(|number| {
                let request = (0..4).map(|_| segment(MIB / 4, number)).collect();
                caller.brighten(request).deadline(LONG).start()
            });
            let calls: Vec<_> = calls.collect();
            sleep(Duration::from_micros(100 * round)).await;
            let _ended = caller.process(Act::Abort).deadline(LONG).await;
            for (number, call) in calls.into_iter().enumerate() {
                // One that was not answered has its request, or may have been executed.
                if let Ok(pictures) = call.await {
                    assert!(pictures.iter().all(|it| it[0] == number as u8 + 1));
                }
            }
        }
        pool.shut_down(Shutdown::graceful(LONG)).await;
        until_open_files_are(before).await;
    });
}

/// The files of segments that this process has open.
fn open_files() -> usize {
    let files = std::fs::read_dir("/proc/self/fd").unwrap();
    let names = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    names
        .filter(|name| name.to_string_lossy().contains("insula-segment"))
        .count()
}

/// Those of what the last calls have left are closed a moment later.
async fn until_open_files_are(count: usize) {
    for _ in 0..1_000 {
        if open_files() == count {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("{} files are open, and {count} were before", open_files());
}
