//! Risk: a child that writes anything into the shared memory harms its parent.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::{Duration, Instant};

use insula_core::sleep;
use insula_process::Process;
use insula_rpc::CallError;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::Test;
use crate::service::{Act, LONG, WorkCaller, pool_of, run};

pub(crate) const ALL: &[Test] = &[
    (
        "a_child_that_writes_nonsense_loses_its_worker",
        a_child_that_writes_nonsense_loses_its_worker,
    ),
    (
        "a_child_that_writes_without_an_end_is_killed",
        a_child_that_writes_without_an_end_is_killed,
    ),
    (
        "a_worker_that_is_written_over_is_replaced",
        a_worker_that_is_written_over_is_replaced,
    ),
];

const LIES: &str = "WORKER_LIES";

/// The lie of a child whose ring is never empty.
const FLOOD: &str = "flood";

/// Writes nonsense where a worker has its memory, from a seed.
pub(crate) fn lie_if_asked() {
    let Ok(seed) = std::env::var(LIES) else {
        return;
    };
    let Some(memory) = memory() else {
        return;
    };
    if seed == FLOOD {
        return flood(&memory);
    }
    let seed: u64 = seed.parse().unwrap();
    if seed % 2 == 1 {
        send_files(&memory, seed);
    }
    nonsense(&memory, seed);
    thread::sleep(Duration::from_secs(60));
}

/// Takes the memory of a worker out of its standard input.
fn memory() -> Option<File> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 32];
    let slices = &mut [IoSliceMut::new(&mut bytes)];
    recvmsg(io::stdin(), slices, &mut control, RecvFlags::DONTWAIT).ok()?;
    let mut files = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => files.collect(),
        _ => Vec::new(),
    });
    files.next().map(File::from)
}

/// Sends files that are no segments, and says that there are more or fewer of them.
fn send_files(memory: &File, seed: u64) {
    let null = File::open("/dev/null").unwrap();
    for number in 0..seed {
        let files = [memory.as_fd(), null.as_fd()];
        let files = &files[..(number % 3) as usize];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(files));
        let _ = sendmsg(
            io::stdin(),
            &[IoSlice::new(b"s")],
            &mut control,
            SendFlags::DONTWAIT,
        );
    }
    // A frame of one word, with so many segments, as the first one in the ring of the child.
    let mark = seed % 20;
    let ring = memory.metadata().unwrap().len() - (1 << 20);
    memory
        .write_all_at(&(mark << 48).to_le_bytes(), ring)
        .unwrap();
}

fn nonsense(memory: &File, seed: u64) {
    let len = memory.metadata().unwrap().len();
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 11
    };
    for round in 0..2_000 {
        // The positions and bells first, and then anywhere.
        let at = match round % 4 {
            0..=2 => next() % 2_048,
            _ => next() % len,
        };
        let value = match next() % 4 {
            0 => 0,
            1 => next() % 64,
            2 => u64::MAX - next() % 64,
            _ => next(),
        };
        memory
            .write_all_at(&value.to_le_bytes(), at.min(len - 8))
            .unwrap();
    }
}

/// Says that the ring is full, as often as the other side has read from it.
fn flood(memory: &File) {
    // The positions in the ring of the child, and its words.
    const TAIL: u64 = 1_280;
    const HEAD: u64 = 1_408;
    const WORDS: u64 = 1 << 17;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) {
        let mut head = [0; 8];
        memory.read_exact_at(&mut head, HEAD).unwrap();
        let tail = u64::from_le_bytes(head) + WORDS;
        memory.write_all_at(&tail.to_le_bytes(), TAIL).unwrap();
    }
}

fn a_child_that_writes_without_an_end_is_killed() {
    run(|| async {
        // Several, because not each of them is ahead of its reader all the time.
        for _ in 0..5 {
            let liar = Process::current_exe().env(LIES, FLOOD);
            // It rings no bell, so that nothing is read before the start is given up.
            let builder = pool_of(1, liar).startup_timeout(Duration::from_millis(200));
            let error = builder.build().await.unwrap_err();
            assert!(!error.to_string().is_empty());
            until_no_liar_lives().await;
        }
    });
}

fn a_child_that_writes_nonsense_loses_its_worker() {
    run(|| async {
        for seed in 0..40 {
            let liar = Process::current_exe().env(LIES, seed.to_string());
            let builder = pool_of(1, liar).startup_timeout(Duration::from_millis(200));
            let error = builder.build().await.unwrap_err();
            assert!(!error.to_string().is_empty());
        }
        // Whatever they have written over: those who were given up are killed.
        until_no_liar_lives().await;
    });
}

async fn until_no_liar_lives() {
    for _ in 0..1_000 {
        if liars() == 0 {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("{} liars are alive", liars());
}

/// The processes that were asked to lie.
fn liars() -> usize {
    let processes = std::fs::read_dir("/proc").unwrap();
    let environments =
        processes.filter_map(|it| std::fs::read(it.ok()?.path().join("environ")).ok());
    let is_asked = |environment: &Vec<u8>| {
        let mut variables = environment.split(|&byte| byte == 0);
        variables.any(|it| it.starts_with(LIES.as_bytes()))
    };
    environments.filter(is_asked).count()
}

/// The memory of a child that serves, written over by this process, which can reach it as a debugger
/// would.
fn a_worker_that_is_written_over_is_replaced() {
    run(|| async {
        let pool = pool_of(1, Process::current_exe()).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        for seed in 0..10 {
            let process = caller.process(Act::Nothing).deadline(LONG).await.unwrap();
            let maps = std::fs::read_dir(format!("/proc/{process}/map_files")).unwrap();
            let memory = maps.filter_map(|it| Some(it.ok()?.path())).find(|it| {
                std::fs::read_link(it)
                    .is_ok_and(|it| it.to_string_lossy().contains("insula-worker"))
            });
            let Some(memory) = memory else {
                // Only the superuser may.
                return;
            };
            let memory = File::options().read(true).write(true).open(memory).unwrap();
            nonsense(&memory, seed);
            // Whatever becomes of this one, the next ones are answered.
            match caller
                .process(Act::Nothing)
                .deadline(Duration::from_millis(500))
                .await
            {
                Ok(_)
                | Err(
                    CallError::WorkerDied { .. }
                    | CallError::Deadline { .. }
                    | CallError::Protocol { .. },
                ) => {}
                Err(error) => panic!("{error:?}"),
            }
            pool.reload().await.unwrap();
        }
        assert!(caller.process(Act::Nothing).deadline(LONG).await.is_ok());
    });
}
