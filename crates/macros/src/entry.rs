//! `#[main]` and `#[test]`: an `async fn` becomes a plain one that hands its body over.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{ItemFn, LitInt, Path, parse_quote};

/// What stands in the parentheses of the attribute.
struct Options {
    krate: Path,
    /// `threads` of `#[main]`, `seed` of `#[test]`.
    number: Option<LitInt>,
}

pub(crate) fn expand_main(options: TokenStream, item: TokenStream) -> TokenStream {
    try_main(options, item).unwrap_or_else(syn::Error::into_compile_error)
}

pub(crate) fn expand_test(options: TokenStream, item: TokenStream) -> TokenStream {
    try_test(options, item).unwrap_or_else(syn::Error::into_compile_error)
}

fn try_main(options: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let Options { krate, number } = parse_options("threads", options)?;
    let function = parse_entry("main", item)?;
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
    let Options { krate, number } = parse_options("seed", options)?;
    let function = parse_entry("test", item)?;
    if let Some(seed) = &number {
        seed.base10_parse::<u64>()?;
    }
    let seed = option(number.as_ref());
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
        Some(number) => quote!(::core::option::Option::Some(#number)),
    }
}

/// The plain function: `outer` stands above it, and it calls `run` with `number` and the body.
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

fn parse_options(number_name: &str, tokens: TokenStream) -> syn::Result<Options> {
    let mut options = Options {
        krate: parse_quote!(::insula),
        number: None,
    };
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("crate") {
            options.krate = meta.value()?.call(Path::parse_mod_style)?;
            Ok(())
        } else if meta.path.is_ident(number_name) {
            options.number = Some(meta.value()?.parse()?);
            Ok(())
        } else {
            Err(meta.error(format!(
                "the options are `{number_name} = N` and `crate = path`"
            )))
        }
    });
    parser.parse2(tokens)?;
    Ok(options)
}

#[cfg(test)]
mod tests;
