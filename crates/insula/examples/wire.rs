//! A contract whose calls can be written as bytes: a service behind a wire, and the schema by which
//! two programs compare what they know of it.
//!
//! A program that does this has `insula = { version = "0.1", features = ["wire"] }` and `serde`, with
//! its feature `derive`, in its Cargo.toml.
//!
//! `cargo run -p insula --example wire`
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::io::{self, Write};

use futures_util::{Stream, StreamExt, stream};
use insula::rpc::Respond;
use insula::rpc::wire::{self, WireContract};
use insula::{Context, Inbound, Isolate, contract, serve};
use serde::{Deserialize, Serialize};

/// Its schema is in `docs/contracts/weather.txt`, with which a test compares it.
#[contract(name = "weather", version = 1, wire)]
pub(crate) trait Weather {
    /// Returns the coldest of some readings.
    #[idempotent]
    async fn coldest(&self, cx: &Context, readings: Vec<Reading>) -> Result<Reading, NoReading>;

    /// Answers each reading with the change since the one before.
    async fn changes(
        &self,
        cx: &Context,
        readings: Inbound<Reading>,
    ) -> Result<impl Stream<Item = Result<i16, NoReading>>, NoReading>;
}

/// A temperature in tenths of a degree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reading {
    station: String,
    tenths: i16,
}

/// There was nothing to answer with.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NoReading;

impl fmt::Display for NoReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no reading")
    }
}

impl Error for NoReading {}

struct Office;

impl Weather for Office {
    async fn coldest(&self, _cx: &Context, readings: Vec<Reading>) -> Result<Reading, NoReading> {
        let coldest = readings.into_iter().min_by_key(|reading| reading.tenths);
        coldest.ok_or(NoReading)
    }

    async fn changes(
        &self,
        _cx: &Context,
        readings: Inbound<Reading>,
    ) -> Result<impl Stream<Item = Result<i16, NoReading>>, NoReading> {
        let mut last = None;
        Ok(readings.map(move |reading| {
            let tenths = reading.map_err(|_aborted| NoReading)?.tenths;
            Ok(tenths - last.replace(tenths).unwrap_or(tenths))
        }))
    }
}

fn reading(station: &str, tenths: i16) -> Reading {
    let station = station.to_owned();
    Reading { station, tenths }
}

/// A test keeps its bytes.
pub(crate) fn sample() -> Reading {
    reading("K2", -402)
}

/// Calls the service over a wire, and writes the answers and the schema.
pub(crate) async fn run(out: &mut impl Write) -> Result<(), Box<dyn Error + Send + Sync>> {
    let port = Isolate::spawn_with_port(|port| serve(port, WeatherResponder::new(Office)));
    // Each request, answer and item becomes bytes and a value again. In another program it would
    // come out of those bytes.
    let caller = WeatherCaller::over(wire::loopback(port));

    let readings = vec![reading("Rome", 151), sample()];
    let coldest = caller.coldest(readings).detailed().await?;
    writeln!(out, "the coldest is {}", coldest.value.station)?;
    writeln!(out, "{} bytes were copied", coldest.traffic.bytes_copied)?;
    match caller.coldest(Vec::new()).await {
        Ok(reading) => writeln!(out, "the coldest is {}", reading.station)?,
        Err(error) => writeln!(out, "{error} ({})", error.outcome())?,
    }

    let (sender, call) = caller.changes().open();
    let day = [-20, 15, 60, 40].map(|tenths| reading("Rome", tenths));
    let mut changes = call.await?;
    let (sent, ()) = futures_util::future::join(sender.send_all(stream::iter(day)), async {
        while let Some(Ok(change)) = changes.next().await {
            // It fails only if nothing reads what this program writes.
            let _ = write!(out, "{change:+} ");
        }
    })
    .await;
    sent?;

    writeln!(out, "\n\n{}", WeatherRequest::SCHEMA)?;
    writeln!(out, "its hash is {:#018x}", WeatherRequest::SCHEMA_HASH)?;
    Ok(())
}

#[insula::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    run(&mut io::stdout()).await
}
