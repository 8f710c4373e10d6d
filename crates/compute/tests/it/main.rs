//! Computations from outside: how many threads they have, and what does not depend on that.

mod chunks;
mod dice;
mod parallel;
mod reductions;
mod sums;
mod width;

use insula_compute::Compute;

/// Widths below, at and above the usual number of cores, odd ones among them.
const WIDTHS: [usize; 4] = [1, 2, 3, 8];

/// Returns a handle of this width.
fn wide(width: usize) -> Compute {
    let compute = Compute::builder().cores(width).build();
    assert_eq!(compute.width(), width);
    compute
}
