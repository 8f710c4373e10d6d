//! Makes lists of cases, for a program with a `main` of its own. Each list is a function over the
//! transport, whichever one the suite names.

use libtest_mimic::Trial;

/// Cases by their names.
pub(crate) type Cases = Vec<(&'static str, fn())>;

/// Makes a test of each case of these lists, which have the names of their transports.
pub(crate) fn trials(lists: impl IntoIterator<Item = (&'static str, Cases)>) -> Vec<Trial> {
    let tests = lists.into_iter().flat_map(|(under, cases)| {
        cases.into_iter().map(move |(name, case)| {
            Trial::test(format!("{under}::{name}"), move || {
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
