//! `data generate`.

use command::{Outcome, Progress};
use data::{Contents, Generator};
use insula::Isolate;

use crate::NAME;
use crate::cli::{self, Generate};
use crate::failure::Failure;
use crate::process::{UNWRITABLE, create, finish};

/// Writes made-up measurements.
///
/// # Errors
/// Returns a message for the user if the file cannot be written.
pub(crate) async fn run(options: &Generate) -> Result<Outcome, Failure> {
    let path = &options.out;
    let mut output = create(path, cli::format_of(path)?, Contents::Records)?;
    let mut generator = Generator::new(options.items, options.seed);
    let progress = Progress::new(NAME, options.items, "items", "");
    loop {
        // Elsewhere, so that a request to stop is seen between two chunks.
        let made = Isolate::run(move || (generator.next(), generator)).await;
        let items;
        (items, generator) = made.map_err(|error| error.to_string())?;
        let Some(items) = items else {
            break;
        };
        let written = output.write_items(&items);
        written.map_err(|error| Failure::file(path, UNWRITABLE, &error))?;
        progress.set(options.items - generator.left());
    }
    progress.end();
    finish(path, output)?;
    Ok(Outcome::Done)
}
