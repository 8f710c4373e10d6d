//! Risk: a limit is blamed that has ended nothing, or the one that has is not named.

use super::*;

const LIMITED: Watched = Watched {
    memory: Some(64 << 20),
    cpu_time: Some(2),
    oom_kills: Some(7),
};

fn words(watched: Watched, signal: i32, spent_ms: u64, oom_kills: u64) -> String {
    watched.words(&Found {
        status: ExitStatus::from_raw(signal),
        spent: Some(Duration::from_millis(spent_ms)),
        oom_kills: Some(oom_kills),
    })
}

#[test]
fn the_limit_that_has_ended_a_process_is_named() {
    let by_time = words(LIMITED, 9, 1_990, 7);
    assert!(by_time.ends_with("it has spent its 2 s on CPUs (`Process::cpu_time`)"));
    let by_memory = words(LIMITED, 6, 100, 7);
    assert!(by_memory.contains("signal: 6"), "{by_memory}");
    assert!(by_memory.ends_with("which was 64 MiB (`Process::memory`)"));
    let by_system = words(LIMITED, 9, 100, 8);
    assert!(by_system.ends_with("most likely this one"), "{by_system}");
}

#[test]
fn a_plain_kill_and_a_plain_exit_blame_no_limit() {
    let unlimited = Watched {
        memory: None,
        cpu_time: None,
        ..LIMITED
    };
    for (watched, signal, spent) in [(LIMITED, 9, 100), (unlimited, 9, 9_000), (unlimited, 6, 0)] {
        let words = words(watched, signal, spent, 7);
        assert!(words.ends_with(')'), "{words}");
        assert!(!words.contains(';'), "{words}");
    }
    // Status 3, which `from_raw` has in its second byte; it has spent much.
    let words = words(LIMITED, 3 << 8, 9_000, 9);
    assert_eq!(words, "its process has ended: exit status: 3");
}

#[test]
fn what_the_system_writes_is_read() {
    let vmstat = "nr_free_pages 12\noom_kill 3\noom_kill_other 4\n";
    assert_eq!(oom_kills_in(vmstat), Some(3));
    assert_eq!(oom_kills_in("nr_free_pages 12\n"), None);
    let stat = "41 (a) b) (c) Z 1 41 41 0 -1 4 5 0 0 0 120 30 0 0 20 0 1 0 77 0 0";
    assert_eq!(ticks_in(stat), Some(150));
    assert_eq!(ticks_in("41 (a) Z 1"), None);
    assert!(spent(std::process::id()).is_some());
}

#[test]
fn a_limit_of_part_of_a_second_is_one_second() {
    let all = [0, 1, 1_000, 1_001].map(|ms| whole_seconds(Duration::from_millis(ms)));
    assert_eq!(all, [1, 1, 1, 2]);
}
