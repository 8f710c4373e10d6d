//! Tests of the comparison: what counts as a change, and what does not.

use super::difference;

#[test]
fn only_what_one_listing_lacks_is_a_difference() {
    let before = "pub mod a\npub fn a::one()\npub fn a::two()\nimpl a::B\n";
    let after = "pub mod a\npub fn a::two()\npub fn a::three()\nimpl a::B\nimpl a::B\n";
    let expected = ["- pub fn a::one()", "+ pub fn a::three()", "+ impl a::B"];
    assert_eq!(difference(before, after), expected);
}

#[test]
fn a_line_that_has_moved_is_no_difference() {
    assert!(difference("one\ntwo\n", "two\none\n").is_empty());
}
