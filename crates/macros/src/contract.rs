//! `#[contract]`: generates the caller, responder and request enum of a trait.

mod emit;
mod model;

use proc_macro2::TokenStream;

/// Expands the attribute; a fault becomes a `compile_error!` at the place of the fault.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    model::read(options, item).map_or_else(syn::Error::into_compile_error, |c| emit::emit(&c))
}

#[cfg(test)]
mod tests;
