//! `#[main]` and `#[test]`: an `async fn` becomes a plain function that passes its body on.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{ItemFn, LitBool, LitInt, Path, parse_quote};

/// The options in the parentheses of the attribute.
struct Options {
    krate: Path,
    /// `threads` of `#[main]`, `seed` of `#[test]`.
    number: Option<LitInt>,
    /// `start_paused` of `#[test]`.
    is_paused: bool,
}

/// The names of an attribute's options other than `crate`.
struct Names {
    number: &'static str,
    flag: Option<&'static str>,
}

pub(crate) fn expand_main(options: TokenStream, item: TokenStream) -> TokenStream {
    try_main(options, item).unwrap_or_else(syn::Error::into_compile_error)
}

pub(crate) fn expand_test(options: TokenStream, item: TokenStream) -> TokenStream {
    try_test(options, item).unwrap_or_else(syn::Error::into_compile_error)
}

fn try_main(options: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let names = Names {
        number: "threads",
        flag: None,
    };
    let Options { krate, number, .. } = parse_options(&names, options)?;
    let function = parse_entry("main", item)?;
    // Here, so that it is reported at the number and before the program runs.
    if let Some(threads) = &number
        && threads.base10_parse::<usize>()? == 0
    {
        return Err(syn::Error::new(
            threads.span(),
            "a runtime needs at least one thread",
        ));
    }
    let threads = option(number.as_ref());
    Ok(assemble(
        &function,
        None,
        &quote!(#krate::__rt::run_main),
        &threads,
    ))
}

fn try_test(options: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let names = Names {
        number: "seed",
        flag: Some("start_paused"),
    };
    let Options {
        krate,
        number,
        is_paused,
    } = parse_options(&names, options)?;
    let function = parse_entry("test", item)?;
    if let Some(seed) = &number {
        // Only so that a number that is too large is reported at its place.
        seed.base10_parse::<u64>()?;
    }
    // Only a runtime with a seed has the virtual time that `start_paused` asks for.
    let seed = if is_paused && number.is_none() {
        quote!(#krate::__rt::usual_seed())
    } else {
        option(number.as_ref())
    };
    // By its path: where this attribute is imported, `test` alone is this attribute again.
    let outer = quote!(#[::core::prelude::v1::test]);
    Ok(assemble(
        &function,
        Some(outer),
        &quote!(#krate::__rt::run_test),
        &seed,
    ))
}

fn option(number: Option<&LitInt>) -> TokenStream {
    match number {
        None => quote!(::core::option::Option::None),
        // The literal as it was written: one with the suffix of another type is reported at its
        // place.
        Some(number) => quote!(::core::option::Option::Some(#number)),
    }
}

/// Builds the plain function: `outer` precedes it, and it calls `run` with `number` and the body.
fn assemble(
    function: &ItemFn,
    outer: Option<TokenStream>,
    run: &TokenStream,
    number: &TokenStream,
) -> TokenStream {
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
    } = function;
    // Nothing else is taken over: `parse_entry` has refused parameters and generics.
    let (name, output) = (&sig.ident, &sig.output);
    // The span of the body, so that a future that is not `Send` is reported there.
    let call = quote_spanned!(block.span()=> #run(#number, move || async move #block));
    quote! {
        #outer
        #(#attrs)*
        #vis fn #name() #output {
            #call
        }
    }
}

fn parse_entry(attribute: &str, item: TokenStream) -> syn::Result<ItemFn> {
    let function: ItemFn = syn::parse2(item)?;
    let sig = &function.sig;
    if sig.asyncness.is_none() {
        let message = format!("`#[{attribute}]` needs an `async fn`");
        return Err(syn::Error::new_spanned(sig.fn_token, message));
    }
    if let Some(first) = sig.inputs.first() {
        let message = format!("the function under `#[{attribute}]` takes no arguments");
        return Err(syn::Error::new_spanned(first, message));
    }
    if !sig.generics.params.is_empty() {
        let message = format!("the function under `#[{attribute}]` cannot be generic");
        return Err(syn::Error::new_spanned(&sig.generics, message));
    }
    Ok(function)
}

impl Names {
    fn all(&self) -> String {
        let flag = self.flag.map(|flag| format!("`{flag}`, "));
        let flag = flag.unwrap_or_default();
        format!(
            "the options are {flag}`{} = N` and `crate = path`",
            self.number
        )
    }
}

fn parse_options(names: &Names, tokens: TokenStream) -> syn::Result<Options> {
    let mut options = Options {
        krate: parse_quote!(::insula),
        number: None,
        is_paused: false,
    };
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("crate") {
            options.krate = meta.value()?.call(Path::parse_mod_style)?;
            Ok(())
        } else if meta.path.is_ident(names.number) {
            options.number = Some(meta.value()?.parse()?);
            Ok(())
        } else if names.flag.is_some_and(|flag| meta.path.is_ident(flag)) {
            // A word, or an option with a value.
            options.is_paused = match meta.value() {
                Ok(value) => value.parse::<LitBool>()?.value,
                Err(_) => true,
            };
            Ok(())
        } else {
            Err(meta.error(names.all()))
        }
    });
    parser.parse2(tokens)?;
    Ok(options)
}

#[cfg(test)]
mod tests;
