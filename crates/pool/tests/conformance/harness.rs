//! Runs a case on runtimes of both kinds, and makes a test of each case.

use insula_core::{Isolate, Runtime};

pub(crate) use crate::run::on_threads;
use crate::run::watched;

/// Each seed is another order of events.
const SEEDS: std::ops::Range<u64> = 0..6;

/// Runs a case on threads, and then on virtual time with each seed.
pub(crate) fn everywhere<F>(case: fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    on_threads(case);
    on_seeds(case);
}

/// Runs a case that is about time.
pub(crate) fn on_seeds<F>(case: fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    watched(move || {
        for seed in SEEDS {
            let runtime = Runtime::builder().seeded(seed).build();
            let ran = runtime.block_on(async { Isolate::run_async(case).await });
            runtime.shut_down();
            if let Err(error) = ran {
                panic!("seed {seed}: {error}");
            }
        }
    });
}

/// Makes one test of each case for each transport, in `$transport::$module::$case`.
macro_rules! conform {
    ($($list:tt)*) => {
        $crate::harness::conform_to!(OneIsolate as one_isolate { $($list)* });
        $crate::harness::conform_to!(OneWorker as one_worker { $($list)* });
        $crate::harness::conform_to!(ThreeWorkers as three_workers { $($list)* });
        $crate::harness::conform_to!(WiredIsolate as wired_isolate { $($list)* });
        $crate::harness::conform_to!(WiredWorkers as wired_workers { $($list)* });
        $crate::harness::conform_to!(LinkedIsolate as linked_isolate { $($list)* });
    };
}

macro_rules! conform_to {
    ($transport:ident as $name:ident {
        $($module:ident { $($(#[$attribute:meta])* $how:ident $case:ident;)* })*
    }) => {
        mod $name {
            $(mod $module {
                $(
                    #[test]
                    $(#[$attribute])*
                    fn $case() {
                        use $crate::transport::$transport;
                        $crate::harness::$how(super::super::$module::$case::<$transport>);
                    }
                )*
            })*
        }
    };
}

pub(crate) use {conform, conform_to};
