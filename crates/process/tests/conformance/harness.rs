//! Makes lists of cases, for a program with a `main` of its own. Each list is a function over the
//! transport, whichever one the suite names. Cases on virtual time are left out: another process has
//! none, and a server neither.

use libtest_mimic::Trial;

use crate::seam::Transport;
use crate::{exclusive, shared};

/// Cases by their names.
pub(crate) type Cases = Vec<(&'static str, fn())>;

/// Makes a test of each case for two pools of workers elsewhere: one worker that runs one call at a
/// time, so that there is an order, and several.
pub(crate) fn trials<One: Transport, Several: Transport>(one: &str, several: &str) -> Vec<Trial> {
    let lists = [
        (one, "shared", shared::all::<One>()),
        (one, "shared", shared::one_worker_ordered::<One>()),
        (one, "shared", shared::one_worker_bounded::<One>()),
        (one, "shared", shared::wired_isolate_copied::<One>()),
        (one, "exclusive", exclusive::all::<One>()),
        (one, "exclusive", exclusive::one_worker_ordered::<One>()),
        (one, "exclusive", exclusive::one_worker_bounded::<One>()),
        (one, "exclusive", exclusive::wired_isolate_copied::<One>()),
        (several, "shared", shared::all::<Several>()),
        (several, "exclusive", exclusive::all::<Several>()),
    ];
    let tests = lists.into_iter().flat_map(|(pool, contract, cases)| {
        cases.into_iter().map(move |(name, case)| {
            Trial::test(format!("{pool}::{contract}::{name}"), move || {
                case();
                Ok(())
            })
        })
    });
    tests.collect()
}

/// Makes the list `all`.
macro_rules! conform {
    ($($list:tt)*) => {
        $crate::harness::conform_to!(Any as all { $($list)* });
    };
}

macro_rules! conform_to {
    ($transport:ident as $name:ident {
        $($module:ident { $($how:ident $case:ident;)* })*
    }) => {
        pub(crate) fn $name<T: $crate::seam::Transport>() -> $crate::harness::Cases {
            let list = $crate::harness::Cases::new();
            $($(let list = $crate::harness::add!(list, $how $module $case);)*)*
            list
        }
    };
}

/// Adds a case, unless it is on virtual time.
macro_rules! add {
    ($list:ident, on_seeds $module:ident $case:ident) => {
        $list
    };
    ($list:ident, $how:ident $module:ident $case:ident) => {{
        let name = concat!(stringify!($module), "::", stringify!($case));
        let mut list = $list;
        list.push((name, || $crate::run::on_threads(self::$module::$case::<T>)));
        list
    }};
}

pub(crate) use {add, conform, conform_to};
