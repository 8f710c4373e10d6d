//! The stack of a thread, as a debugger reads it.
//!
//! A process cannot read the registers of its own threads. A profiler inside of it sends them a signal,
//! whose handler walks the stack wherever the thread is: in the middle of an allocation or of the
//! loader, whose locks it must not touch, and only if the thread computes, since the clock behind the
//! signal is that of the CPU. A debugger stops the program while it reads it from outside. No
//! code runs in the program, a thread that blocks has a stack as well, and the program needs nothing
//! for it but the right of its user to be debugged.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use insula_inspect::client::Client;
use insula_inspect::model::{Thread, Threads, Vm};
use serde::Serialize;
use serde_json::json;

use crate::cli::{self, Global};
use crate::failure::{Failure, Outcome};
use crate::output::{print, print_json};
use crate::tables::party;
use crate::target::{connect, find_isolate};
use crate::text::clean;

const DEBUGGER: &str = "gdb";

/// What is printed as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stack<'a> {
    thread: &'a Thread,
    /// From the innermost.
    frames: &'a [String],
}

/// Prints the stack of a thread.
pub(super) fn run(options: &cli::Stack, global: &Global) -> Outcome {
    let mut client = connect(&options.target, global)?;
    let thread = thread(&mut client, &options.subject)?;
    let vm: Vm = client.call("getVM", json!({}))?;
    let number = system_id(&thread, vm.pid)?;
    let output = debug(vm.pid, options.frames)?;
    let frames = frames_of(&output.0, number);
    if frames.is_empty() {
        return Err(unread(vm.pid, &output.1));
    }
    if global.json {
        let (thread, frames) = (&thread, frames.as_slice());
        return print_json(&Stack { thread, frames });
    }
    let runs = thread.isolate.as_ref();
    let runs = runs.map_or_else(String::new, |isolate| format!(", runs {}", party(isolate)));
    let frames: String = frames.iter().map(|it| clean(it) + "\n").collect();
    print(&format!("thread {}{runs}\n{frames}", thread.index))
}

/// Returns the thread of an id, or the one that runs an isolate.
fn thread(client: &mut Client, subject: &str) -> Result<Thread, Failure> {
    let index = subject.strip_prefix("threads/");
    let index = index.and_then(|it| it.parse::<u64>().ok());
    let isolate = match index {
        Some(_) => String::new(),
        None => find_isolate(client, subject)?,
    };
    let threads: Threads = client.call("getThreads", json!({}))?;
    let mut threads = threads.threads.into_iter();
    let found = match index {
        Some(index) => threads.find(|it| it.index == index),
        None => threads.find(|it| it.isolate.as_ref().is_some_and(|it| it.id == isolate)),
    };
    found.ok_or_else(|| match index {
        Some(index) => Failure::operation(
            format!("there is no thread {index}"),
            "List them with `insula threads`",
        ),
        None => Failure::operation(
            format!("{isolate} is in no turn on a thread of the pool, and so has no stack"),
            "See what it waits for with `insula why`",
        ),
    })
}

/// Returns the number of the thread in the system, if it is a thread of that process here.
fn system_id(thread: &Thread, pid: u32) -> Result<u32, Failure> {
    let number = thread.system_id.ok_or_else(|| {
        let text = format!(
            "the program does not tell which thread of the system {} is",
            thread.index
        );
        Failure::operation(text, "Stacks can be read on Linux")
    })?;
    match Path::new(&format!("/proc/{pid}/task/{number}")).exists() {
        true => Ok(number),
        false => Err(Failure::operation(
            format!("there is no process {pid} with a thread {number} here"),
            "Run this command on the machine of the program, outside of containers",
        )),
    }
}

/// Runs the debugger. Returns its output and its errors.
fn debug(pid: u32, frames: u64) -> Result<(String, String), Failure> {
    // Values are left out: they are long, and may be secrets.
    let settings = [
        "set auto-load off",
        "set debuginfod enabled off",
        "set print frame-arguments none",
        "set pagination off",
        "set width 0",
    ];
    let mut command = Command::new(DEBUGGER);
    command.args(["-nx", "-batch"]);
    for setting in settings {
        command.args(["-iex", setting]);
    }
    // Named, so that its symbols are read before the program is stopped.
    command.arg(format!("/proc/{pid}/exe"));
    command.args(["-p", &pid.to_string()]);
    command.args(["-ex", &format!("thread apply all bt {frames}")]);
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::operation(
            format!("{DEBUGGER} is not installed, which reads the stacks"),
            "Install it, or look at the thread with `perf top`",
        ),
        _ => Failure::operation(format!("{DEBUGGER} cannot be run: {error}"), ""),
    })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((text(&output.stdout), text(&output.stderr)))
}

/// Returns the frames of a thread in the output of the debugger, from the innermost.
fn frames_of(output: &str, number: u32) -> Vec<String> {
    let wanted = format!("LWP {number})");
    let of_threads = output.lines();
    let lines =
        of_threads.skip_while(|line| !(line.starts_with("Thread ") && line.contains(&wanted)));
    let frames = lines.skip(1).take_while(|line| line.starts_with('#'));
    frames.map(str::to_owned).collect()
}

fn unread(pid: u32, errors: &str) -> Failure {
    let why = errors.lines().find(|line| line.contains("ptrace"));
    let why = why
        .or_else(|| errors.lines().next())
        .unwrap_or("it says nothing");
    Failure::operation(
        format!("{DEBUGGER} cannot read process {pid}: {}", clean(why)),
        "Run it as the user of the program; if the system allows only parents to debug, as root",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
[New LWP 18261]
[Thread debugging using libthread_db enabled]

Thread 2 (Thread 0x7f9 (LWP 18261) \"mill-0\"):
#0  0x00007f in clock_nanosleep () from /lib/libc.so.6
#1  0x000055 in mill::grind (...) at src/main.rs:12
(More stack frames follow...)

Thread 1 (Thread 0x7fa (LWP 1826) \"mill\"):
#0  0x00007f in futex_wait ()
[Inferior 1 (process 1826) detached]
";

    #[test]
    fn the_frames_are_those_of_the_thread() {
        let frames = frames_of(OUTPUT, 18_261);
        assert_eq!(frames.len(), 2, "{frames:?}");
        assert!(frames[1].contains("mill::grind"));
        // The number of one is the beginning of the other's.
        assert_eq!(frames_of(OUTPUT, 1_826), ["#0  0x00007f in futex_wait ()"]);
        assert!(frames_of(OUTPUT, 7).is_empty());
        assert!(frames_of("", 1).is_empty());
    }

    #[test]
    fn a_debugger_that_may_not_attach_is_told_with_what_it_says() {
        let errors = "warning: x\nptrace: Operation not permitted.\n";
        let line = unread(7, errors).line().expect("there is one");
        assert!(
            line.contains("process 7: ptrace: Operation not permitted."),
            "{line}"
        );
    }
}
