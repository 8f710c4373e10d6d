//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::failure::EXIT_STATUS;

/// Shows what the isolates and pools of a running program do, and pauses, ends or resizes them.
#[derive(Debug, Parser)]
#[command(name = "insula", version, after_help = EXIT_STATUS, after_long_help = PROGRAM_HELP)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) global: Global,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const PROGRAM_HELP: &str = "\
PROGRAM is the name or the process number of a program that has announced its inspector, the address \
that the program has printed (in quotes, because of its #), or - to read the address from standard \
input, which keeps its token out of the list of processes. Without it, the only program that has \
announced itself is taken.

Exit status: 0 done, 1 the operation failed or its subject was not found, 2 wrong usage, 3 no \
program or no connection.";

/// The options of all commands.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// No colors, as with NO_COLOR in the environment
    #[arg(long, global = true)]
    no_color: bool,

    /// The longest time to wait for an answer
    #[arg(long, global = true, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

impl Global {
    /// Returns whether colors are wanted.
    pub(crate) fn has_color(&self) -> bool {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        !self.no_color && !refused
    }
}

/// The program to look at.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// A name, a process number, an address, or - for standard input
    #[arg(value_name = "PROGRAM")]
    pub(crate) program: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the programs that have announced an inspector
    Programs,
    /// Show a program on the whole screen, and act on what is selected
    Top(Top),
    /// List isolates
    Ps(Ps),
    /// List pools
    Pools(Target),
    /// List the threads of the pool of threads
    Threads(Target),
    /// List the mailboxes, at which threads wait for each other
    Mailboxes(Target),
    /// List who waits for whom, and cycles
    Waits(Target),
    /// Say why an isolate is alive and waits, or why a pool is slow
    Why(OnSubject),
    /// List what has happened
    Events(Follow),
    /// Print the calls of pools as they end
    Trace(Trace),
    /// Print everything as one JSON document
    Dump(Dump),
    /// Write what happens into a file, for replay
    Record(Record),
    /// Show the file of a record on the whole screen, or with --json print its looks, a line for each
    Replay(Replay),
    /// Look at all threads for a while, and list what they did
    Profile(Profile),
    /// Print the stack of a thread, for which gdb stops the program for a moment
    Stack(Stack),
    /// End an isolate at its next interrupt check
    Kill(Confirmed),
    /// Hold an isolate before its next event
    Pause(OnSubject),
    /// End the pause of an isolate
    Resume(OnSubject),
    /// Ask an isolate for a sign of life
    Ping(OnSubject),
    /// Let a pool finish its calls, and take no more
    Drain(Confirmed),
    /// Build the services of all workers of a pool anew
    Recycle(OnSubject),
    /// Change the number of workers of a pool
    Resize(Resize),
    /// Print a script that completes commands in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print a page of the manual
    Man {
        /// The command of the page; without it, the page of all
        command: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    #[command(flatten)]
    pub(crate) target: Target,

    /// The time between two looks
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) every: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Ps {
    #[command(flatten)]
    pub(crate) target: Target,

    /// The column to sort by; with - in front, the largest first
    #[arg(long, value_name = "COLUMN", default_value = "id", value_parser = sort, allow_hyphen_values = true)]
    pub(crate) sort: String,

    /// Only isolates with this part in their name or id, in capital or small letters
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,

    /// Only isolates in this state
    #[arg(long, value_enum)]
    pub(crate) state: Option<State>,

    /// The most isolates that are listed
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: u64,

    /// Ask the isolates for the number of their open ports, as --sort ports does
    #[arg(long)]
    pub(crate) ports: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum State {
    Idle,
    Runnable,
    Running,
    Paused,
    Ended,
}

impl State {
    /// Returns the word of the protocol.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Runnable => "runnable",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Ended => "ended",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct OnSubject {
    /// Its id, such as isolates/12, 12 or pools/1, or its whole name
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) subject: String,

    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Confirmed {
    #[command(flatten)]
    pub(crate) on: OnSubject,

    /// Ask no question; needed where no terminal is there to ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Resize {
    /// Its id, such as pools/1 or 1, or its whole name
    #[arg(value_name = "POOL", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) pool: String,

    /// The number of workers that it is to have
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) workers: u64,

    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Follow {
    #[command(flatten)]
    pub(crate) target: Target,

    /// Go on with events as they come, until the program ends
    #[arg(long, short)]
    pub(crate) follow: bool,

    /// Those of the flight recorder: the last events of each thread, with the turns that took long
    #[arg(long, conflicts_with = "follow")]
    pub(crate) recorded: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Trace {
    #[command(flatten)]
    pub(crate) target: Target,

    /// Only the calls of this pool: its id, such as pools/1, or its whole name
    #[arg(long, value_name = "POOL")]
    pub(crate) pool: Option<String>,

    /// Only the calls of this method, as Contract.method or method
    #[arg(long, value_name = "METHOD")]
    pub(crate) method: Option<String>,

    /// Only calls that took at least this from their submission to their end
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=86_400_000))]
    pub(crate) slower_than: Option<u64>,

    /// The time to trace [default: until the program ends, or Ctrl-C]
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) time: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Dump {
    #[command(flatten)]
    pub(crate) target: Target,

    /// With the details of each isolate, for which every isolate is asked
    #[arg(long)]
    pub(crate) details: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Record {
    /// The file to write; it must not be there
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) target: Target,

    /// The time to record [default: until the program ends, or Ctrl-C]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) seconds: Option<Duration>,

    /// Replace a file that is there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The file of a record
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Profile {
    #[command(flatten)]
    pub(crate) target: Target,

    /// The time to look
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(crate) seconds: u64,

    /// Print one line per stack, its frames with semicolons between, as tools for flame graphs read
    #[arg(long)]
    pub(crate) folded: bool,

    /// Write a profile for pprof into this file, which is replaced
    #[arg(long, value_name = "FILE", conflicts_with = "folded")]
    pub(crate) pprof: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Stack {
    /// A thread, such as threads/1, or the isolate that it runs: its id or its whole name
    #[arg(value_name = "ID")]
    pub(crate) subject: String,

    #[command(flatten)]
    pub(crate) target: Target,

    /// The most frames that are printed, from the innermost
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) frames: u64,
}

/// The columns by which isolates can be sorted.
pub(crate) const SORTS: [&str; 9] = [
    "name",
    "id",
    "state",
    "queued",
    "turnsTotal",
    "turnMs",
    "seenMs",
    "cpuTotalMs",
    "ports",
];

fn sort(text: &str) -> Result<String, String> {
    let column = text.strip_prefix('-').unwrap_or(text);
    if SORTS.contains(&column) {
        Ok(text.to_owned())
    } else {
        Err(format!("expected one of {}", SORTS.join(", ")))
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let expected = || "expected seconds from 0.1 to 86400".to_owned();
    let seconds: f64 = text.parse().map_err(|_| expected())?;
    // No range contains NaN, so this refuses it too.
    if (0.1..=86_400.0).contains(&seconds) {
        Duration::try_from_secs_f64(seconds).map_err(|_| expected())
    } else {
        Err(expected())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_has_no_contradictions() {
        Options::command().debug_assert();
    }

    #[test]
    fn seconds_have_bounds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["", "0", "-1", "NaN", "inf", "1e9", "1s"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
