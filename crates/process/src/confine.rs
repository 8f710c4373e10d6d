//! What a worker may not ask of the system: a filter of its system calls (`seccomp(2)`), for good, and for
//! all that it starts.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::error::Error;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter_all_threads,
};

use crate::kind::Denied;

/// Calls that make sockets. One within the machine (`AF_UNIX`) stays allowed.
const SOCKETS: &[c_long] = &[libc::SYS_socket, libc::SYS_socketpair];

/// Calls that run another program in this process or a new one.
const PROGRAMS: &[c_long] = &[libc::SYS_execve, libc::SYS_execveat];

/// Calls that look into other processes, or change the machine or the view of it.
const SYSTEM: &[c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
];

/// On x86-64 the same calls have second numbers, with this bit (the x32 ABI, if the kernel has it).
const X32: c_long = 0x4000_0000;

/// Has the system refuse these calls of this process, with `EPERM`.
///
/// # Errors
/// The system has no such filters, or not for this processor.
pub(crate) fn confine(denied: Denied) -> Result<(), Box<dyn Error>> {
    if denied == Denied::NOTHING {
        return Ok(());
    }
    // It makes system calls of its own, which no filter sees.
    let mut rules = BTreeMap::new();
    refuse(&mut rules, &[libc::SYS_io_uring_setup], &[]);
    if denied.network {
        let family = SeccompCondition::new(
            0,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::Ne,
            libc::AF_UNIX as u64,
        )?;
        refuse(&mut rules, SOCKETS, &[SeccompRule::new(vec![family])?]);
    }
    if denied.programs {
        refuse(&mut rules, PROGRAMS, &[]);
    }
    if denied.system {
        refuse(&mut rules, SYSTEM, &[]);
    }
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
        ARCH.try_into()?,
    )?;
    let program: BpfProgram = filter.try_into()?;
    apply_filter_all_threads(&program)?;
    Ok(())
}

/// Refuses calls if one of these rules holds; without rules in any case.
fn refuse(all: &mut BTreeMap<i64, Vec<SeccompRule>>, calls: &[c_long], rules: &[SeccompRule]) {
    for &call in calls {
        all.insert(call, rules.to_vec());
        if cfg!(target_arch = "x86_64") {
            all.insert(call | X32, rules.to_vec());
        }
    }
}
