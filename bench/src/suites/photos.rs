//! Real pictures: the program of `apps/images` beside the same kernels in other pools.

use std::path::Path;

use crate::case::Case;
use crate::peers::runtimes::Runtimes;
use crate::suites::Suite;

pub(super) const SUITE: Suite = Suite {
    name: "photos",
    about: "a folder of pictures, given with --photos",
    cases,
};

fn cases(_photos: Option<&Path>, _runtimes: &Runtimes) -> Vec<Case> {
    Vec::new()
}
