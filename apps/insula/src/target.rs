//! The choice of the program and of what is acted on in it.

use std::io::{self, BufRead, Read};

use insula_inspect::announce::{Announcement, announced};
use insula_inspect::client::{Address, Client};
use insula_inspect::model::{Isolates, Pool};
use serde_json::json;

use crate::cli::{Global, Target};
use crate::failure::Failure;
use crate::look::{Subject, pools};
use crate::text::clean;

#[cfg(test)]
mod tests;

/// The longest address that is read from standard input.
const MAX_ADDRESS: u64 = 4_096;

/// The most ids that an error lists.
const MAX_LISTED: usize = 8;

const NO_PROGRAM: &str = "Start a program with its inspector, or give the address that it prints";

/// Connects to the program that the command line names.
///
/// # Errors
/// Returns an error if there is no such program, if several fit, or if it cannot be reached.
pub(crate) fn connect(target: &Target, global: &Global) -> Result<Client, Failure> {
    let address = address(target.program.as_deref())?;
    Ok(Client::connect(&address, global.timeout)?)
}

fn address(program: Option<&str>) -> Result<Address, Failure> {
    match program {
        Some("") => Err(Failure::usage(
            "PROGRAM is empty",
            "Give a name or a process number of `insula programs`, or leave it out",
        )),
        Some("-") => Ok(Address::parse(&read_address()?)?),
        Some(text) if text.contains("://") || text.starts_with("unix:") => {
            Ok(Address::parse(text)?)
        }
        program => {
            let found = announced().map_err(|error| {
                Failure::connection(
                    format!("cannot read the announcements of programs: {error}"),
                    "Give the address that the program prints",
                )
            })?;
            let announcement = choose(&found, program)?;
            Address::parse(&announcement.address).map_err(|error| {
                Failure::connection(
                    format!("{} has announced no address: {error}", name(announcement)),
                    "",
                )
            })
        }
    }
}

fn read_address() -> Result<String, Failure> {
    let mut line = String::new();
    let mut input = io::stdin().lock().take(MAX_ADDRESS);
    input
        .read_line(&mut line)
        .map_err(|error| Failure::usage(format!("cannot read the address: {error}"), ""))?;
    Ok(line)
}

/// Returns the announcement of a name or a process number, or the only one.
fn choose<'a>(
    found: &'a [Announcement],
    program: Option<&str>,
) -> Result<&'a Announcement, Failure> {
    let fits: Vec<_> = match program {
        Some(text) => {
            let pid: Option<u32> = text.parse().ok();
            let is_it = |it: &&Announcement| it.name == text || Some(it.pid) == pid;
            found.iter().filter(is_it).collect()
        }
        None => found.iter().collect(),
    };
    match (fits.as_slice(), program) {
        ([one], _) => Ok(one),
        ([], Some(text)) if found.is_empty() => Err(Failure::connection(
            format!("there is no program {text}, and none has announced itself"),
            NO_PROGRAM,
        )),
        ([], Some(text)) => Err(Failure::connection(
            format!("there is no program {text}"),
            format!(
                "Choose one of these: {}",
                listed(&found.iter().collect::<Vec<_>>())
            ),
        )),
        ([], None) => Err(Failure::connection(
            "no program has announced itself",
            NO_PROGRAM,
        )),
        (several, _) => Err(Failure::connection(
            format!("{} programs fit", several.len()),
            format!("Choose one by its number: {}", listed(several)),
        )),
    }
}

fn listed(programs: &[&Announcement]) -> String {
    let programs = programs.iter().take(MAX_LISTED);
    let names: Vec<_> = programs.map(|program| name(program)).collect();
    names.join(", ")
}

fn name(announcement: &Announcement) -> String {
    format!("{} ({})", announcement.pid, clean(&announcement.name))
}

/// Returns the isolate or the pool of an id or a name.
///
/// # Errors
/// Returns an error if there is none, or if several isolates and pools have the name.
pub(crate) fn find(client: &mut Client, text: &str) -> Result<Subject, Failure> {
    if is_number(text) {
        return Ok(Subject::Isolate(format!("isolates/{text}")));
    }
    if let Some(subject) = of_id(text) {
        return Ok(subject);
    }
    let mut ids = named_isolates(client, text)?;
    ids.extend(named_pools(client, text)?);
    only(text, ids).map(|id| of_id(&id).unwrap_or(Subject::Isolate(id)))
}

/// Returns the id of an isolate of an id or a name.
///
/// # Errors
/// As [`find`].
pub(crate) fn find_isolate(client: &mut Client, text: &str) -> Result<String, Failure> {
    if is_number(text) {
        return Ok(format!("isolates/{text}"));
    }
    match of_id(text) {
        Some(Subject::Isolate(id)) => Ok(id),
        Some(Subject::Pool(id)) => Err(Failure::usage(
            format!("{id} is a pool, and this command is for isolates"),
            "List them with `insula ps`",
        )),
        None => {
            let ids = named_isolates(client, text)?;
            only(text, ids)
        }
    }
}

/// Returns the pool of an id or a name.
///
/// # Errors
/// As [`find`].
pub(crate) fn find_pool(client: &mut Client, text: &str) -> Result<Pool, Failure> {
    if let Some(Subject::Isolate(id)) = of_id(text) {
        return Err(Failure::usage(
            format!("{id} is an isolate, and this command is for pools"),
            "List them with `insula pools`",
        ));
    }
    let id = match is_number(text) {
        true => format!("pools/{text}"),
        false => text.to_owned(),
    };
    let pools = pools(client)?;
    let fits = pools
        .iter()
        .filter(|pool| pool.id == id || pool.name == text);
    let ids = fits.map(|pool| pool.id.clone()).collect();
    let id = only(text, ids)?;
    let pool = pools.into_iter().find(|pool| pool.id == id);
    pool.ok_or_else(|| unknown(text))
}

fn is_number(text: &str) -> bool {
    text.parse::<u64>().is_ok() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn of_id(text: &str) -> Option<Subject> {
    let (kind, number) = text.split_once('/')?;
    match kind {
        "isolates" if is_number(number) => Some(Subject::Isolate(text.to_owned())),
        "pools" if is_number(number) => Some(Subject::Pool(text.to_owned())),
        _ => None,
    }
}

fn named_isolates(client: &mut Client, name: &str) -> Result<Vec<String>, Failure> {
    // The filter of the server finds parts of names too, so the whole ones are chosen here.
    let params = json!({ "filter": name, "limit": 1_000 });
    let isolates: Isolates = client.call("getIsolates", params)?;
    let fits = isolates.isolates.into_iter().filter(|it| it.name == name);
    Ok(fits.map(|isolate| isolate.id).collect())
}

fn named_pools(client: &mut Client, name: &str) -> Result<Vec<String>, Failure> {
    let fits = pools(client)?.into_iter().filter(|it| it.name == name);
    Ok(fits.map(|pool| pool.id).collect())
}

fn only(name: &str, mut ids: Vec<String>) -> Result<String, Failure> {
    match ids.len() {
        0 => Err(unknown(name)),
        1 => Ok(ids.remove(0)),
        several => {
            ids.truncate(MAX_LISTED);
            Err(Failure::operation(
                format!("{several} have the name {name}"),
                format!("Choose one by its id: {}", ids.join(", ")),
            ))
        }
    }
}

fn unknown(name: &str) -> Failure {
    if name.strip_prefix("ports/").is_some_and(is_number) {
        return Failure::operation(
            format!("{name} is a port"),
            "Give the isolate that has it: `insula dump --details` lists the ports of each",
        );
    }
    Failure::operation(
        format!("there is nothing with the name or id {name}"),
        "List what there is with `insula ps` and `insula pools`",
    )
}
