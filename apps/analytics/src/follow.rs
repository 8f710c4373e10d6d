//! `analytics stream`.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::time::{Duration, Instant};

use analytics::{
    Analysis, AnalyticsCaller, AnalyticsError, AnalyticsPool, DataPoint, Points, span,
    start_pool_of,
};
use command::{Outcome, Progress, Stop, Table};
use futures_util::future::{Either, select, try_join};
use insula::rpc::Sender;
use insula::runtime::blocking;
use insula::{CallError, Isolate};
use serde_json::{Value, json};

use crate::cli::Stream;
use crate::{NAME, print};

/// Where points come from.
type Input = Points<Box<dyn Read + Send>>;

/// Analyzes points as they come, until they end or `stop` is ready.
///
/// # Errors
/// Returns a message for the user if the points cannot be read or analyzed.
pub(crate) async fn run(options: &Stream, stop: &mut Stop) -> Result<Outcome, String> {
    let started = start_pool_of(&options.kind, 1)
        .await
        .map_err(|error| error.to_string())?;
    let mut seen = Seen::new(options);
    let start = Instant::now();
    let ended = {
        let work = pin!(follow(options, &started.pool, &mut seen));
        match select(stop, work).await {
            Either::Left(_) => None,
            Either::Right((ended, _)) => Some(ended?),
        }
    };
    seen.end(start.elapsed(), &started.pool);
    started.end().await;
    Ok(match ended {
        None => Outcome::Interrupted,
        Some(Sent { bad: 0 }) => Outcome::Done,
        Some(Sent { .. }) => Outcome::SomeFailed,
    })
}

/// What was read beside points.
struct Sent {
    bad: u64,
}

async fn follow(
    options: &Stream,
    pool: &AnalyticsPool,
    seen: &mut Seen<'_>,
) -> Result<Sent, String> {
    let input = open(options).await?;
    let caller: AnalyticsCaller = pool.caller();
    let (sender, call) = caller.realtime(options.config()).open();
    let answers = async {
        let mut answers = call.await.map_err(message)?;
        while let Some(analysis) = answers.next().await {
            // If nothing reads the output any more, the rest of the points is of no use.
            if seen.take(&analysis.map_err(message)?).is_err() {
                break;
            }
        }
        Ok(())
    };
    // The first error ends both: after the end of the worker, the next point may never come.
    let (sent, ()) = try_join(send(input, sender), answers).await?;
    Ok(sent)
}

fn message<Q>(error: CallError<AnalyticsError, Q>) -> String {
    error.without_request().to_string()
}

/// Opens the input in an isolate, since a socket may be waited for.
async fn open(options: &Stream) -> Result<Input, String> {
    let (connect, listen, format) = (options.connect, options.listen, options.format());
    let open = move || -> Result<Box<dyn Read + Send>, String> {
        if let Some(address) = connect {
            let socket = TcpStream::connect(address);
            return Ok(Box::new(
                socket.map_err(|error| format!("{address}: {error}"))?,
            ));
        }
        let Some(address) = listen else {
            return Ok(Box::new(io::stdin()));
        };
        let failed = |error: io::Error| format!("{address}: {error}");
        let listener = TcpListener::bind(address).map_err(failed)?;
        // The port may have been left to the system.
        let bound = listener.local_addr().map_err(failed)?;
        Progress::hidden(NAME).report(&format_args!("waiting for a connection to {bound}"));
        Ok(Box::new(listener.accept().map_err(failed)?.0))
    };
    let input = Isolate::run(move || blocking(open)).await;
    let input = input.map_err(|error| error.to_string())??;
    Ok(Points::new(input, format))
}

/// Sends points as long as they come.
///
/// A point waits until the worker has room for it, and no more points are read meanwhile, so that
/// their source waits too.
async fn send(mut input: Input, mut sender: Sender<DataPoint>) -> Result<Sent, String> {
    let mut bad = Named::new("lines have no point");
    loop {
        let read = Isolate::run(move || blocking(|| input.next_points().map(|it| (it, input))));
        let read = read.await.map_err(io::Error::other).and_then(|read| read);
        let points;
        (points, input) = match read {
            Ok(read) => read,
            Err(error) => {
                sender.abort("the points cannot be read");
                return Err(format!("cannot read: {error}"));
            }
        };
        let Some(points) = points else {
            sender.finish();
            bad.end();
            return Ok(Sent { bad: bad.count });
        };
        for point in points {
            match point {
                // If the call has ended, its answer says why.
                Ok(point) if sender.send(point).await.is_err() => {
                    return Ok(Sent { bad: bad.count });
                }
                Ok(_) => {}
                Err(error) => bad.report(&error),
            }
        }
    }
}

/// Lines or points that are wrong, of which only the first are named.
struct Named {
    count: u64,
    /// What the others are, in the plural.
    others: &'static str,
}

impl Named {
    const NAMED: u64 = 20;

    fn new(others: &'static str) -> Self {
        Self { count: 0, others }
    }

    fn report(&mut self, wrong: &dyn Display) {
        self.count += 1;
        if self.count <= Self::NAMED {
            Progress::hidden(NAME).report(&wrong);
        }
    }

    fn end(&self) {
        if self.count > Self::NAMED {
            let (more, others) = (self.count - Self::NAMED, self.others);
            Progress::hidden(NAME).report(&format_args!("{more} more {others}"));
        }
    }
}

/// Prints what is unusual, and counts.
struct Seen<'a> {
    options: &'a Stream,
    points: u64,
    late: u64,
    jumps: Named,
    anomalies: u64,
    /// The time of the point with which the trend was printed.
    last_trend: Option<f64>,
}

impl<'a> Seen<'a> {
    fn new(options: &'a Stream) -> Self {
        Self {
            options,
            points: 0,
            late: 0,
            jumps: Named::new("points are as far from those before them"),
            anomalies: 0,
            last_trend: None,
        }
    }

    /// # Errors
    /// Fails if nothing reads the output any more.
    fn take(&mut self, analysis: &Analysis) -> io::Result<()> {
        self.points += 1;
        self.late += u64::from(analysis.is_late);
        let window = self.options.config().window;
        if analysis.is_jump {
            self.jumps.report(&jump(analysis, window));
            return Ok(());
        }
        if analysis.anomaly.is_some() {
            self.anomalies += 1;
            self.print("anomaly", analysis, anomaly)?;
        }
        let last = match self.last_trend {
            // After a clock was set back, or a wrong time, the window has begun anew.
            Some(last) if analysis.is_late || analysis.time >= last => last,
            _ => analysis.time,
        };
        self.last_trend = Some(last);
        let every = self.options.trend_every().as_secs_f64();
        if analysis.trend.is_some() && analysis.time >= last + every {
            self.last_trend = Some(analysis.time);
            self.print("trend", analysis, |analysis| trend(analysis, window))?;
        }
        Ok(())
    }

    fn print(
        &self,
        kind: &str,
        analysis: &Analysis,
        text: impl Fn(&Analysis) -> String,
    ) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match self.options.json {
            false => writeln!(out, "{}", text(analysis)),
            true => {
                let mut line = json!({"kind": kind});
                if let (Value::Object(line), Ok(Value::Object(more))) =
                    (&mut line, serde_json::to_value(analysis))
                {
                    line.extend(more);
                }
                writeln!(out, "{line}")
            }
        }
    }

    fn end(&self, elapsed: Duration, pool: &AnalyticsPool) {
        self.jumps.end();
        let Self {
            points,
            late,
            anomalies,
            jumps: Named { count: jumps, .. },
            ..
        } = self;
        let rate = *points as f64 / elapsed.as_secs_f64().max(1e-9);
        if self.options.json {
            let seconds = elapsed.as_secs_f64();
            print(json!({
                "kind": "summary", "points": points, "anomalies": anomalies, "late": late,
                "jumps": jumps, "seconds": seconds, "points_per_second": rate,
            }));
            return;
        }
        if self.options.quiet {
            return;
        }
        let mut table = Table::new();
        table.row(
            "points",
            format_args!("{points} analyzed, {anomalies} unusual, {late} late"),
        );
        if *jumps > 0 {
            table.row(
                "jumps",
                format_args!("{jumps} points far from those before"),
            );
        }
        table.time(elapsed);
        table.row("rate", format_args!("{rate:.0} points/s"));
        table.traffic(&pool.stats());
        print(table.to_string().trim_end());
    }
}

fn anomaly(analysis: &Analysis) -> String {
    let score = analysis.anomaly.map_or(0.0, |it| it.score);
    let side = if score < 0.0 { "below" } else { "above" };
    let (time, value, count) = (moment(analysis.time), analysis.value, analysis.count);
    let mean = analysis.mean.unwrap_or_default();
    let score = score.abs();
    format!(
        "{time}: {value} is unusual, {score:.1} deviations {side} the mean {mean:.4} of {count} points"
    )
}

fn jump(analysis: &Analysis, window: Duration) -> String {
    let (time, value, window) = (
        moment(analysis.time),
        analysis.value,
        span(window.as_secs_f64()),
    );
    format!(
        "the point {value} at {time} is more than {window} from the point before it, and is left out \
         unless the next one is there too"
    )
}

fn trend(analysis: &Analysis, window: Duration) -> String {
    let (time, count) = (moment(analysis.time), analysis.count + 1);
    let (change, level) = match analysis.trend {
        Some(trend) => (trend.per_second * window.as_secs_f64(), trend.level),
        None => (0.0, 0.0),
    };
    let window = span(window.as_secs_f64());
    format!("{time}: trend {change:+.4} in {window}, now at {level:.4}, by {count} points")
}

/// Returns a time as a date, unless it seems to count from something else than 1970.
fn moment(time: f64) -> String {
    match time.abs() >= 1e8 {
        true => analytics::date(time),
        false => format!("{time} s"),
    }
}
