//! The caller: one method per call.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Attribute, Ident, Meta, parse_quote};

use super::Names;
use crate::contract::model::{Contract, Method, Parameter, select};

pub(super) fn emit(contract: &Contract, names: &Names) -> TokenStream {
    let Names {
        request,
        caller,
        private,
        ..
    } = names;
    let (vis, ident, conditions) = (
        &contract.item.vis,
        &contract.item.ident,
        contract.conditions(),
    );
    let doc = format!("Calls a [`{ident}`]. Cheap to clone; usable on any thread and executor.");
    let allowed = allowed(&contract.item.attrs);
    let methods = contract
        .methods
        .iter()
        .map(|method| emit_method(contract, names, method));
    quote! {
        #(#conditions)*
        #[doc = #doc]
        #[derive(Debug, Clone)]
        #vis struct #caller {
            endpoint: ::std::sync::Arc<dyn #private::Endpoint<#request>>,
        }

        #(#conditions)*
        #(#allowed)*
        #[allow(dead_code, reason = "a program need not call every method of a contract")]
        impl #caller {
            /// A caller whose calls go to `endpoint`.
            pub fn over(endpoint: impl #private::Endpoint<#request>) -> Self {
                Self { endpoint: ::std::sync::Arc::new(endpoint) }
            }

            #(#methods)*
        }

        #(#conditions)*
        impl #private::Caller for #caller {
            type Contract = #request;
        }

        #(#conditions)*
        impl ::core::convert::From<::std::sync::Arc<dyn #private::Endpoint<#request>>>
            for #caller
        {
            fn from(endpoint: ::std::sync::Arc<dyn #private::Endpoint<#request>>) -> Self {
                Self { endpoint }
            }
        }
    }
}

fn emit_method(contract: &Contract, names: &Names, method: &Method) -> TokenStream {
    let private = &names.private;
    let (name, marker) = (&method.sig.ident, method.marker(contract));
    let attrs = attributes(method);
    let parameters = method
        .parameters
        .iter()
        .map(|Parameter { name, ty }| quote!(#name: #ty));
    let mut values: Vec<&Ident> = method.parameters.iter().map(|it| &it.name).collect();
    // Names that no parameter has, whatever the user calls it.
    let items = Ident::new("items", Span::mixed_site());
    let sender = Ident::new("sender", Span::mixed_site());
    if method.inbound.is_some() {
        values.push(&items);
    }
    // In the form of `emit_request_type`: one value stands for itself, and is no tuple.
    let request = match &*values {
        [one] => quote!(#one),
        _ => quote!((#(#values),*)),
    };
    let endpoint = quote!(::std::sync::Arc::clone(&self.endpoint));
    let (call, body) = match &method.inbound {
        None => (
            quote!(Call),
            quote!(#private::Call::new(#endpoint, #request)),
        ),
        Some(_) => (
            quote!(StreamingCall),
            quote! {
                let (#sender, #items) = #private::inbound::<#marker>();
                #private::StreamingCall::new(#endpoint, #request, #sender)
            },
        ),
    };
    quote! {
        #(#attrs)*
        pub fn #name(&self, #(#parameters),*) -> #private::#call<#marker> {
            #body
        }
    }
}

/// Selects what the caller's method takes over from the trait's: what is said to those who call it.
fn attributes(method: &Method) -> Vec<Attribute> {
    let mut attrs = select(&method.attrs, &["cfg", "doc", "deprecated", "must_use"]);
    // The call says so itself, and clippy refuses to have it said twice without a reason.
    attrs.retain(|attr| !matches!(&attr.meta, Meta::Path(path) if path.is_ident("must_use")));
    attrs.extend(allowed(&method.attrs));
    attrs
}

/// Selects the lints that are allowed. One that is expected need not be found again in the generated
/// code.
fn allowed(attrs: &[Attribute]) -> Vec<Attribute> {
    let mut allowed = select(attrs, &["allow", "expect"]);
    for attr in &mut allowed {
        if let Meta::List(list) = &mut attr.meta
            && list.path.is_ident("expect")
        {
            list.path = parse_quote!(allow);
        }
    }
    allowed
}
