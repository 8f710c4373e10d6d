//! The program of the guide's chapter on native callbacks.
//!
//! `cargo run -p insula-guide --bin callbacks`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

// ANCHOR: program
use std::error::Error;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use insula::callback::{BlockingCallback, CallbackError, ListenerCallback};
use insula::sync::WaitError;
use insula::{IsolateCell, one_shot, runtime};

/// Stands for a native library: it has a thread of its own, and knows nothing of isolates. It asks
/// for the width to which the picture is scaled, and reports its progress in percent.
fn decode(width: u32, ask: impl FnOnce(u32) -> Option<u32>, report: impl Fn(u32)) -> Option<u32> {
    let scaled = ask(width)?;
    for percent in [50, 100] {
        report(percent);
    }
    Some(scaled)
}

fn start_decoder(
    choose: BlockingCallback<u32, u32>,
    progress: ListenerCallback<u32>,
) -> JoinHandle<Option<u32>> {
    thread::spawn(move || {
        // The library's thread waits for this answer, but not for longer than ten seconds.
        let ask = move |width| choose.call_timeout(width, Duration::from_secs(10)).ok();
        // Fails only if the isolate has closed the callback, and then it needs no reports.
        let report = move |percent| {
            let _ = progress.call(percent);
        };
        decode(4000, ask, report)
    })
}

#[insula::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let (done, finished) = one_shot();
    let (reports, mut done) = (IsolateCell::new(Vec::new()), Some(done));
    let log = reports.clone();
    // Both run in this isolate, one call at a time, so what they use needs no lock.
    let choose = BlockingCallback::new(|width| {
        println!("a picture of {width} pixels");
        width / 8
    });
    let progress = ListenerCallback::new(move |percent| {
        log.with(|reports| reports.push(percent));
        if percent == 100
            && let Some(done) = done.take()
        {
            done.send(());
        }
    });

    let library = start_decoder(choose.clone(), progress.clone());
    // The isolate awaits, so its event loop runs the calls meanwhile.
    finished.await?;
    println!("reports: {:?}", reports.with(std::mem::take));
    let scaled = runtime::blocking(|| library.join());
    println!("scaled: {:?}", scaled.map_err(|_| "the library panicked")?);

    // The isolate cannot wait for itself.
    if let Err(error @ CallbackError::Wait(WaitError::Deadlock(_))) = choose.call(1) {
        println!("refused: {error}");
    }
    // After the close, callers get an error, and the isolate may end.
    choose.close();
    progress.close();
    if let Err(error) = choose.call(1) {
        println!("refused: {error}");
    }
    Ok(())
}
// ANCHOR_END: program
