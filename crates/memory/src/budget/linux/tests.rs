//! Risk: a limit is overlooked, and the program plans with the memory of the whole machine.

use std::io;
use std::path::Path;

use super::{NoLimit, NotMounted, available, least, limit, limit_files};
use crate::BudgetError;

const MEMINFO: &str = "\
MemTotal:       24684096 kB
MemFree:        20731632 kB
MemAvailable:   24119696 kB
Buffers:           28884 kB
";

fn files(cgroup: &str, mountinfo: &str) -> Vec<String> {
    let files = limit_files(cgroup, mountinfo).unwrap();
    let files = files
        .into_iter()
        .map(|it| it.to_string_lossy().into_owned());
    files.collect()
}

#[test]
fn the_available_memory_is_read_in_kib() {
    assert_eq!(available(MEMINFO), Some(24_119_696 * 1024));
    assert_eq!(available("MemTotal: 1 kB\nMemFree: 1 kB\n"), None);
    assert_eq!(available("MemAvailable: much kB\n"), None);
    assert_eq!(available("MemAvailable: 12 MB\n"), None);
    assert_eq!(available(&format!("MemAvailable: {} kB", u64::MAX)), None);
    assert_eq!(available(""), None);
}

#[test]
fn a_limit_is_a_number_or_max() {
    assert_eq!(limit("536870912\n"), Ok(Some(536_870_912)));
    assert_eq!(limit("0\n"), Ok(Some(0)));
    assert_eq!(limit("max\n"), Ok(None));
    assert_eq!(
        limit("9223372036854771712\n"),
        Ok(Some(9_223_372_036_854_771_712))
    );
    assert_eq!(limit(""), Err(NoLimit));
    assert_eq!(limit("-1\n"), Err(NoLimit));
    assert_eq!(limit("512M\n"), Err(NoLimit));
}

#[test]
fn a_group_of_version_2_and_all_around_it_are_asked() {
    let mounts = "\
22 28 0:20 / /proc rw,nosuid - proc proc rw
30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate
";
    assert_eq!(
        files("0::/system.slice/a.service\n", mounts),
        [
            "/sys/fs/cgroup/system.slice/a.service/memory.max",
            "/sys/fs/cgroup/system.slice/memory.max",
            "/sys/fs/cgroup/memory.max",
        ]
    );
}

#[test]
fn the_group_of_version_1_that_controls_the_memory_is_asked() {
    let groups = "\
12:cpu,cpuacct:/docker/1f
4:hugetlb,memory:/docker/1f
1:name=systemd:/memory
0::/
";
    let mounts = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,hugetlb,memory
41 31 0:38 / /sys/fs/cgroup/unified rw shared:7 master:2 - cgroup2 cgroup2 rw
";
    assert_eq!(
        files(groups, mounts),
        [
            "/sys/fs/cgroup/memory/docker/1f/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/unified/memory.max",
        ]
    );
}

/// In a container without a namespace of its own, the mount begins at the container's group.
#[test]
fn a_path_begins_at_the_root_of_its_mount() {
    let mounts = "35 31 0:32 /docker/1f /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
    assert_eq!(
        files("4:memory:/docker/1f/inner\n", mounts),
        [
            "/sys/fs/cgroup/memory/inner/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        ]
    );
    assert_eq!(
        files("4:memory:/docker/1f\n", mounts),
        ["/sys/fs/cgroup/memory/memory.limit_in_bytes"]
    );
}

#[test]
fn a_group_outside_of_its_mount_is_asked_at_the_mount() {
    let mounts = "30 23 0:26 /inner /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    let at_mount = ["/sys/fs/cgroup/memory.max"];
    assert_eq!(files("0::/other/group\n", mounts), at_mount);
    assert_eq!(files("0::/inner/../../other\n", mounts), at_mount);
}

#[test]
fn a_mount_may_have_spaces_in_its_path() {
    let mounts = r"30 23 0:26 / /all\040my\134groups\04 rw - cgroup2 cgroup2 rw";
    assert_eq!(
        files("0::/a\n", mounts),
        [
            r"/all my\groups\04/a/memory.max",
            r"/all my\groups\04/memory.max"
        ]
    );
}

#[test]
fn a_system_without_mounted_groups_limits_nothing() {
    let mounts = "22 28 0:20 / /proc rw,nosuid - proc proc rw\n";
    assert_eq!(files("0::/\n", mounts), [""; 0]);
    assert_eq!(files("5:cpu:/a\n0::/\n", mounts), [""; 0]);
}

#[test]
fn a_group_that_is_not_mounted_is_not_taken_for_one_without_a_limit() {
    let mounts = "22 28 0:20 / /proc rw,nosuid - proc proc rw\n";
    assert_eq!(limit_files("0::/a\n", mounts), Err(NotMounted));
    assert_eq!(limit_files("4:memory:/a\n0::/\n", mounts), Err(NotMounted));
    assert_eq!(limit_files("0::/a\n", ""), Err(NotMounted));
}

#[test]
fn lines_of_any_other_form_are_passed_over() {
    let mount = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
    for (groups, mounts) in [
        ("", ""),
        ("", mount),
        ("0", mount),
        ("0:", mount),
        ("0::/", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2"),
        ("0::/", "- cgroup2 cgroup2 rw"),
        ("0::/", "30 - cgroup2 cgroup2 rw"),
        ("4:cpu:/a", "35 31 0:32 / /m rw - cgroup cgroup rw,memory"),
    ] {
        assert_eq!(files(groups, mounts), [""; 0], "{groups:?}, {mounts:?}");
    }
}

/// The memory of a process that finds only these files. One without a text cannot be read.
fn memory(files: &[(&str, Option<&str>)]) -> Result<u64, BudgetError> {
    least(
        |path| match files.iter().find(|file| Path::new(file.0) == path) {
            None => Ok(None),
            Some((_, Some(text))) => Ok(Some((*text).to_owned())),
            Some((_, None)) => Err(BudgetError::Unreadable {
                path: path.to_owned(),
                error: io::ErrorKind::PermissionDenied.into(),
            }),
        },
    )
}

const PROC: [(&str, Option<&str>); 3] = [
    ("/proc/meminfo", Some("MemAvailable: 1000 kB\n")),
    ("/proc/self/cgroup", Some("0::/a/b\n")),
    (
        "/proc/self/mountinfo",
        Some("30 23 0:26 / /g rw - cgroup2 cgroup2 rw\n"),
    ),
];

/// Adds files of groups to those of `/proc`.
fn with<'a>(groups: &[(&'a str, Option<&'a str>)]) -> Vec<(&'a str, Option<&'a str>)> {
    PROC.into_iter().chain(groups.iter().copied()).collect()
}

#[test]
fn the_least_limit_counts_wherever_it_is() {
    let of = |inner, outer| {
        let files = [
            ("/g/a/b/memory.max", Some(inner)),
            ("/g/a/memory.max", Some(outer)),
        ];
        memory(&with(&files)).unwrap()
    };
    assert_eq!(of("max\n", "max\n"), 1_024_000);
    assert_eq!(of("2000000\n", "3000000\n"), 1_024_000);
    assert_eq!(of("500\n", "max\n"), 500);
    assert_eq!(of("max\n", "500\n"), 500);
    assert_eq!(of("400\n", "500\n"), 400);
    assert_eq!(of("500\n", "400\n"), 400);
}

#[test]
fn a_file_that_is_not_there_limits_nothing() {
    assert_eq!(memory(&with(&[])).unwrap(), 1_024_000);
    // A kernel without cgroups.
    assert_eq!(memory(&PROC[..1]).unwrap(), 1_024_000);
}

#[test]
fn a_file_that_tells_nothing_is_named() {
    for (files, named) in [
        (vec![], "/proc/meminfo"),
        (vec![("/proc/meminfo", None)], "/proc/meminfo"),
        (
            vec![("/proc/meminfo", Some("MemFree: 1 kB"))],
            "/proc/meminfo",
        ),
        (
            vec![PROC[0], ("/proc/self/cgroup", None)],
            "/proc/self/cgroup",
        ),
        (PROC[..2].to_vec(), "/proc/self/mountinfo"),
        (with(&[("/g/a/memory.max", None)]), "/g/a/memory.max"),
        (
            with(&[("/g/a/memory.max", Some("much"))]),
            "/g/a/memory.max",
        ),
    ] {
        let error = memory(&files).unwrap_err();
        let (BudgetError::Unknown { path, .. } | BudgetError::Unreadable { path, .. }) = error
        else {
            panic!("{error}");
        };
        assert_eq!(path, Path::new(named));
    }
}
