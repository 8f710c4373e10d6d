//! The options for workers on other machines.

use std::path::PathBuf;

use clap::Args;

/// Above these options, wherever they stand among others.
const HEADING: &str = "Workers on other machines";

/// `--nats` and what belongs to it. The user and the password are in the variables `NATS_USER` and
/// `NATS_PASSWORD`, which no list of processes shows.
#[derive(Clone, Debug, Default, Args)]
pub struct Machines {
    /// NATS servers, with commas between: nats://host:4222 or tls://host:4222
    #[arg(long = "nats", value_name = "URLS", help_heading = HEADING)]
    pub(super) urls: Option<String>,

    /// A file of credentials for NATS; or set NATS_USER and NATS_PASSWORD
    #[arg(long = "nats-credentials", value_name = "FILE", help_heading = HEADING)]
    pub(super) credentials: Option<PathBuf>,

    /// The certificates of the authorities that are trusted for NATS
    #[arg(long = "nats-roots", value_name = "FILE", help_heading = HEADING)]
    pub(super) root_certificates: Option<PathBuf>,

    /// Allow a connection to another machine that all between can read
    #[arg(long = "nats-plain", help_heading = HEADING)]
    pub(super) allow_plain: bool,
}
