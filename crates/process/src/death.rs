//! How a child has ended, in words, with the limit that has ended it.
//!
//! The system tells the signal that has ended a process, and not why it was sent. So what else can be
//! known is looked at: the time that the child has spent on CPUs, which is there until it is waited for,
//! and the number of processes that the machine has killed for want of memory.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use crate::kind::Plan;

/// What is known of a child before it starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched {
    /// `Process::memory`.
    memory: Option<u64>,
    /// `Process::cpu_time`, in whole seconds.
    cpu_time: Option<u64>,
    /// The processes that the machine has killed for want of memory so far.
    oom_kills: Option<u64>,
}

/// What is known of a child that has ended.
#[derive(Clone, Copy, Debug)]
struct Found {
    status: ExitStatus,
    /// The time that it has spent on CPUs.
    spent: Option<Duration>,
    oom_kills: Option<u64>,
}

/// The limit of [`Process::cpu_time`](crate::Process::cpu_time), as the system counts it: a limit of
/// zero seconds would be none.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs_f64().ceil().max(1.0) as u64
}

impl Watched {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            memory: plan.memory,
            cpu_time: plan.cpu_time.map(whole_seconds),
            oom_kills: oom_kills(),
        }
    }

    /// Waits until the child has ended, and says how.
    ///
    /// # Blocking
    /// Blocks until the child has ended.
    pub(crate) fn wait(&self, child: &mut Child) -> String {
        // Without taking it: its times are gone with its number.
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let spent = loop {
            match waitid(WaitId::Pid(Pid::from_child(child)), ended) {
                Ok(_) => break spent(child.id()),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => break None,
            }
        };
        match child.wait() {
            Ok(status) => self.words(&Found {
                status,
                spent,
                oom_kills: oom_kills(),
            }),
            Err(error) => format!("its process is out of sight: {error}"),
        }
    }

    fn words(&self, found: &Found) -> String {
        // The counts are in ticks, rounded down.
        const ROUNDED: Duration = Duration::from_millis(50);
        let mut words = format!("its process has ended: {}", found.status);
        let signal = found.status.signal();
        let is = |wanted: Signal| signal == Some(wanted.as_raw());
        let is_killed = is(Signal::KILL) || is(Signal::XCPU);
        // Nothing can go wrong in writing to a string.
        let _ = match (self.cpu_time, self.memory) {
            (Some(limit), _)
                if is_killed
                    && found
                        .spent
                        .is_some_and(|it| it + ROUNDED >= Duration::from_secs(limit)) =>
            {
                write!(
                    words,
                    "; it has spent its {limit} s on CPUs (`Process::cpu_time`)"
                )
            }
            (_, Some(limit)) if is(Signal::ABORT) => write!(
                words,
                "; that is how a program ends that needs more memory than it may have, which was {:.0} MiB \
                 (`Process::memory`)",
                limit as f64 / f64::from(1 << 20)
            ),
            _ if is(Signal::KILL) && found.oom_kills > self.oom_kills => write!(
                words,
                "; the system has killed for want of memory since it started, most likely this one"
            ),
            _ => Ok(()),
        };
        words
    }
}

/// Returns the number of processes that the machine has killed for want of memory since it started, of
/// one control group or of all.
fn oom_kills() -> Option<u64> {
    oom_kills_in(&fs::read_to_string("/proc/vmstat").ok()?)
}

fn oom_kills_in(vmstat: &str) -> Option<u64> {
    let line = vmstat.lines().find_map(|it| it.strip_prefix("oom_kill "))?;
    line.trim().parse().ok()
}

/// Returns the time that a process has spent on CPUs, which may have ended.
fn spent(process: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let ticks = ticks_in(&stat)?;
    Some(Duration::from_secs_f64(
        ticks as f64 / clock_ticks_per_second() as f64,
    ))
}

/// Returns the ticks of a process and the system for it: fields 14 and 15 of `stat` (`proc(5)`). The
/// second field is a name in parentheses, which may have any character.
fn ticks_in(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let [of_process, of_system] = [fields.next()?, fields.next()?].map(str::parse::<u64>);
    of_process.ok()?.checked_add(of_system.ok()?)
}

#[cfg(test)]
mod tests;
