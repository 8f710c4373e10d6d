//! Makes lists of cases, for a program with a `main` of its own. Each list is a function over the
//! transport, whichever one the suite names.

/// Cases by their names.
pub(crate) type Cases = Vec<(&'static str, fn())>;

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

/// Adds a case, unless it is one that is left out.
macro_rules! add {
    ($list:ident, $how:ident nested $case:ident) => {
        $list
    };
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
