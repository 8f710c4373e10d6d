//! The risk: an option takes what is not meant for it, or listens for the whole world.

use clap::Parser;
use insula::inspect::Listen;

use super::InspectRunOptions;

#[derive(Debug, Parser)]
struct Options {
    input: Option<String>,

    #[command(flatten)]
    inspect: InspectRunOptions,
}

fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
    Options::try_parse_from([&["program"], arguments].concat())
}

#[test]
fn without_an_address_it_is_a_free_port_and_the_input_stays_an_input() {
    let options = parse(&["--inspect", "photos"]).expect("it is right");
    assert_eq!(options.input.as_deref(), Some("photos"));
    assert_eq!(options.inspect.inspect.inspect, Some(Listen::default()));
}

#[test]
fn addresses_of_this_machine_and_paths_are_taken() {
    let address = |text: &str| {
        let options = parse(&[&format!("--inspect={text}")]).expect("it is right");
        options.inspect.inspect.inspect.expect("it is there")
    };
    let tcp = |text: &str| Listen::Tcp(text.parse().expect("it is an address"));
    assert_eq!(address("127.0.0.1:9000"), tcp("127.0.0.1:9000"));
    assert_eq!(address("[::1]:9000"), tcp("[::1]:9000"));
    assert_eq!(
        address("unix:/tmp/socket"),
        Listen::Unix("/tmp/socket".into())
    );
}

#[test]
fn other_addresses_are_refused_with_what_to_write() {
    for (text, expected) in [
        ("0.0.0.0:9000", "only addresses of this machine"),
        ("192.168.1.1:9000", "only addresses of this machine"),
        ("9000", "expected an address such as"),
        ("localhost:9000", "expected an address such as"),
        ("unix:", "a path is missing"),
    ] {
        let error = parse(&[&format!("--inspect={text}")]).expect_err(text);
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }
}

#[test]
fn control_and_stay_need_an_inspector() {
    for option in ["--inspect-control", "--stay"] {
        let error = parse(&[option]).expect_err(option);
        assert!(error.to_string().contains("--inspect"), "{error}");
    }
}
