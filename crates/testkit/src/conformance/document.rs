//! The document that is generated from the cases and the rules.

use std::fmt::Write as _;

use super::{Case, Place, RULES, Rule, Verdict, cases};

const INTRODUCTION: &str = "\
# Conformance

Made by `cargo run -p insula-testkit --bin conformance -- docs/conformance.md` of the data in
`crates/testkit`; do not edit it by hand.

What the Dart VM does with isolates was recorded from a real one, in programs of a few lines. Each
of these cases is run here on virtual time with several seeds, and on threads unless it depends on
time, in Insula's order of events and in the VM's (`Compat::Dart`); what it logs must be the trace
that is written down. `cargo test -p insula-testkit` does that, for one case with `INSULA_CASE=24`.

- **as the VM**: the trace is the VM's, with and without `Compat::Dart`.
- **different**: another trace on purpose; the reason, and whether `Compat::Dart` restores the VM's.
- **not applicable**: makes no sense in Rust; the reason. What stands in its place is run.
- **later**: nothing yet; not counted as passed.
";

/// Returns the whole text, in Markdown.
pub fn document() -> String {
    let mut text = INTRODUCTION.to_owned();
    write_counts(&mut text);
    text.push_str("\n## Cases\n\n| case | program | what is done | result |\n|---|---|---|---|\n");
    for case in cases() {
        write_case(&mut text, case);
    }
    text.push_str("\n## Traces that differ\n\n");
    text.push_str("| case | part | Insula | the VM |\n|---|---|---|---|\n");
    for case in cases() {
        for check in case.checks {
            if let Some(vm) = check.vm {
                row(&mut text, &[case.id, check.part, check.trace, vm]);
            }
        }
    }
    text.push_str("\n## Rules\n\n| rule | what it says | cases | tests |\n|---|---|---|---|\n");
    for rule in RULES {
        write_rule(&mut text, rule);
    }
    text
}

fn write_counts(text: &mut String) {
    let count = |is_it: fn(Verdict) -> bool| cases().filter(|case| is_it(case.verdict)).count();
    let restored = count(|verdict| matches!(verdict, Verdict::DifferentUnlessDart(_)));
    let different = count(|verdict| matches!(verdict, Verdict::Different(_)));
    // Writing to a string does not fail, here and below.
    let _ = write!(
        text,
        "\nOf {} entries {} are as the VM, {} different ({restored} of them as the VM with \
         `Compat::Dart`), {} not\napplicable, {} later.\n",
        cases().count(),
        count(|verdict| verdict == Verdict::AsVm),
        restored + different,
        count(|verdict| matches!(verdict, Verdict::NotApplicable(_))),
        count(|verdict| matches!(verdict, Verdict::Later(_))),
    );
}

fn write_case(text: &mut String, case: &Case) {
    let mut result = match case.verdict {
        Verdict::AsVm => "as the VM".to_owned(),
        Verdict::DifferentUnlessDart(why) => {
            format!("different: {why} (`Compat::Dart` restores the VM's)")
        }
        Verdict::Different(why) => format!("different: {why}"),
        Verdict::NotApplicable(why) => format!("not applicable: {why}"),
        Verdict::Later(why) => format!("later: {why}"),
    };
    result.push('.');
    if case
        .checks
        .iter()
        .any(|check| check.place == Place::VirtualTime)
    {
        result.push_str(" On virtual time.");
    }
    if !case.note.is_empty() {
        let _ = write!(result, " {}", case.note);
    }
    if !case.tests.is_empty() {
        let _ = write!(result, " Tests: {}.", names(case.tests));
    }
    let program = format!("`{}`", case.program);
    row(text, &[case.id, &program, case.what, &result]);
}

fn write_rule(text: &mut String, rule: &Rule) {
    let number = rule.number.to_string();
    let cases = rule.cases.join(", ");
    row(text, &[&number, rule.text, &cases, &names(rule.tests)]);
}

fn names(tests: &[&str]) -> String {
    let quoted: Vec<_> = tests.iter().map(|test| format!("`{test}`")).collect();
    quoted.join(", ")
}

fn row(text: &mut String, cells: &[&str]) {
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}
