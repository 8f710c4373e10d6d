//! What a worker may not ask of the system: a filter of its system calls (`seccomp(2)`), for good, and for
//! all that it starts.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::error::Error;

use libc::{c_int, c_long};
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
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_fspick,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
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
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
];

/// Flags of `clone`, which starts threads as well, for a process with a view of its own of the machine.
const NAMESPACES: &[c_int] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Calls that make other calls, which no filter sees. Of a ring that comes through a socket only the
/// last two are needed.
const RINGS: &[c_long] = &[
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// On x86-64 the same calls have second numbers, with this bit (the x32 ABI, if the kernel has it).
const X32: c_long = 0x4000_0000;

/// Calls that have another number there, before the bit: their arguments are of another size.
const X32_NUMBERS: &[(c_long, c_long)] = &[
    (libc::SYS_execve, 520),
    (libc::SYS_ptrace, 521),
    (libc::SYS_kexec_load, 528),
    (libc::SYS_process_vm_readv, 539),
    (libc::SYS_process_vm_writev, 540),
    (libc::SYS_execveat, 545),
];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Has the system refuse these calls of this process, with `EPERM`.
///
/// # Errors
/// The system has no such filters, or not for this processor.
pub(crate) fn confine(denied: Denied) -> Result<(), Box<dyn Error>> {
    if denied == Denied::NOTHING {
        return Ok(());
    }
    let mut filters = vec![program(rules(denied)?, libc::EPERM)?];
    if denied.system {
        // Its flags are in memory, which a filter does not read. The C library takes `clone` in its place
        // if the system does not know it.
        let mut rules = Rules::new();
        refuse(&mut rules, &[libc::SYS_clone3], &[]);
        filters.push(program(rules, libc::ENOSYS)?);
    }
    for filter in &filters {
        apply_filter_all_threads(filter)?;
    }
    Ok(())
}

/// Makes a filter that has calls fail with this error, if one of the rules holds.
fn program(rules: Rules, error: c_int) -> Result<BpfProgram, Box<dyn Error>> {
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(error.unsigned_abs()),
        ARCH.try_into()?,
    )?;
    Ok(filter.try_into()?)
}

/// What is refused.
fn rules(denied: Denied) -> Result<Rules, Box<dyn Error>> {
    let mut rules = Rules::new();
    refuse(&mut rules, RINGS, &[]);
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
        let has = |flag: &c_int| {
            let flag = u64::from(flag.unsigned_abs());
            let masked = SeccompCmpOp::MaskedEq(flag);
            let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, masked, flag)?;
            SeccompRule::new(vec![condition])
        };
        let flags: Result<Vec<_>, _> = NAMESPACES.iter().map(has).collect();
        refuse(&mut rules, &[libc::SYS_clone], &flags?);
    }
    Ok(rules)
}

/// Refuses calls if one of these rules holds; without rules in any case.
fn refuse(all: &mut Rules, calls: &[c_long], rules: &[SeccompRule]) {
    for &call in calls {
        all.insert(call, rules.to_vec());
        if cfg!(target_arch = "x86_64") {
            all.insert(call | X32, rules.to_vec());
            let own = X32_NUMBERS.iter().find(|(it, _)| *it == call);
            // Kernels before 5.4 know them without the bit as well.
            for number in own.into_iter().flat_map(|&(_, own)| [own, own | X32]) {
                all.insert(number, rules.to_vec());
            }
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
