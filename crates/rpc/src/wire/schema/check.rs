//! A test that compares a contract with the file of its last version.

use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::{Break, Schema};
use crate::wire::WireContract;

/// The variable that has the file written.
const VARIABLE: &str = "INSULA_SCHEMA";

/// The first lines of a file, which are comments.
const HEADING: &str = "\
# The schema of a contract. A test compares it with the code; INSULA_SCHEMA=write, in the environment
# of that test, writes it again.
";

/// Compares a contract with the schema in a file, and says what breaks. For tests; `C` is the
/// request enum of the contract.
///
/// A relative path begins at the folder of the package whose tests run. The file belongs into
/// version control, so that a review sees each change of the contract.
///
/// ```no_run
/// # mod meter {
/// # use insula_rpc::{Context, contract};
/// # #[contract(wire, crate = insula_rpc)]
/// # pub trait Meter {
/// #     async fn read(&self, cx: &Context) -> Result<f64, ()>;
/// # }
/// # }
/// # use meter::MeterRequest;
/// #[test]
/// fn the_contract_is_the_one_of_the_file() {
///     insula_rpc::wire::check_schema::<MeterRequest>("contracts/meter.txt");
/// }
/// # fn main() {}
/// ```
///
/// With `INSULA_SCHEMA=write` in the environment, the file is written, if the change is allowed: it
/// breaks nothing, or the version was raised. What breaks is listed at [`Break`].
///
/// # Panics
/// - The contract has a change that breaks something, and its version was not raised. The text names
///   each such change.
/// - The contract differs from the file in another way, or there is no such file, and the variable
///   is not set. The text says how the file is written.
/// - The file cannot be read or written, or is no schema.
#[track_caller]
pub fn check_schema<C: WireContract>(path: impl AsRef<Path>) {
    let writes = match std::env::var(VARIABLE) {
        Ok(value) if value == "write" => Writes::Yes,
        Ok(value) => panic!("{VARIABLE} may be `write`, and is `{value}`"),
        Err(_) => Writes::No,
    };
    if let Err(text) = check(C::SCHEMA, path.as_ref(), writes) {
        panic!("{text}");
    }
}

/// Says whether the file may be written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::wire) enum Writes {
    Yes,
    No,
}

/// # Errors
/// Says what is wrong, and what to do.
pub(in crate::wire) fn check(schema: &Schema, path: &Path, writes: Writes) -> Result<(), String> {
    let shown = path.display();
    let text = match fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(format!("{shown} cannot be read: {error}")),
    };
    let name = schema.name();
    let change = match text {
        None => format!("there is no schema of `{name}` at {shown}"),
        Some(text) => {
            let old: Schema = text
                .parse()
                .map_err(|error| format!("{shown} is no schema: {error}"))?;
            if old.to_string() == schema.to_string() {
                return Ok(());
            }
            let breaks = Schema::breaks(&old, schema);
            if breaks
                .iter()
                .any(|change| matches!(change, Break::VersionNotRaised { .. }))
            {
                return Err(refusal(&old, schema, &breaks));
            }
            described(&old, schema, &breaks, path)
        }
    };
    if writes == Writes::Yes {
        return write(schema, path);
    }
    Err(format!(
        "{change}\nrun this test once with {VARIABLE}=write in its environment, which writes the \
         file"
    ))
}

/// The text about a change that must not be made in this version.
fn refusal(old: &Schema, new: &Schema, breaks: &[Break]) -> String {
    let name = new.name();
    let higher = old.version().saturating_add(1);
    let mut text = if new.version() < old.version() {
        format!("the version of the contract `{name}` was lowered:")
    } else {
        format!("the contract `{name}` breaks its callers, and has the same version:")
    };
    list(&mut text, breaks);
    let _ = write!(
        text,
        "\ntake the change back, or write `version = {higher}` in the options of the contract and \
         run this test with {VARIABLE}=write in its environment"
    );
    text
}

/// The text about a change that may be made.
fn described(old: &Schema, new: &Schema, breaks: &[Break], path: &Path) -> String {
    let (name, shown) = (new.name(), path.display());
    if !breaks.is_empty() {
        let (from, to) = (old.version(), new.version());
        let mut text = format!(
            "{shown} has version {from} of the contract `{name}`, which is at {to}. What breaks:"
        );
        list(&mut text, breaks);
        return text;
    }
    let mut text = format!("the contract `{name}` differs from {shown}. Nothing breaks");
    let added: Vec<&str> = new
        .sorted()
        .into_iter()
        .map(|method| method.name())
        .filter(|method| old.method(method).is_none())
        .collect();
    if !added.is_empty() {
        let _ = write!(text, "; new are `{}`", added.join("`, `"));
    }
    text
}

fn list(text: &mut String, breaks: &[Break]) {
    for change in breaks {
        let _ = write!(text, "\n- {change}");
    }
}

fn write(schema: &Schema, path: &Path) -> Result<(), String> {
    let text = format!("{HEADING}\n{schema}");
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    folder
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}
