//! Orders from the command line.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use insula_inspect::client::{Client, ClientError};
use insula_inspect::model::{Done, Vm};
use serde_json::json;

use crate::cli::{Confirmed, Global, OnSubject, Resize};
use crate::failure::{Failure, Outcome};
use crate::order::{Order, Verb};
use crate::output::{print, print_json};
use crate::target::{connect, find_isolate, find_pool};
use crate::text::clean;

/// The longest answer to a question that is read.
const MAX_ANSWER: u64 = 100;

/// Carries out an order that can be taken back.
pub(super) fn at_once(verb: Verb, on: &OnSubject, global: &Global) -> Outcome {
    let mut client = connect(&on.target, global)?;
    let order = order(&mut client, verb, &on.subject)?;
    carry(&mut client, &order, global)
}

/// Carries out an order that cannot be taken back: after a question, or with `--yes`.
pub(super) fn confirmed(verb: Verb, confirmed: &Confirmed, global: &Global) -> Outcome {
    let Confirmed { on, yes } = confirmed;
    let mut client = connect(&on.target, global)?;
    let order = order(&mut client, verb, &on.subject)?;
    // Before the question: a program that only shows would refuse the order.
    let vm: Vm = client.call("getVM", json!({}))?;
    if !vm.can_control {
        return Err(ClientError::ReadOnly.into());
    }
    // The address may come from standard input, which then has no answer.
    let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !yes && !can_ask {
        let what = format!(
            "{} cannot be taken back, and no terminal is there to ask",
            verb.method()
        );
        return Err(Failure::usage(what, "Give it --yes"));
    }
    if !yes && !is_confirmed(&order.question(Some(&on.subject)))? {
        return Err(Failure::operation("nothing was done", ""));
    }
    carry(&mut client, &order, global)
}

/// Changes the number of workers of a pool.
pub(super) fn resize(options: &Resize, global: &Global) -> Outcome {
    let mut client = connect(&options.target, global)?;
    let workers = options.workers;
    let order = order(&mut client, Verb::Resize { workers }, &options.pool)?;
    carry(&mut client, &order, global)
}

fn order(client: &mut Client, verb: Verb, subject: &str) -> Result<Order, Failure> {
    let id = if verb.is_of_pools() {
        find_pool(client, subject)?.id
    } else {
        find_isolate(client, subject)?
    };
    Ok(Order { verb, id })
}

fn carry(client: &mut Client, order: &Order, global: &Global) -> Outcome {
    let done: Done = client.call(order.verb.method(), order.params())?;
    if global.json {
        print_json(&done)
    } else if done.text.is_empty() {
        Ok(())
    } else {
        print(&(clean(&done.text) + "\n"))
    }
}

fn is_confirmed(question: &str) -> Result<bool, Failure> {
    let mut answer = String::new();
    // The question is not part of the output, which may go to a file.
    let mut screen = io::stderr().lock();
    let asked = write!(screen, "{question} [y/N] ").and_then(|()| screen.flush());
    let mut input = io::stdin().lock().take(MAX_ANSWER);
    let read = asked.and_then(|()| input.read_line(&mut answer));
    read.map_err(|error| Failure::operation(format!("cannot ask: {error}"), "Use --yes"))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
