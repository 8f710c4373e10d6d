//! Risk: memory stays when its last owner is gone, or bytes change that another process reads.

use std::fs::{self, File};
use std::io::{Read, Write, pipe};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{SealFlags, fcntl_get_seals};

use crate::segment::tests::{MIB, filled, is_filled};
use crate::{SegmentError, SegmentPool};

/// The bytes of shared memory that this process has mapped and touched.
fn shared() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssShmem:"));
    let kib: usize = line
        .unwrap()
        .trim()
        .strip_suffix(" kB")
        .unwrap()
        .parse()
        .unwrap();
    kib * 1024
}

/// Large beside what other tests of this process have at a time, and beside the error of the
/// kernel's count.
const LARGE: usize = 64 * MIB;

#[test]
fn memory_goes_back_with_its_last_owner() {
    let segment = filled(SegmentPool::new(MIB), LARGE);
    let clone = segment.clone();
    drop(segment);
    assert!(is_filled(&clone));
    assert!(shared() > LARGE - LARGE / 8);
    drop(clone);
    assert!(shared() < LARGE / 2);
    let mut segment = SegmentPool::new(MIB).allocate(LARGE).unwrap();
    segment.fill(1);
    assert!(shared() > LARGE - LARGE / 8);
    drop(segment);
    assert!(shared() < LARGE / 2);
}

#[test]
fn a_file_that_is_shown_cannot_be_changed() {
    let segment = filled(SegmentPool::new(MIB), MIB);
    let file = File::from(segment.as_fd().unwrap().try_clone_to_owned().unwrap());
    assert_eq!(file.metadata().unwrap().len(), MIB as u64);
    assert!((&file).write(&[1]).is_err());
    assert!(file.set_len(1).is_err());
    assert!(file.set_len(2 * MIB as u64).is_err());
    assert!(MmapRaw::map_raw(&file).is_err());
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW;
    assert!(fcntl_get_seals(&file).unwrap().contains(seals));
    assert!(is_filled(&segment));
    // Once more, and through another clone.
    let clone = segment.clone();
    drop(segment);
    assert_eq!(
        clone.as_fd().unwrap().as_raw_fd(),
        clone.as_fd().unwrap().as_raw_fd()
    );
}

/// As in another process: by a descriptor and a mapping of its own.
#[test]
fn a_file_that_is_shown_has_the_bytes_and_outlives_the_segment() {
    let segment = filled(SegmentPool::new(MIB), MIB);
    let mut file = File::from(segment.as_fd().unwrap().try_clone_to_owned().unwrap());
    drop(segment);
    // SAFETY: the seals keep the file from changing.
    let mapped = unsafe { MmapOptions::new().map_copy_read_only(&file) }.unwrap();
    assert!(is_filled(&mapped));
    let mut read = Vec::new();
    file.read_to_end(&mut read).unwrap();
    assert!(is_filled(&read));
    assert_eq!(read.len(), MIB);
}

#[test]
fn another_program_reads_the_file_without_a_pipe() {
    let segment = filled(SegmentPool::new(MIB), MIB);
    let file = segment.as_fd().unwrap().try_clone_to_owned().unwrap();
    let output = Command::new("cat")
        .stdin(Stdio::from(file))
        .output()
        .unwrap();
    assert!(is_filled(&output.stdout));
    assert_eq!(output.stdout.len(), MIB);
}

#[test]
fn a_value_below_the_threshold_has_no_file() {
    let segment = filled(SegmentPool::new(MIB), MIB - 1);
    assert!(matches!(segment.as_fd(), Err(SegmentError::NotMapped)));
}

/// A thread that starts a program forks, if the program is to be prepared. Its child has a copy of
/// each mapping until its `exec`, and the kernel seals no file with a writable mapping anywhere.
#[test]
fn a_child_that_has_not_started_its_program_keeps_no_file_from_being_sealed() {
    let mut segment = SegmentPool::new(MIB).allocate(MIB).unwrap();
    segment.fill(1);
    let (mut has_forked, mut tell) = pipe().unwrap();
    let (mut may_go_on, mut go_on) = pipe().unwrap();
    let child = thread::spawn(move || {
        let mut command = Command::new("true");
        let prepare = move || {
            tell.write_all(&[1])?;
            may_go_on.read_exact(&mut [0])
        };
        // SAFETY: the child only writes to a pipe and reads from one, and allocates nothing.
        unsafe { command.pre_exec(prepare) };
        command.status()
    });
    has_forked.read_exact(&mut [0]).unwrap();
    let segment = segment.freeze().unwrap();
    let is_sealed = segment.as_fd().map(drop);
    go_on.write_all(&[1]).unwrap();
    assert!(child.join().unwrap().unwrap().success());
    is_sealed.unwrap();
}
