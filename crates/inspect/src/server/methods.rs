//! The methods of the protocol: reads their parameters, and writes their results as JSON.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::model::IsolateState;
use crate::program::{Column, Failure, Program, Query, Tracer, Wanted};

/// Rows of a table in one answer.
const ROWS: u64 = 1_000;

/// Samples in one answer.
const SAMPLES: u64 = 600;

/// Events of the flight recorder in one answer.
const RECORDED: u64 = 10_000;

/// Milliseconds of the slowest calls that can be asked for: a day.
const LONGEST: u64 = 86_400_000;

/// Seconds of a profile.
const PROFILE: u64 = 60;

/// An error of the protocol.
pub(super) struct Fault {
    pub(super) code: i32,
    pub(super) message: String,
}

impl Fault {
    fn new(code: i32, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }

    pub(super) fn parse(message: &str) -> Self {
        Self::new(-32700, message)
    }

    pub(super) fn busy() -> Self {
        Self::new(
            112,
            "there are 8 clients already: close another page or tool",
        )
    }

    pub(super) fn request(message: &str) -> Self {
        Self::new(-32600, message)
    }

    pub(super) fn params(message: &str) -> Self {
        Self::new(-32602, message)
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Missing(text) => Self::new(105, text),
            Failure::Failed(text) => Self::new(111, text),
        }
    }
}

/// The parameters of a call.
struct Params<'a>(&'a Value);

impl Params<'_> {
    fn text(&self, name: &str) -> Result<&str, Fault> {
        let value = self.optional_text(name)?;
        value.ok_or_else(|| Fault::params(&format!("`{name}` is missing")))
    }

    fn optional_text(&self, name: &str) -> Result<Option<&str>, Fault> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Fault::params(&format!("`{name}` must be a text"))),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, Fault> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(Fault::params(&format!("`{name}` must be true or false"))),
        }
    }

    /// Returns a number of at most `most`, or `usual` if it is not given.
    fn number(&self, name: &str, usual: u64, most: u64) -> Result<u64, Fault> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(usual),
            Some(value) => match value.as_u64() {
                Some(number) if number <= most => Ok(number),
                _ => {
                    let text = format!("`{name}` must be a whole number from 0 to {most}");
                    Err(Fault::params(&text))
                }
            },
        }
    }
}

/// Calls a method that is not about the session itself.
pub(super) fn call(
    program: &Program,
    can_control: bool,
    method: &str,
    params: &Value,
    is_over: impl Fn() -> bool,
) -> Result<Value, Fault> {
    if !params.is_null() && !params.is_object() {
        return Err(Fault::params("`params` must be an object"));
    }
    let params = Params(params);
    match method {
        "getVersion" => Ok(json!(Program::version())),
        "getVM" => Ok(json!(program.vm(can_control))),
        "getIsolates" => Ok(json!(program.isolates(&query(&params)?))),
        "getIsolate" => result(program.isolate(params.text("isolateId")?)),
        "getPorts" => result(program.ports(params.text("isolateId")?)),
        "getThreads" => Ok(json!(program.threads())),
        "getMailboxes" => Ok(json!(Program::mailboxes())),
        "getWaits" => Ok(json!(program.waits())),
        "getPools" => Ok(json!(program.pools())),
        "getPool" => result(program.pool(params.text("poolId")?)),
        "getHistory" => {
            let limit = params.number("limit", SAMPLES, SAMPLES)?;
            Ok(json!(program.history(limit as usize)))
        }
        "getEvents" => {
            let since = params.number("since", 0, u64::MAX)?;
            let limit = params.number("limit", ROWS, ROWS)?;
            Ok(json!(program.events(since, limit as usize)))
        }
        "getRecording" => {
            let limit = params.number("limit", RECORDED, RECORDED)?;
            Ok(json!(program.recording(limit as usize)))
        }
        "profile" => {
            let seconds = params.number("seconds", 5, PROFILE)?;
            let time = Duration::from_secs(seconds);
            Ok(json!(program.profile(time, is_over)))
        }
        _ => control(program, can_control, method, &params),
    }
}

/// Begins a trace of calls.
pub(super) fn tracer(params: &Value) -> Result<Tracer, Fault> {
    let params = Params(params);
    let text = |name| params.optional_text(name);
    let slower_than = params.number("slowerThanMs", 0, LONGEST)?;
    Ok(Program::tracer(Wanted {
        pool: text("poolId")?.map(str::to_owned),
        method: text("method")?.map(str::to_owned),
        slower_than: Duration::from_millis(slower_than),
    })?)
}

/// Calls a method that changes something.
fn control(
    program: &Program,
    can_control: bool,
    method: &str,
    params: &Params<'_>,
) -> Result<Value, Fault> {
    const METHODS: [&str; 7] = [
        "pause", "resume", "kill", "ping", "drain", "resize", "recycle",
    ];
    if !METHODS.contains(&method) {
        return Err(Fault::new(-32601, "there is no such method"));
    }
    if !can_control {
        let text = "this inspector is for reading only: start the program with control allowed";
        return Err(Fault::new(110, text));
    }
    match method {
        "pause" => result(program.pause(params.text("isolateId")?)),
        "resume" => result(program.resume(params.text("isolateId")?)),
        "kill" => result(program.kill(params.text("isolateId")?)),
        "ping" => result(program.ping(params.text("isolateId")?)),
        "drain" => result(program.drain(params.text("poolId")?)),
        "recycle" => result(program.recycle(params.text("poolId")?)),
        _ => {
            let pool = params.text("poolId")?;
            if params.0.get("workers").is_none() {
                return Err(Fault::params("`workers` is missing"));
            }
            let workers = params.number("workers", 0, u64::from(u32::MAX))?;
            result(program.resize(pool, workers as usize))
        }
    }
}

fn result<T: Serialize>(result: Result<T, Failure>) -> Result<Value, Fault> {
    Ok(json!(result?))
}

fn query(params: &Params<'_>) -> Result<Query, Fault> {
    let sort = params.optional_text("sort")?.unwrap_or("id");
    let (name, descends) = match sort.strip_prefix('-') {
        Some(name) => (name, true),
        None => (sort, false),
    };
    let sort = Column::named(name)
        .ok_or_else(|| Fault::params(&format!("`sort` names no column: '{name}'")))?;
    let state = params.0.get("state").filter(|state| !state.is_null());
    let state = state.map(|state| serde_json::from_value::<IsolateState>(state.clone()));
    let state = state
        .transpose()
        .map_err(|_| Fault::params("`state` must be idle, runnable, running, paused or ended"))?;
    Ok(Query {
        sort,
        descends,
        filter: params.optional_text("filter")?.unwrap_or("").to_lowercase(),
        state,
        ports: params.flag("ports")?,
        offset: params.number("offset", 0, u64::from(u32::MAX))? as usize,
        limit: params.number("limit", 100, ROWS)? as usize,
    })
}
