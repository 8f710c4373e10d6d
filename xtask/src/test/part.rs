//! Parts of what takes too long for one run: the day selects one, so that runs on many days do all.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Trouble;

/// Returns the part of this run, of so many; `None` for all of them. The variable of the environment
/// has the number of a part or 'all', and otherwise the day selects one.
///
/// # Errors
/// The variable has something else.
pub(super) fn of_run(variable: &str, parts: u64) -> Result<Option<u64>, Trouble> {
    let part = match std::env::var(variable).as_deref() {
        Err(_) => days_since_1970() % parts,
        Ok("all") => return Ok(None),
        Ok(text) => match text.parse() {
            Ok(part) if part < parts => part,
            _ => {
                let text =
                    format!("{variable} is '{text}': it is a number below {parts}, or 'all'");
                return Err(Trouble::Failed(text));
            }
        },
    };
    println!("part {part} of {parts} ({variable}=all runs all)");
    Ok(Some(part))
}

fn days_since_1970() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    time.map_or(0, |time| time.as_secs() / (24 * 60 * 60))
}
