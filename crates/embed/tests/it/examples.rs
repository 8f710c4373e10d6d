//! The risk: an example that compiles, and does not do what it says.

#[path = "../../examples/progress.rs"]
mod progress;

#[test]
fn the_example_runs_to_its_end() {
    progress::main().unwrap();
}
