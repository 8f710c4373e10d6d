//! The options in the parentheses of the attribute.

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::{Error, Ident, LitInt, LitStr, Path, parse_quote};

pub(super) struct Options {
    pub(super) name: String,
    pub(super) version: u32,
    pub(super) krate: Path,
    /// `true` if there is the option `wire`.
    pub(super) is_wired: bool,
}

/// Reads the options of the trait `ident`.
pub(super) fn read(ident: &Ident, tokens: TokenStream) -> syn::Result<Options> {
    let mut options = Options {
        name: ident.unraw().to_string(),
        version: 1,
        krate: parse_quote!(::insula),
        is_wired: false,
    };
    let mut given: Vec<Ident> = Vec::new();
    let mut name_span = ident.span();
    let parser = syn::meta::parser(|meta| {
        if let Some(option) = meta.path.get_ident() {
            if given.contains(option) {
                return Err(meta.error(format!("the option `{option}` is given twice")));
            }
            given.push(option.clone());
        }
        if meta.path.is_ident("name") {
            let name = meta.value()?.parse::<LitStr>()?;
            (options.name, name_span) = (name.value(), name.span());
        } else if meta.path.is_ident("version") {
            options.version = meta.value()?.parse::<LitInt>()?.base10_parse()?;
        } else if meta.path.is_ident("crate") {
            options.krate = meta.value()?.call(Path::parse_mod_style)?;
        } else if meta.path.is_ident("wire") {
            options.is_wired = true;
        } else {
            let names = "`name = \"…\"`, `version = N`, `wire` and `crate = path`";
            return Err(meta.error(format!("the options of a contract are {names}")));
        }
        Ok(())
    });
    parser.parse2(tokens)?;
    if options.is_wired && !is_one_line(&options.name) {
        let message = "the name of a contract on a wire is one line, without blanks around it: it \
                       is a line of the schema";
        return Err(Error::new(name_span, message));
    }
    Ok(options)
}

fn is_one_line(name: &str) -> bool {
    !name.is_empty() && name.trim() == name && !name.contains(char::is_control)
}
