//! The options in the parentheses of the attribute.

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::{Ident, LitInt, LitStr, Path, parse_quote};

pub(super) struct Options {
    pub(super) name: String,
    pub(super) version: u32,
    pub(super) krate: Path,
}

/// Reads the options of the trait `ident`.
pub(super) fn read(ident: &Ident, tokens: TokenStream) -> syn::Result<Options> {
    let mut options = Options {
        name: ident.unraw().to_string(),
        version: 1,
        krate: parse_quote!(::insula),
    };
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("name") {
            options.name = meta.value()?.parse::<LitStr>()?.value();
        } else if meta.path.is_ident("version") {
            options.version = meta.value()?.parse::<LitInt>()?.base10_parse()?;
        } else if meta.path.is_ident("crate") {
            options.krate = meta.value()?.call(Path::parse_mod_style)?;
        } else {
            let names = "`name = \"…\"`, `version = N` and `crate = path`";
            return Err(meta.error(format!("the options of a contract are {names}")));
        }
        Ok(())
    });
    parser.parse2(tokens)?;
    Ok(options)
}
