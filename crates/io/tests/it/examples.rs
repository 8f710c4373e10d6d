//! The risk: an example that compiles, and does not do what it says.

#[path = "../../examples/send_file.rs"]
mod send_file;

#[test]
fn the_example_runs_to_its_end() {
    send_file::main().unwrap();
}
