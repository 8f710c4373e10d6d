//! Risk: freed memory stays with the process.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use super::purge;

/// The bytes of this process that are in memory, without those of segments, which other tests make
/// meanwhile.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    let kib = lines.find_map(|line| line.strip_prefix("RssAnon:")?.strip_suffix(" kB"));
    kib.unwrap().trim().parse::<usize>().unwrap() * 1024
}

#[test]
fn free_memory_between_blocks_in_use_is_returned() {
    const BLOCK: usize = 64 << 10;
    // Below the size from which glibc maps each block, so that the blocks are one heap.
    let mut blocks: Vec<_> = (0..1_024).map(|_| vec![1_u8; BLOCK]).collect();
    let last = blocks.pop();
    drop(blocks);
    let before = resident();
    assert!(purge());
    assert!(before > resident() + 512 * BLOCK);
    drop(last);
}
