//! Risk: a page that has changed passes, or one that has not fails.

use super::differences;

const KEPT: &str =
    "# wide\n8 40 72 33 button#tab \"Overview\"\n  -10 86 150 28 input\n# light\nbdi rgb(1,2,3)\n";

#[test]
fn a_few_pixels_are_no_difference() {
    assert_eq!(differences(KEPT, KEPT), [""; 0]);
    let now = KEPT.replace("8 40 72 33", "10 40 69 33");
    assert_eq!(differences(KEPT, &now), [""; 0]);
}

#[test]
fn more_pixels_another_text_and_another_color_are_told_with_their_place() {
    for (before, after, told) in [
        (
            "-10 86",
            "-10 96",
            "wide, line 3: -10 86 150 28 input is now -10 96 150 28 input",
        ),
        (
            "Over",
            "Under",
            "wide, line 2: 8 40 72 33 button#tab \"Overview\" is now 8 40 72 33 button#tab \"Underview\"",
        ),
        (
            "rgb(1,2,3)",
            "rgb(1,2,4)",
            "light, line 5: bdi rgb(1,2,3) is now bdi rgb(1,2,4)",
        ),
    ] {
        assert_eq!(differences(KEPT, &KEPT.replace(before, after)), [told]);
    }
}

#[test]
fn lines_that_are_missing_or_new_are_told() {
    assert_eq!(
        differences("# wide\na\n", "# wide\n"),
        ["wide, line 2: a is now nothing"]
    );
    assert_eq!(
        differences("", "# wide\n"),
        [", line 1: nothing is now # wide"]
    );
}
