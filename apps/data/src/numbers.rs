//! `data compute`.

use std::path::Path;
use std::sync::Arc;

use command::{Outcome, Started, Table, speed_up};
use data::{
    ComputeRequest, Computed, DataProcessorCaller, DataProcessorRequest, Items, start_pool_of,
};

use crate::cli::{CHUNKS, Compute};
use crate::failure::Failure;
use crate::pass::{Course, Sink, Task};
use crate::{print, reading};

/// Computes a named operation.
///
/// # Errors
/// Returns a message for the user if it cannot be computed.
pub(crate) async fn compute(options: &Compute) -> Result<Outcome, Failure> {
    let numbers = match &options.file {
        Some(path) => of_file(options, path).await?,
        None => given(options).await?,
    };
    let caller: DataProcessorCaller = numbers.started.pool.caller();
    let request = ComputeRequest {
        operation: options.operation,
        parameters: numbers.parameters,
    };
    let Computed {
        result,
        operation,
        parameters,
    } = caller.compute(request).await?;
    numbers.started.end().await;
    if options.json {
        print(serde_json::json!({
            "operation": operation.to_string(),
            "result": result,
            "parameters": parameters,
            "value_field": numbers.field,
            "speed_up": numbers.speed_up,
        }));
        return Ok(numbers.outcome);
    }
    print(result);
    if numbers.speed_up.is_some() {
        let mut table = Table::new();
        table.speed_up(numbers.speed_up);
        print(table.to_string().trim_end());
    }
    Ok(numbers.outcome)
}

/// The numbers of a computation, and the pool for it.
struct Numbers {
    parameters: Arc<[f64]>,
    started: Started<DataProcessorRequest>,
    /// The field that they are of, if they are of a table.
    field: Option<Arc<str>>,
    /// That of reading the table.
    speed_up: Option<f64>,
    outcome: Outcome,
}

async fn given(options: &Compute) -> Result<Numbers, Failure> {
    if options.workers.compare {
        let message = "--compare is about reading a table; name one with --file FILE";
        return Err(Failure(message.to_owned()));
    }
    // There is one call.
    let workers = options.workers.workers_up_to(1);
    Ok(Numbers {
        parameters: options.numbers.as_slice().into(),
        started: start_pool_of(&options.workers.kind, workers).await?,
        field: None,
        speed_up: None,
        outcome: Outcome::Done,
    })
}

async fn of_file(options: &Compute, path: &Path) -> Result<Numbers, Failure> {
    let task = Task {
        path,
        fields: &options.fields,
        steps: &[],
        chunks: CHUNKS,
        workers: &options.workers,
        is_quiet: false,
    };
    let alone = task.alone().await?;
    let Course {
        elapsed,
        started,
        layout,
        tally,
        items,
    } = task.run(Sink::Items(Items::default())).await?;
    if tally.failed() > 0 {
        let message = "the numbers are not complete, so nothing is computed";
        return Err(Failure(format!("{}: {message}", path.display())));
    }
    if !options.json {
        reading::report_field(path, &options.fields, &layout);
    }
    Ok(Numbers {
        parameters: items.values.into(),
        started,
        field: Some(Arc::clone(&layout.value.name)),
        speed_up: alone.map(|alone| speed_up(alone, elapsed)),
        outcome: match tally.bad().count {
            0 => Outcome::Done,
            _ => Outcome::SomeFailed,
        },
    })
}
