//! The hidden type that names the types of one method.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Index, Type};

use super::Names;
use crate::contract::model::{Answer, Contract, Method};
use crate::payload::measure;

pub(super) fn emit(contract: &Contract, names: &Names, method: &Method) -> TokenStream {
    let (vis, private, request_enum) = (&contract.item.vis, &names.private, &names.request);
    let (marker, variant, conditions) = (
        method.marker(contract),
        &method.variant,
        method.all_conditions(contract),
    );
    let (name, id) = (&method.name, method.id);
    let doc = format!("Names the types of `{}::{name}`.", contract.item.ident);
    let request = emit_request_type(private, method);
    let request_bytes = emit_request_bytes(private, method);
    let error = moved(private, &method.error);
    let (response, response_bytes) = match &method.answer {
        Answer::Value { response } => (
            moved(private, response),
            measure(private, &quote!(response)),
        ),
        Answer::Stream { .. } => (
            quote!(#private::ReplyStream<<Self as #private::ServerStreaming>::Item, Self::Error>),
            // A stream itself moves nothing: its items are measured as they are sent.
            quote!({
                let _ = response;
                0
            }),
        ),
    };
    let kind = kind(method);
    let streams = emit_streams(contract, names, method);
    let is_idempotent = method.is_idempotent;
    let work = &method.work;
    let idempotent = is_idempotent.then(|| {
        quote! {
            #(#conditions)*
            impl #private::Idempotent for #marker {}
        }
    });
    quote! {
        #(#conditions)*
        #[doc = #doc]
        #[doc(hidden)]
        #[derive(Debug, Clone, Copy)]
        #[allow(non_camel_case_types, reason = "two methods may have one name in camel case")]
        #vis struct #marker;

        #(#conditions)*
        impl #private::Method for #marker {
            type Contract = #request_enum;
            type Request = #request;
            type Response = #response;
            type Error = #error;
            const DESCRIPTOR: #private::MethodDescriptor = #private::MethodDescriptor {
                name: #name,
                id: #id,
                kind: #private::MethodKind::#kind,
                is_idempotent: #is_idempotent,
                work: #private::WorkType::#work,
            };
            fn wrap(call: #private::Pending<Self>) -> #request_enum {
                #request_enum::#variant(call)
            }
            fn request_bytes(request: &Self::Request) -> u64 {
                #request_bytes
            }
            fn response_bytes(response: &Self::Response) -> u64 {
                #response_bytes
            }
        }
        #streams
        #idempotent
    }
}

/// The variant of `MethodKind`.
fn kind(method: &Method) -> TokenStream {
    match (&method.inbound, &method.answer) {
        (None, Answer::Value { .. }) => quote!(Unary),
        (None, Answer::Stream { .. }) => quote!(ServerStream),
        (Some(_), Answer::Value { .. }) => quote!(ClientStream),
        (Some(_), Answer::Stream { .. }) => quote!(Bidirectional),
    }
}

/// Emits `ty` for an associated type, in a form that is `ty` only if it can move to another isolate.
///
/// If it cannot, the call in the braces is the one error, at the type as the user wrote it. The
/// associated type has then no value, so everything that is generated around it raises no further
/// errors. A bound of the associated type alone would be reported again for each generated item,
/// through the private types of the library.
fn moved(private: &TokenStream, ty: &Type) -> TokenStream {
    let check = quote_spanned!(ty.span()=> #private::moves_to_another_isolate::<#ty>());
    quote_spanned!(ty.span()=> <#ty as #private::Moves<{ #check }>>::This)
}

/// Emits the types of the items that move in either direction.
fn emit_streams(contract: &Contract, names: &Names, method: &Method) -> TokenStream {
    let private = &names.private;
    let (marker, conditions) = (method.marker(contract), method.all_conditions(contract));
    let bytes = measure(private, &quote!(item));
    let answer = match &method.answer {
        Answer::Value { .. } => TokenStream::new(),
        Answer::Stream { item, .. } => {
            let item = moved(private, item);
            quote! {
                #(#conditions)*
                impl #private::ServerStreaming for #marker {
                    type Item = #item;
                    fn item_bytes(item: &Self::Item) -> u64 {
                        #bytes
                    }
                }
            }
        }
    };
    let sent = method.inbound.iter().map(|inbound| {
        let item = moved(private, &inbound.ty);
        quote! {
            #(#conditions)*
            impl #private::ClientStreaming for #marker {
                type Sent = #item;
                fn sent_bytes(item: &Self::Sent) -> u64 {
                    #bytes
                }
            }
        }
    });
    quote!(#answer #(#sent)*)
}

/// Emits the type of a request: that of its one value, or a tuple.
fn emit_request_type(private: &TokenStream, method: &Method) -> TokenStream {
    let mut types: Vec<_> = method
        .parameters
        .iter()
        .map(|parameter| moved(private, &parameter.ty))
        .collect();
    if method.inbound.is_some() {
        types.push(quote!(#private::Inbound<<Self as #private::ClientStreaming>::Sent>));
    }
    match &*types {
        [one] => one.clone(),
        _ => quote!((#(#types),*)),
    }
}

/// Emits the number of bytes that move with a request: those of its values. The items that follow
/// it are counted as they come.
fn emit_request_bytes(private: &TokenStream, method: &Method) -> TokenStream {
    if let ([_], None) = (&*method.parameters, &method.inbound) {
        return measure(private, &quote!(request));
    }
    let values = (0..method.parameters.len()).map(|at| {
        let at = Index::from(at);
        let bytes = measure(private, &quote!((&request.#at)));
        quote!(let bytes = bytes.saturating_add(#bytes);)
    });
    quote! {
        // Not used otherwise in a request without values.
        let _ = request;
        let bytes = 0_u64;
        #(#values)*
        bytes
    }
}
