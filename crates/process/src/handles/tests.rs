//! Risk: a process that lies about files has its parent wait, read what changes, or keep them.

use std::fs::File;
use std::io::Write as _;

use insula_memory::SegmentPool;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use super::*;

/// Both ends, after the memory was taken.
fn pair() -> (Handles, Handles) {
    let null = File::open("/dev/null").unwrap();
    let (parent, socket) = Handles::pair(null.as_fd()).unwrap();
    assert!(Handles::is_one(&socket));
    let (child, _null) = Handles::open(socket).unwrap();
    assert!(!Handles::is_one(&child.0), "it has taken its memory");
    (parent, child)
}

fn segment(len: usize) -> Segment {
    let mut segment = SegmentPool::new(1).allocate(len).unwrap();
    segment.fill(7);
    segment.freeze().unwrap()
}

fn memory(seals: SealFlags, len: usize) -> OwnedFd {
    let file = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    let mut file = File::from(file);
    file.write_all(&vec![1; len]).unwrap();
    fcntl_add_seals(&file, seals).unwrap();
    file.into()
}

#[test]
fn segments_come_as_they_went() {
    let (parent, child) = pair();
    let sent = [segment(1), segment(5_000), segment(1 << 20)];
    parent.send(&sent).unwrap();
    child.send(&sent[..1]).unwrap();
    let received = child.receive(3).unwrap();
    for (sent, received) in sent.iter().zip(&received) {
        assert!(**sent == **received && sent.as_ptr() != received.as_ptr());
    }
    // Also one that has come from elsewhere.
    child.send(&received).unwrap();
    assert_eq!(parent.receive(1).unwrap()[0].len(), 1);
    assert_eq!(parent.receive(3).unwrap()[2].len(), 1 << 20);
}

#[test]
fn a_standard_input_of_another_kind_is_no_socket_of_a_worker() {
    let (_parent, child) = pair();
    for other in [File::open("/dev/null").unwrap().into(), child.0] {
        assert!(!Handles::is_one(&other));
        assert!(Handles::open(other).is_err());
    }
}

#[test]
fn files_that_are_missing_or_too_many_are_a_lie() {
    let (parent, child) = pair();
    // Nothing was sent, and nothing is waited for.
    assert!(matches!(parent.receive(1), Err(Lost::Corrupt)));
    for (sent, said) in [(2, 1), (1, 2), (1, 16)] {
        child.send(&vec![segment(10); sent]).unwrap();
        assert!(matches!(parent.receive(said), Err(Lost::Corrupt)));
    }
}

#[test]
fn files_that_could_change_are_not_mapped() {
    let (parent, child) = pair();
    let length = SealFlags::SHRINK | SealFlags::GROW;
    let all = length | SealFlags::WRITE;
    let mut bad = vec![
        File::open("/dev/null").unwrap().into(),
        File::open("/proc/self/exe").unwrap().into(),
    ];
    for seals in [SealFlags::empty(), length, all - SealFlags::GROW] {
        bad.push(memory(seals, 100));
    }
    for file in bad {
        child.send_files(SEGMENTS, &[file.as_fd()]).unwrap();
        assert!(parent.receive(1).is_err());
    }
    child
        .send_files(SEGMENTS, &[memory(all, 100).as_fd()])
        .unwrap();
    assert_eq!(*parent.receive(1).unwrap()[0], [1; 100]);
}

/// As many as the count allows fit into the socket, and what does not fit is no wait.
#[test]
fn as_many_as_may_be_on_their_way_fit() {
    let (parent, child) = pair();
    let one = [segment(1)];
    for _ in 0..MOST_FLYING {
        parent.send(&one).unwrap();
    }
    let flood = (0..1_000_000).find_map(|_| parent.send(&one).err());
    assert!(flood.is_some());
    for _ in 0..MOST_FLYING {
        child.receive(1).unwrap();
    }
}
