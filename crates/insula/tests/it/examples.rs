//! The risk: an example that compiles, and does not do what it says.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use insula::io::{Directory, File};
use insula::rpc::wire::{check_schema, encode};

use self::data_processor::{Failure, run};

#[path = "../../examples/data_processor.rs"]
mod data_processor;
#[path = "../../examples/wire.rs"]
mod wire;

/// Runs the program, and returns what it prints.
async fn data_processor(arguments: &[&str], file: Option<PathBuf>) -> Result<String, Failure> {
    let arguments = arguments.iter().map(OsString::from);
    let arguments = arguments.chain(file.map(PathBuf::into_os_string));
    let mut out = Vec::new();
    run(arguments.collect(), &mut out).await?;
    Ok(String::from_utf8(out).expect("it prints text"))
}

#[insula::test]
async fn measurements_of_the_weather_are_processed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let file = root.join("samples/weather/seattle.csv");
    let arguments = ["--field", "temp_max", "--workers", "2"];
    let printed = data_processor(&arguments, Some(file)).await.unwrap();
    // Computed by another program.
    for line in [
        "temp_max: 1461 records, 0 without a number",
        "mean 16.44, from -1.60 to 35.60, standard deviation 7.35",
        "2012/01/01 to 2012/04/01: mean 8.62, from -1.10 to 16.10",
        "▁▅█▂▁▆█▂▂▆█▂▃▇▇▂",
        "2014/07/01: 34.40 is unusual after a mean of 21.59 (+4.5 σ)",
        "102 calls, 102 answered, 0 lost",
    ] {
        assert!(printed.lines().any(|it| it == line), "{line}: {printed}");
    }
}

#[insula::test]
async fn a_wrong_record_ends_the_call_while_its_lines_are_sent() {
    let folder = Directory::create_temp("insula-example-").await.unwrap();
    let file = folder.join("records.csv");
    let mut text = "name,value\nfirst,1\nsecond,many\n".to_owned();
    for line in 0..10_000 {
        writeln!(text, "line {line},{line}").unwrap();
    }
    File::write_whole(&file, text.into_bytes()).await.unwrap();
    let failure = data_processor(&[], Some(file)).await.unwrap_err();
    Directory::delete_recursive(folder).await.unwrap();
    assert_eq!(
        (failure.code, failure.text.as_str()),
        (1, "line 3: `many` is no number")
    );
}

#[insula::test]
async fn arguments_are_checked_and_explained() {
    let help = data_processor(&["--help"], None).await.unwrap();
    assert!(help.contains("Usage: data_processor"), "{help}");
    for arguments in [
        &["--size", "1"] as &[_],
        &["--window", "1"],
        &["--workers", "0"],
        &["--field"],
        &["a", "b"],
    ] {
        let failure = data_processor(arguments, None).await.unwrap_err();
        assert_eq!(failure.code, 2, "{arguments:?}");
    }
    let missing = data_processor(&["no such file"], None).await.unwrap_err();
    assert_eq!(missing.code, 1);
    assert!(missing.text.starts_with("no such file: "), "{missing:?}");
}

#[insula::test]
async fn a_service_is_called_over_a_wire() {
    let mut out = Vec::new();
    wire::run(&mut out).await.unwrap();
    let printed = String::from_utf8(out).expect("it prints text");
    for line in [
        "the coldest is K2",
        "there is no reading (executed)",
        "+0 +35 +45 -20 ",
        "contract weather",
    ] {
        assert!(printed.lines().any(|it| it == line), "{line}: {printed}");
    }
}

#[test]
fn the_contract_of_the_weather_is_that_of_its_file() {
    check_schema::<wire::WeatherRequest>("../../docs/contracts/weather.txt");
}

/// What the schema does not see: the fields of its types.
#[test]
fn a_sample_of_each_type_of_the_weather_has_the_same_bytes() {
    let sample = wire::sample();
    assert_eq!(encode(&sample), Ok(vec![2, b'K', b'2', 163, 6]));
    assert_eq!(encode(&wire::NoReading), Ok(vec![]));
}
