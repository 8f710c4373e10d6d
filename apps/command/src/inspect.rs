//! `--inspect`: shows what a program does while it runs.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use insula::inspect::{Inspector, Listen};

use crate::{Outcome, Stop};

/// The options of a program that can be inspected and ends with its work.
#[derive(Clone, Debug, Default, Args)]
pub struct InspectRunOptions {
    #[command(flatten)]
    inspect: InspectOptions,

    /// When the work is done, stay until Ctrl-C, so that it can be looked at
    #[arg(long, global = true, requires = "inspect", help_heading = "Inspection")]
    stay: bool,
}

/// The options of all programs that can be inspected.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Inspection")]
pub struct InspectOptions {
    /// Show what the program does, in a browser at the address that is printed and with `insula top`;
    /// ADDR is an address of this machine, or unix:PATH [default: a free port]
    #[arg(
        long,
        value_name = "ADDR",
        global = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "127.0.0.1:0",
        value_parser = listen
    )]
    inspect: Option<Listen>,

    /// Let those who inspect the program also pause, kill, drain and so on
    #[arg(long, global = true, requires = "inspect")]
    inspect_control: bool,
}

/// The inspector of a program that may have none. It ends when this is dropped.
#[derive(Debug, Default)]
#[must_use = "dropping it ends the inspector"]
pub struct Inspected {
    /// Kept for its drop.
    _inspector: Option<Inspector>,
    stays: bool,
}

impl InspectRunOptions {
    /// Like [`InspectOptions::start`].
    ///
    /// # Errors
    /// Returns a message for the user if it cannot listen.
    pub fn start(&self, name: &str) -> Result<Inspected, String> {
        let mut inspected = self.inspect.start(name)?;
        inspected.stays = self.stay;
        Ok(inspected)
    }
}

impl InspectOptions {
    /// Starts an inspector if one was asked for, and prints its address to standard error.
    ///
    /// # Errors
    /// Returns a message for the user if it cannot listen.
    pub fn start(&self, name: &str) -> Result<Inspected, String> {
        let Some(listen) = &self.inspect else {
            return Ok(Inspected::default());
        };
        let builder = Inspector::builder().name(name).listen(listen.clone());
        let builder = match self.inspect_control {
            true => builder.allow_control(),
            false => builder,
        };
        let inspector = builder.start();
        let inspector = inspector.map_err(|error| format!("cannot be inspected: {error}"))?;
        // For a person, who has nothing of it if standard error is closed.
        let mut out = io::stderr().lock();
        let _ = writeln!(out, "{name}: inspect at {}", inspector.address());
        if inspector.is_announced() {
            let _ = writeln!(out, "{name}: or with: insula top {}", std::process::id());
        }
        drop(out);
        Ok(Inspected {
            _inspector: Some(inspector),
            stays: false,
        })
    }
}

impl Inspected {
    /// Waits for the request to stop, if the program is to stay after its work and has not been
    /// stopped in it.
    pub async fn stay(&self, name: &str, outcome: Outcome, stop: &mut Stop) {
        if self.stays && outcome != Outcome::Interrupted {
            let _ = writeln!(io::stderr().lock(), "{name}: done, and stays until Ctrl-C");
            stop.await;
        }
    }
}

/// Reads `--inspect=ADDR`.
fn listen(text: &str) -> Result<Listen, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        if path.is_empty() {
            return Err("a path is missing after unix:".to_owned());
        }
        return Ok(Listen::Unix(PathBuf::from(path)));
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(Listen::Tcp(address)),
        Ok(_) => Err("only addresses of this machine, such as 127.0.0.1:9000".to_owned()),
        Err(_) => Err("expected an address such as 127.0.0.1:9000, or unix:PATH".to_owned()),
    }
}

#[cfg(test)]
mod tests;
