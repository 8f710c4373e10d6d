//! The commands, each from the connection to what it prints.

mod control;
mod events;
mod lists;
mod manual;
mod profile;
mod records;
mod stack;
mod subject;
mod trace;

use crate::cli::{Command, Global, Options, Top};
use crate::failure::Outcome;
use crate::order::Verb;
use crate::target::connect;
use crate::top;
use crate::top::view::Palette;

/// Carries out a command.
///
/// # Errors
/// Returns the reason if it was not.
pub(crate) fn run(options: Options) -> Outcome {
    let Options { global, command } = options;
    match command {
        Command::Programs => lists::programs(&global),
        Command::Top(options) => top(&options, &global),
        Command::Ps(options) => lists::isolates(&options, &global),
        Command::Pools(target) => lists::pools(&target, &global),
        Command::Threads(target) => lists::threads(&target, &global),
        Command::Mailboxes(target) => lists::mailboxes(&target, &global),
        Command::Waits(target) => lists::waits(&target, &global),
        Command::Why(on) => subject::why(&on, &global),
        Command::Events(options) => events::run(&options, &global),
        Command::Trace(options) => trace::run(&options, &global),
        Command::Dump(options) => records::dump(&options, &global),
        Command::Record(options) => records::record(&options, &global),
        Command::Replay(options) if global.json => records::looks(&options),
        Command::Replay(options) => {
            let looks = crate::record::read(&options.file)?;
            top::replay(looks, palette(&global))
        }
        Command::Profile(options) => profile::run(&options, &global),
        Command::Stack(options) => stack::run(&options, &global),
        Command::Kill(confirmed) => control::confirmed(Verb::Kill, &confirmed, &global),
        Command::Drain(confirmed) => control::confirmed(Verb::Drain, &confirmed, &global),
        Command::Pause(on) => control::at_once(Verb::Pause, &on, &global),
        Command::Resume(on) => control::at_once(Verb::Resume, &on, &global),
        Command::Ping(on) => control::at_once(Verb::Ping, &on, &global),
        Command::Recycle(on) => control::at_once(Verb::Recycle, &on, &global),
        Command::Resize(options) => control::resize(&options, &global),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { command } => manual::page(command.as_deref()),
    }
}

fn top(options: &Top, global: &Global) -> Outcome {
    let client = connect(&options.target, global)?;
    top::run(client, options.every, palette(global))
}

fn palette(global: &Global) -> Palette {
    Palette {
        has_color: global.has_color(),
    }
}
