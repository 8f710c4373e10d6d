//! Records: files with a look at a program each second, as lines of JSON.
//!
//! The first line says what the file is. Each other line is a [`Look`], with the events since the
//! one before. A file that ends within a line is read up to there, since the recorder may have been
//! ended while it wrote.

#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use insula_inspect::model::{PROTOCOL, Version, Vm};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Outcome};
use crate::look::{Look, Part, Wanted};
use crate::output::unwritable;

/// The content of the member `format`.
const FORMAT: &str = "insula-record";

/// Changes with changes that old readers cannot read.
const VERSION: u32 = 1;

/// The longest line that is read. A look with 500 isolates and some pools has 300 kB.
const MAX_LINE: u64 = 16 << 20;

/// The largest file that is read, since all of it is kept in memory.
const MAX_FILE: u64 = 1 << 30;

/// The most isolates in a look.
const MAX_ISOLATES: u64 = 500;

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    protocol: Version,
    vm: Vm,
}

/// Writes a record.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    path: &'a Path,
    file: File,
    /// The number of the last event that was written.
    since: u64,
    samples: u64,
}

impl<'a> Writer<'a> {
    /// Creates the file, and writes its first line.
    ///
    /// # Errors
    /// Returns an error if the file is there and must not be replaced, or cannot be written.
    pub(crate) fn create(path: &'a Path, may_replace: bool, vm: Vm) -> Result<Self, Failure> {
        let mut options = OpenOptions::new();
        options.write(true);
        if may_replace {
            options.create(true).truncate(true);
        } else {
            options.create_new(true);
        }
        let file = options.open(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::operation(
                format!("{} is there", path.display()),
                "Choose another name, or replace it with --force",
            ),
            _ => Failure::file("create", path, &error),
        })?;
        let mut writer = Self {
            path,
            file,
            since: 0,
            samples: 0,
        };
        writer.line(&Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            protocol: PROTOCOL,
            vm,
        })?;
        Ok(writer)
    }

    /// Returns what the next look should ask for.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            parts: vec![
                Part::PoolDetails,
                Part::Isolates,
                Part::Waits,
                Part::Threads,
            ],
            sort: "-turnsTotal".to_owned(),
            limit: MAX_ISOLATES,
            since: self.since,
            ..Wanted::default()
        }
    }

    /// Writes a look.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub(crate) fn add(&mut self, mut look: Look) -> Outcome {
        // A server may tell the last known event again.
        let since = self.since;
        look.events.events.retain(|event| event.number > since);
        if let Some(last) = look.events.events.last() {
            self.since = last.number;
        }
        // The details have the rows of the table too, unless there were too many.
        let details = look.pool_details.as_ref().map_or(0, Vec::len);
        look.pools = look.pools.filter(|pools| pools.len() > details);
        self.line(&look)?;
        self.samples += 1;
        Ok(())
    }

    /// Returns the number of looks.
    pub(crate) fn looks(&self) -> u64 {
        self.samples
    }

    /// Writes a line at once, so that a recorder that is ended leaves whole lines.
    fn line<T: Serialize>(&mut self, value: &T) -> Outcome {
        let mut line = serde_json::to_vec(value).map_err(unwritable)?;
        line.push(b'\n');
        let written = self.file.write_all(&line);
        written.map_err(|error| Failure::file("write", self.path, &error))
    }
}

/// Reads a record.
///
/// # Errors
/// Returns an error if the file cannot be read, is no record, is too large, or has a line that
/// makes no sense.
pub(crate) fn read(path: &Path) -> Result<Vec<Look>, Failure> {
    let mut looks = Vec::new();
    each(path, |mut look| {
        // They were left out if the details have them.
        if let (None, Some(details)) = (&look.pools, &look.pool_details) {
            look.pools = Some(details.iter().map(|it| it.pool.clone()).collect());
        }
        looks.push(look);
        Ok(())
    })?;
    Ok(looks)
}

/// Reads a record, and passes each look to `take` as it is in the file.
///
/// # Errors
/// As [`read`], and returns an error of `take` at once.
pub(crate) fn each(path: &Path, take: impl FnMut(Look) -> Outcome) -> Outcome {
    let file = File::open(path).map_err(|error| Failure::file("read", path, &error))?;
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    if length > MAX_FILE {
        return Err(Failure::operation(
            format!("{} is larger than 1 GiB", path.display()),
            "Record a shorter time",
        ));
    }
    // A pipe has no length, and could go on for ever.
    each_of(BufReader::new(file.take(MAX_FILE)), path, take)
}

fn each_of(mut input: impl BufRead, path: &Path, mut take: impl FnMut(Look) -> Outcome) -> Outcome {
    let mut looks = 0;
    let header = next_line(&mut input, path)?;
    check(header.as_deref().unwrap_or_default(), path)?;
    while let Some(line) = next_line(&mut input, path)? {
        match serde_json::from_slice::<Look>(&line) {
            Ok(look) => take(look)?,
            Err(_) if !line.ends_with(b"\n") => break,
            Err(error) => {
                return Err(Failure::operation(
                    format!(
                        "line {} of {} makes no sense: {error}",
                        looks + 2,
                        path.display()
                    ),
                    "The file was changed or is damaged",
                ));
            }
        }
        looks += 1;
    }
    if looks == 0 {
        return Err(Failure::operation(
            format!("{} has no looks", path.display()),
            "Record for some seconds",
        ));
    }
    Ok(())
}

/// Returns the next line with its end, or `None` at the end of the file.
fn next_line(input: &mut impl BufRead, path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let mut line = Vec::new();
    let read = input.take(MAX_LINE).read_until(b'\n', &mut line);
    read.map_err(|error| Failure::file("read", path, &error))?;
    Ok((!line.is_empty()).then_some(line))
}

fn check(line: &[u8], path: &Path) -> Outcome {
    let no_record = || {
        Failure::operation(
            format!("{} is no record", path.display()),
            "Make one with `insula record`",
        )
    };
    let header: Header = serde_json::from_slice(line).map_err(|_| no_record())?;
    if header.format != FORMAT {
        return Err(no_record());
    }
    if header.version != VERSION || header.protocol.major != PROTOCOL.major {
        return Err(Failure::operation(
            format!("{} is a record of another version", path.display()),
            "Use the tool that has written it",
        ));
    }
    Ok(())
}
