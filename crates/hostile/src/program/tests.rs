//! Risk: a printed program differs when it is read again, so that a failure cannot be repeated; or
//! a program cannot be shrunk.

use super::{Kind, Program, WITH_CALLS};

#[test]
fn what_is_printed_is_read_back() {
    for seed in (0..300).chain(WITH_CALLS..WITH_CALLS + 300) {
        for kind in [Kind::Seeded, Kind::Threads] {
            let text = Program::generate(kind, seed).to_string();
            let read = Program::parse(&text).map(|program| program.to_string());
            assert_eq!(read.as_ref(), Ok(&text));
        }
    }
}

#[test]
fn what_is_no_program_is_refused_with_its_line() {
    let text = "seeded seed=1 threads=1 clears_first=true linger=0\nmain [Panik()]";
    let refused = Program::parse(text).err();
    assert_eq!(refused.as_deref(), Some("line 2: 'Panik' is no Op"));
}

#[test]
fn each_operation_can_be_taken_out() {
    for seed in (0..50).chain(WITH_CALLS..WITH_CALLS + 50) {
        let program = Program::generate(Kind::Seeded, seed);
        for index in 0..program.count() {
            assert!(program.without(index, false).count() < program.count());
            assert_eq!(program.without(index, true).count(), program.count() - 1);
        }
    }
}
