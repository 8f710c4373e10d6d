//! Scripts that complete commands, and pages of the manual.

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::Options;
use crate::failure::{Failure, Outcome};
use crate::output::print_bytes;

/// Prints the script of a shell.
pub(super) fn completions(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Options::command(), "insula", &mut script);
    print_bytes(&script)
}

/// Prints the page of a command, or that of the program.
pub(super) fn page(command: Option<&str>) -> Outcome {
    let mut all = Options::command();
    // Global options and whole names are known after this.
    all.build();
    let page = match command {
        None => Man::new(all),
        Some(name) => {
            let command = all.find_subcommand(name).ok_or_else(|| {
                Failure::usage(
                    format!("there is no command {name}"),
                    "List them with `insula --help`",
                )
            })?;
            Man::new(command.clone())
        }
    };
    let mut text = Vec::new();
    page.render(&mut text)
        .map_err(|error| Failure::operation(format!("cannot write the page: {error}"), ""))?;
    print_bytes(&text)
}
