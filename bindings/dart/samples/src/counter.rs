//! A service that is written in Rust alone, as most programs would write theirs.

use insula_dart::{Items, ServiceSettings, Value, open_service};

/// Opens the service `counter`, and returns 0 or the code of a status. Dart looks this function
/// up, calls it once, and finds the service by its name.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_sample_counter_open() -> i32 {
    let settings = ServiceSettings {
        name: Some("counter".to_owned()),
        workers: Some(1),
        ..ServiceSettings::default()
    };
    match open_service(settings, serve) {
        Ok(_) => 0,
        Err(failure) => failure.status().code(),
    }
}

/// Called as a stream, counts to the number that it is given; otherwise answers with its square.
fn serve(request: Value) -> Result<Value, String> {
    match Items::of(request) {
        Ok((items, Value::Int64(count))) => {
            for number in 0..count {
                // Waits while the program is not ready for more.
                if items.send(Value::Int64(number)).is_err() {
                    break;
                }
            }
            Ok(Value::Null)
        }
        Err(Value::Int64(number)) => match number.checked_mul(number) {
            Some(square) => Ok(Value::Int64(square)),
            None => Err(format!("the square of {number} has more than 64 bits")),
        },
        _ => Err("the counter wants a number".to_owned()),
    }
}
