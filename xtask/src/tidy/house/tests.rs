//! Tests of the counts: words that count, and words that do not.

use super::{Lines, exported};

#[test]
fn proofs_are_no_plain_comments_and_a_summary_is_counted_once() {
    let mut lines = Lines::default();
    lines.read(concat!(
        "//! Whether somebody reads this.\n//! What follows is no summary.\n\n",
        "/// Returns nobody.\nfn f() {\n    // Because.\n    g();\n",
        "    // SAFETY: proved,\n    // at length.\n    h();\n}\n",
    ));
    assert_eq!((lines.all, lines.comments, lines.plain), (10, 6, 1));
    assert_eq!((lines.vague, lines.summaries, lines.questions), (2, 2, 1));
}

#[test]
fn hidden_exports_are_not_counted_and_a_module_is_one_name() {
    let root = concat!(
        "pub use a::{\n    One, Two as Other,\n    three,\n};\npub use b::Four;\n",
        "#[doc(hidden)]\npub use c::Five;\npub mod six;\nuse d::Seven;\n",
        "pub mod eight {\n    pub use e::{Nine, Ten};\n    pub use f::Eleven;\n}\n",
        "#[doc(hidden)]\npub mod twelve;\n",
    );
    assert_eq!(exported(root), 6);
}
