//! Risk: an attribute swallows an option, a return type or a mistake.

use super::*;

fn flat(tokens: TokenStream) -> String {
    tokens.to_string().replace(' ', "")
}

#[test]
fn main_keeps_its_return_type_and_runs_the_body() {
    let out = flat(expand_main(
        quote!(),
        quote!(
            async fn main() -> Result<(), Oops> {
                work()?;
                Ok(())
            }
        ),
    ));
    assert_eq!(
        out,
        "fnmain()->Result<(),Oops>{::insula::__rt::run_main(::core::option::Option::None,\
         move||asyncmove{work()?;Ok(())})}"
    );
}

#[test]
fn main_takes_threads_and_a_crate() {
    let out = flat(expand_main(
        quote!(threads = 3, crate = other::path),
        quote!(
            async fn main() {}
        ),
    ));
    let call = "other::path::__rt::run_main(::core::option::Option::Some(3),move||asyncmove{})";
    assert_eq!(out, format!("fnmain(){{{call}}}"));
}

#[test]
fn test_is_marked_as_a_test_and_passes_its_seed() {
    let plain = flat(expand_test(
        quote!(),
        quote!(
            async fn case() {}
        ),
    ));
    assert!(
        plain.starts_with("#[::core::prelude::v1::test]fncase()"),
        "{plain}"
    );
    assert!(
        plain.contains("run_test(::core::option::Option::None,move||asyncmove{})"),
        "{plain}"
    );
    let seeded = flat(expand_test(
        quote!(seed = 7),
        quote!(
            async fn case() {}
        ),
    ));
    assert!(
        seeded.contains("run_test(::core::option::Option::Some(7),move||asyncmove{})"),
        "{seeded}"
    );
    for (options, seed) in [
        (quote!(start_paused), "::insula::__rt::usual_seed()"),
        (quote!(start_paused = true), "::insula::__rt::usual_seed()"),
        (quote!(start_paused = false), "::core::option::Option::None"),
        (
            quote!(seed = 2, start_paused),
            "::core::option::Option::Some(2)",
        ),
    ] {
        let paused = flat(expand_test(
            options,
            quote!(
                async fn case() {}
            ),
        ));
        let call = format!("run_test({seed},move||asyncmove{{}})");
        assert!(paused.contains(&call), "{paused}");
    }
}

#[test]
fn mistakes_are_named() {
    for (options, item, message) in [
        (
            quote!(),
            quote!(
                fn main() {}
            ),
            "needs an `async fn`",
        ),
        (
            quote!(),
            quote!(
                async fn main(x: u8) {}
            ),
            "takes no arguments",
        ),
        (
            quote!(),
            quote!(
                async fn main<T>() {}
            ),
            "cannot be generic",
        ),
        (
            quote!(thread = 2),
            quote!(
                async fn main() {}
            ),
            "`threads = N` and `crate = path`",
        ),
        (
            quote!(threads = 0),
            quote!(
                async fn main() {}
            ),
            "at least one thread",
        ),
    ] {
        let out = expand_main(options, item).to_string();
        assert!(
            out.contains("compile_error") && out.contains(message),
            "{out}"
        );
    }
}
