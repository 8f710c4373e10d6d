//! `#[derive(Payload)]`, and how generated code measures a value.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Error, Fields, Ident, Path, parse_quote};

/// Expands the derive; a fault becomes a `compile_error!` at the place of the fault.
pub(crate) fn expand(item: TokenStream) -> TokenStream {
    try_expand(item).unwrap_or_else(Error::into_compile_error)
}

/// Emits the number of bytes that move with a value, which is behind a reference: as its `Payload`
/// says, or else its own size. Method resolution picks one, because it prefers the candidate with
/// fewer references.
pub(crate) fn measure(private: &TokenStream, value: &TokenStream) -> TokenStream {
    quote! {{
        #[allow(unused_imports, reason = "one of the two is picked by method resolution")]
        use #private::{ByPayload as _, BySize as _};
        (&#private::Measured(#value)).bytes()
    }}
}

fn try_expand(item: TokenStream) -> syn::Result<TokenStream> {
    let item: DeriveInput = syn::parse2(item)?;
    let krate = read_crate(&item)?;
    let private = quote!(#krate::__private);
    let arms: Vec<_> = match &item.data {
        Data::Struct(data) => vec![emit_arm(&private, None, &data.fields)],
        Data::Enum(data) => data
            .variants
            .iter()
            .map(|variant| emit_arm(&private, Some(&variant.ident), &variant.fields))
            .collect(),
        Data::Union(data) => {
            let message = "only a struct or an enum tells which of its fields are there";
            return Err(Error::new_spanned(data.union_token, message));
        }
    };
    let ident = &item.ident;
    let (impl_generics, type_generics, where_clause) = item.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #private::Payload for #ident #type_generics #where_clause {
            fn size_hint(&self) -> u64 {
                let bytes = ::core::mem::size_of::<Self>() as u64;
                // Not through a reference: that would not be exhaustive without a variant.
                match *self {
                    #(#arms)*
                }
            }
        }
    })
}

/// Reads `#[payload(crate = path)]`.
fn read_crate(item: &DeriveInput) -> syn::Result<Path> {
    let mut krate: Path = parse_quote!(::insula);
    for attr in item
        .attrs
        .iter()
        .filter(|attr| attr.path().is_ident("payload"))
    {
        attr.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("the option of a payload is `crate = path`"));
            }
            krate = meta.value()?.call(Path::parse_mod_style)?;
            Ok(())
        })?;
    }
    Ok(krate)
}

/// Emits the arm of a struct or of one variant: its own size, and what its fields own elsewhere.
fn emit_arm(private: &TokenStream, variant: Option<&Ident>, fields: &Fields) -> TokenStream {
    let variant = variant.map(|variant| quote!(::#variant));
    // Not the fields' own names: a tuple has none, and `bytes`, which may be one, is the sum below.
    let bindings: Vec<Ident> = (0..fields.len())
        .map(|at| format_ident!("field_{at}"))
        .collect();
    let members = fields.members();
    let owned = bindings.iter().map(|field| {
        let bytes = measure(private, &quote!(field));
        quote! {
            let field = #field;
            // Saturating, since a `Payload` written by hand may say less than the size of the
            // value.
            let owned = #bytes.saturating_sub(::core::mem::size_of_val(field) as u64);
            let bytes = bytes.saturating_add(owned);
        }
    });
    quote! {
        Self #variant { #(#members: ref #bindings),* } => {
            #(#owned)*
            bytes
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(item: TokenStream) -> String {
        expand(item).to_string().replace(' ', "")
    }

    #[test]
    fn every_field_of_every_variant_is_measured() {
        let out = flat(quote! {
            #[payload(crate = here)]
            enum Request<T: Payload> { Nothing, Text(String), Both { text: String, value: T } }
        });
        assert!(
            out.contains("impl<T:Payload>here::__private::PayloadforRequest<T>{"),
            "{out}"
        );
        assert!(out.contains("Self::Nothing{}=>{bytes}"), "{out}");
        assert!(out.contains("Self::Text{0:reffield_0}=>{"), "{out}");
        assert!(
            out.contains("Self::Both{text:reffield_0,value:reffield_1}=>{"),
            "{out}"
        );
        assert_eq!(
            out.matches("here::__private::Measured(field)").count(),
            3,
            "{out}"
        );
        let out = flat(quote!(
            struct Point {
                x: u8,
            }
        ));
        assert!(
            out.contains("impl::insula::__private::PayloadforPoint{"),
            "{out}"
        );
        assert!(out.contains("Self{x:reffield_0}=>{"), "{out}");
    }

    #[test]
    fn mistakes_are_named() {
        let out = flat(quote!(union Either { a: u8, b: i8 }));
        assert!(
            out.contains("compile_error") && out.contains("onlyastructoranenum"),
            "{out}"
        );
        let out = flat(quote!(
            #[payload(krate = x)]
            struct A;
        ));
        assert!(
            out.contains("compile_error") && out.contains("`crate=path`"),
            "{out}"
        );
    }
}
