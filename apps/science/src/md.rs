//! The subcommand `md`, from its options to its exit status.

mod picture;
mod report;

use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use command::{Outcome, OutputFile, Progress, Stop, write_atomically};
use insula::CallError;
use insula::pool::Shutdown;
use science::fluid::{
    FluidState, FluidTally, FluidsCaller, Sample, Simulate, SimulationError, read_last_state,
    start_fluid_pool_of, write_frame,
};

use crate::cli::MdOptions;
use crate::{NAME, reading, unless};
use picture::Screen;

/// Does a whole run as `options` ask.
///
/// # Errors
/// Returns a message for the user if the run could not start, or broke off.
pub(crate) async fn run(options: &MdOptions, stop: &mut Stop) -> Result<Outcome, String> {
    if options.watch && !io::stdout().is_terminal() {
        return Err("--watch needs a terminal: standard output is none".to_owned());
    }
    let state = match options.from.clone() {
        Some(path) => match unless(stop, reading(move || read(&path))).await {
            Some(state) => Some(state?),
            None => return Ok(Outcome::Interrupted),
        },
        None => None,
    };
    let one = options.request(state);
    let most = one
        .grid()
        .map_err(|error| error.to_string())?
        .most_domains();
    let alone = match options.workers.compare {
        true => time_one_worker(options, &one, stop).await?,
        false => None,
    };
    if options.workers.compare && alone.is_none() {
        return Ok(Outcome::Interrupted);
    }
    let domains = options.workers.workers_up_to(most);
    let request = Simulate { domains, ..one };
    let mut results = Results::new(options, &request)?;
    let asked = results.asked();
    let elapsed = drive(options, &asked, stop, |sample| results.take(&sample)).await?;
    let Some(elapsed) = elapsed else {
        return Ok(Outcome::Interrupted);
    };
    let tally = results.end()?;
    if let Some(folder) = &options.out {
        write_plots(folder, &request, &tally)?;
    }
    let report = report::Report {
        request: &request,
        summary: &tally.summary(),
        elapsed,
        // Not below a nanosecond: the quotient would be infinite.
        speed_up: alone.map(|alone| alone.as_secs_f64() / elapsed.as_secs_f64().max(1e-9)),
    };
    // If the reader of the output is gone, the table is not needed.
    let _ = match (options.json, options.quiet) {
        (true, _) => writeln!(io::stdout().lock(), "{:#}", report.json()),
        (false, true) => Ok(()),
        (false, false) => write!(io::stdout().lock(), "{report}"),
    };
    Ok(Outcome::Done)
}

/// Reads the last state of a trajectory.
fn read(path: &Path) -> Result<FluidState, String> {
    let file =
        File::open(path).map_err(|error| format!("{}: cannot read: {error}", path.display()))?;
    read_last_state(BufReader::new(file)).map_err(|error| format!("{}, {error}", path.display()))
}

/// Runs the simulation on one domain, to time it, and keeps no result.
async fn time_one_worker(
    options: &MdOptions,
    request: &Simulate,
    stop: &mut Stop,
) -> Result<Option<Duration>, String> {
    let progress = progress(options, request, "one worker: ");
    let elapsed = drive(options, request, stop, |sample| {
        progress.set(sample.step);
        Ok(())
    })
    .await;
    progress.end();
    elapsed
}

fn progress(options: &MdOptions, request: &Simulate, title: &'static str) -> Progress {
    if options.quiet || options.watch {
        return Progress::hidden(NAME);
    }
    Progress::new(NAME, request.steps(), "steps", title)
}

/// The times that a simulation is begun. One that itself ends its workers ends too.
const ATTEMPTS: u32 = 3;

/// Runs a simulation and passes on its samples. If its worker ends, such as a process that is killed,
/// another one begins anew. Returns the time, or `None` if `stop` was ready before the end.
async fn drive(
    options: &MdOptions,
    request: &Simulate,
    stop: &mut Stop,
    mut on_sample: impl FnMut(Sample) -> Result<(), String>,
) -> Result<Option<Duration>, String> {
    let started = start_fluid_pool_of(&options.workers.kind);
    let Some(started) = unless(stop, started).await else {
        return Ok(None);
    };
    let started = started.map_err(|error| error.to_string())?;
    let caller: FluidsCaller = started.pool.caller();
    let start = Instant::now();
    let (mut passed_on, mut attempt) = (0, 1);
    let is_complete = loop {
        let mut number = 0;
        // The samples before have the same bits, and were passed on already.
        let on_new = |sample| {
            number += 1;
            if number <= passed_on {
                return Ok(());
            }
            passed_on = number;
            on_sample(sample)
        };
        match simulate(&caller, request, stop, on_new).await {
            Ok(is_complete) => break is_complete,
            Err(Broken::WorkerDied(_)) if attempt < ATTEMPTS => attempt += 1,
            Err(Broken::WorkerDied(message) | Broken::Else(message)) => return Err(message),
        }
    };
    let elapsed = start.elapsed();
    // So that the domains end before the program.
    let shutdown = Shutdown::graceful(LAST_STEPS);
    started.pool.shut_down(shutdown).await;
    started.end().await;
    Ok(is_complete.then_some(elapsed))
}

/// The time that domains have to end.
const LAST_STEPS: Duration = Duration::from_secs(1);

/// Why a simulation broke off, and the message for the user.
enum Broken {
    WorkerDied(String),
    Else(String),
}

impl<Q> From<CallError<SimulationError, Q>> for Broken {
    fn from(error: CallError<SimulationError, Q>) -> Self {
        match error {
            CallError::App(error) => Self::Else(error.to_string()),
            CallError::WorkerDied { .. } => Self::WorkerDied(with_outcome(&error)),
            error => Self::Else(with_outcome(&error)),
        }
    }
}

fn with_outcome<Q>(error: &CallError<SimulationError, Q>) -> String {
    format!("{error} ({})", error.outcome())
}

/// Runs a simulation once. Returns whether it has come to its end, before `stop` was ready.
async fn simulate(
    caller: &FluidsCaller,
    request: &Simulate,
    stop: &mut Stop,
    mut on_sample: impl FnMut(Sample) -> Result<(), String>,
) -> Result<bool, Broken> {
    let Some(samples) = unless(stop, caller.simulate(request.clone())).await else {
        return Ok(false);
    };
    // Dropping them ends the domains, if they run.
    let mut samples = samples?;
    loop {
        match unless(stop, samples.next()).await {
            None => return Ok(false),
            Some(Some(sample)) => on_sample(sample?).map_err(Broken::Else)?,
            Some(None) => return Ok(true),
        }
    }
}

/// Counts samples, writes the trajectory, and shows the progress.
struct Results<'a> {
    options: &'a MdOptions,
    /// With the frames of the trajectory.
    request: &'a Simulate,
    tally: FluidTally,
    /// The step of the sample before.
    last: u64,
    trajectory: Option<OutputFile>,
    progress: Progress,
    screen: Option<Screen>,
}

impl<'a> Results<'a> {
    fn new(options: &'a MdOptions, request: &'a Simulate) -> Result<Self, String> {
        let trajectory = match &options.out {
            Some(folder) => Some(
                OutputFile::create(&folder.join("trajectory.xyz"))
                    .map_err(|error| unwritten(folder, &error))?,
            ),
            None => None,
        };
        Ok(Self {
            options,
            request,
            tally: FluidTally::new(request),
            last: 0,
            trajectory,
            progress: progress(options, request, ""),
            screen: options.watch.then(|| Screen::new(request)),
        })
    }

    /// Returns what is asked of the worker: a frame with each sample if the particles are shown.
    fn asked(&self) -> Simulate {
        let frames = if self.screen.is_some() {
            1
        } else {
            self.request.frames
        };
        Simulate {
            frames,
            ..self.request.clone()
        }
    }

    fn take(&mut self, sample: &Sample) -> Result<(), String> {
        self.progress.set(sample.step);
        self.tally.add(sample);
        let before = std::mem::replace(&mut self.last, sample.step);
        let Some(frame) = &sample.frame else {
            return Ok(());
        };
        if let Some(screen) = &mut self.screen {
            screen.show(sample, frame);
        }
        if let (Some(file), Some(folder)) = (&mut self.trajectory, &self.options.out)
            && self.request.has_frame(before, sample.step)
        {
            let (length, time_step) = (self.request.length(), self.request.time_step);
            write_frame(file, sample, frame, length, time_step)
                .map_err(|error| unwritten(folder, &error))?;
        }
        Ok(())
    }

    fn end(self) -> Result<FluidTally, String> {
        self.progress.end();
        if let (Some(file), Some(folder)) = (self.trajectory, &self.options.out) {
            file.finish().map_err(|error| unwritten(folder, &error))?;
        }
        Ok(self.tally)
    }
}

fn unwritten(folder: &Path, error: &io::Error) -> String {
    format!("{}: cannot write the results: {error}", folder.display())
}

fn write_plots(folder: &Path, request: &Simulate, tally: &FluidTally) -> Result<(), String> {
    let plots = [
        ("energy.png", report::energy_plot(request, tally)),
        ("radial.png", report::radial_plot(request, tally)),
    ];
    for (name, plot) in plots {
        let bytes = plot.png().map_err(|error| error.to_string())?;
        write_atomically(&folder.join(name), &bytes).map_err(|error| unwritten(folder, &error))?;
    }
    Ok(())
}
