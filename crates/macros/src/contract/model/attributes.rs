//! The attributes that generated items take over from the user's.

use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Token, parse_quote};

/// Selects the attributes whose names are among `wanted`, also those under a `cfg_attr`.
pub(in crate::contract) fn select(attrs: &[Attribute], wanted: &[&str]) -> Vec<Attribute> {
    let selected = attrs.iter().filter_map(|attr| {
        let meta = select_meta(&attr.meta, wanted)?;
        let style = attr.style;
        let mut selected: Attribute = parse_quote!(#[#meta]);
        selected.style = style;
        Some(selected)
    });
    selected.collect()
}

fn select_meta(meta: &Meta, wanted: &[&str]) -> Option<Meta> {
    if wanted.iter().any(|name| meta.path().is_ident(name)) {
        return Some(meta.clone());
    }
    let Meta::List(list) = meta else { return None };
    if !list.path.is_ident("cfg_attr") {
        return None;
    }
    // What the compiler will not accept as a `cfg_attr` is on the trait's method as it is.
    let parser = Punctuated::<Meta, Token![,]>::parse_terminated;
    let mut metas = list.parse_args_with(parser).ok()?.into_iter();
    let condition = metas.next()?;
    let metas: Vec<Meta> = metas
        .filter_map(|meta| select_meta(&meta, wanted))
        .collect();
    (!metas.is_empty()).then(|| parse_quote!(cfg_attr(#condition, #(#metas),*)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    #[test]
    fn attributes_are_found_under_conditions_too() {
        let attrs = [
            parse_quote!(#[doc = "Says hello."]),
            parse_quote!(#[inline]),
            parse_quote!(#[cfg(unix)]),
            parse_quote!(#[cfg_attr(feature = "old", deprecated, inline)]),
            parse_quote!(#[cfg_attr(a, cfg_attr(b, cfg(c)))]),
        ];
        let selected = |wanted: &[&str]| {
            let attrs = select(&attrs, wanted);
            quote!(#(#attrs)*).to_string()
        };
        assert_eq!(
            selected(&["cfg"]),
            quote!(#[cfg(unix)] #[cfg_attr(a, cfg_attr(b, cfg(c)))]).to_string()
        );
        assert_eq!(
            selected(&["deprecated", "doc"]),
            quote!(#[doc = "Says hello."] #[cfg_attr(feature = "old", deprecated)]).to_string()
        );
    }
}
