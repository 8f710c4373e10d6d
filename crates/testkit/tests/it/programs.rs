//! Risk: an unforeseen order of operations has an effect that no rule allows.

use insula_testkit::On;
use insula_testkit::programs::{Program, model, several, single};

/// Returns the number of programs to try: more with `INSULA_PROGRAMS`.
fn count(usual: u64) -> u64 {
    let wanted = std::env::var("INSULA_PROGRAMS").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

const SEEDS: [u64; 3] = [1, 2, 3];

fn differs(program: &Program) -> bool {
    let expected = model::trace(program);
    SEEDS
        .iter()
        .any(|&seed| single::trace(program, seed) != expected)
}

#[test]
fn single_isolates_do_what_the_model_does() {
    for seed in 0..count(2_000) {
        let program = Program::single(seed);
        if differs(&program) {
            let program = program.shrink(differs);
            let seen = SEEDS.map(|seed| single::trace(&program, seed));
            panic!(
                "program {seed}, shrunk:\n{program}expected: {}\nseen: {seen:#?}",
                model::trace(&program)
            );
        }
    }
}

fn expect_no_findings(seed: u64, on: &[On]) {
    let find = |program: &Program| -> Vec<_> {
        let runs = on.iter().map(|&on| several::findings(program, on));
        runs.flatten().collect()
    };
    let program = Program::several(seed);
    let findings = find(&program);
    if !findings.is_empty() {
        // On threads a run may go well next time, so what was found first is told too.
        let program = program.shrink(|program| !find(program).is_empty());
        panic!("program {seed}: {findings:#?}\nshrunk:\n{program}");
    }
}

#[test]
fn several_isolates_keep_their_promises() {
    for seed in 0..count(1_000) {
        expect_no_findings(seed, &[On::Seeded(seed), On::Seeded(seed + 1)]);
    }
}

#[test]
fn several_isolates_keep_their_promises_on_threads() {
    for seed in 0..count(1_000) / 10 {
        expect_no_findings(seed, &[On::Threads]);
    }
}
