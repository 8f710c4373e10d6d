//! The option `wire`: the values of a contract as bytes, and its schema.

mod written;

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Index, Type};

use self::written::written;
use super::Names;
use crate::contract::model::{Answer, Contract, Method};

/// Emits everything that `wire` adds.
pub(super) fn emit(contract: &Contract, names: &Names) -> TokenStream {
    let private = &names.private;
    let methods = contract
        .methods
        .iter()
        .map(|method| emit_method(contract, names, method));
    let schema = emit_contract(contract, names);
    // Without the feature of the library it gives one error, which is shown at the attribute.
    quote! {
        #private::if_wire! {
            #(#methods)*
            #schema
        }
    }
}

fn emit_contract(contract: &Contract, names: &Names) -> TokenStream {
    let Names {
        request, private, ..
    } = names;
    let wire = quote!(#private::wire);
    let conditions = contract.conditions();
    let (mut lines, mut callers, mut callees) = (Vec::new(), Vec::new(), Vec::new());
    for method in &contract.methods {
        let (conditions, variant, id) = (method.conditions(), &method.variant, method.id);
        let marker = method.marker(contract);
        let line = emit_schema(&wire, private, method, &marker);
        lines.push(quote!(#(#conditions)* #line,));
        callers.push(quote!(#(#conditions)* Self::#variant(call) => #wire::caller(call),));
        let callee = quote!(#wire::callee::<#marker>(request));
        callees.push(quote!(#(#conditions)* #id => ::core::option::Option::Some(#callee),));
    }
    quote! {
        #(#conditions)*
        impl #wire::WireContract for #request {
            const SCHEMA: &'static #wire::Schema = &#wire::Schema::new(
                <Self as #private::Contract>::NAME,
                <Self as #private::Contract>::VERSION,
                {
                    const METHODS: &[#wire::MethodSchema] = &[#(#lines)*];
                    METHODS
                },
            );
            fn into_caller(self) -> #wire::AnyCaller {
                match self {
                    #(#callers)*
                }
            }
            fn to_callee(
                method: u64,
                request: #wire::Request<'_>,
            ) -> ::core::option::Option<
                ::core::result::Result<#wire::AnyCallee<Self>, (&'static str, #wire::CodecError)>,
            > {
                match method {
                    #(#callees)*
                    _ => {
                        // Not used otherwise if the conditions of all methods are false.
                        let _ = request;
                        ::core::option::Option::None
                    }
                }
            }
        }
    }
}

/// Emits the schema of a method: its types as text.
fn emit_schema(
    wire: &TokenStream,
    private: &TokenStream,
    method: &Method,
    marker: &Ident,
) -> TokenStream {
    let parameters = method.parameters.iter().map(|parameter| {
        let ty = written(&parameter.ty);
        quote!(::std::borrow::Cow::Borrowed(#ty))
    });
    let sent = match &method.inbound {
        Some(inbound) => {
            let ty = written(&inbound.ty);
            quote!(::core::option::Option::Some(#ty))
        }
        None => quote!(::core::option::Option::None),
    };
    let answer = match &method.answer {
        Answer::Value { response } => written(response),
        Answer::Stream { item, .. } => written(item),
    };
    let error = written(&method.error);
    quote! {
        #wire::MethodSchema::new(
            <#marker as #private::Method>::DESCRIPTOR,
            &[#(#parameters),*],
            #sent,
            #answer,
            #error,
        )
    }
}

fn emit_method(contract: &Contract, names: &Names, method: &Method) -> TokenStream {
    let private = &names.private;
    let wire = quote!(#private::wire);
    let (marker, conditions) = (method.marker(contract), method.all_conditions(contract));
    let error = crossing(&wire, &method.error);
    let values = method.parameters.iter().map(|it| crossing(&wire, &it.ty));
    let values: Vec<TokenStream> = values.collect();
    let write = emit_write(method, &values);
    let read = emit_read(&wire, private, method, &values);
    let items = emit_items(&wire, method);
    let AnswerForms { value, split, join } = emit_answer(&wire, private, method, &error);
    quote! {
        #(#conditions)*
        impl #wire::WireMethod for #marker {
            type Value = #value;
            type Failure = #error;
            fn write(
                request: &Self::Request,
                to: &mut #wire::Encoder,
            ) -> ::core::result::Result<(), #wire::CodecError> {
                #write
            }
            fn read(
                from: &mut #wire::Request<'_>,
            ) -> ::core::result::Result<
                (Self::Request, ::core::option::Option<#wire::Feed>),
                #wire::CodecError,
            > {
                #read
            }
            fn items(request: Self::Request) -> ::core::option::Option<#wire::Source> {
                #items
            }
            fn split(
                response: Self::Response,
            ) -> (Self::Value, ::core::option::Option<#wire::ReplySource>) {
                #split
            }
            fn join(
                value: Self::Value,
                signal: ::std::sync::Arc<dyn #wire::Signal>,
            ) -> (Self::Response, ::core::option::Option<#wire::Sink>) {
                #join
            }
            fn failure(error: Self::Error) -> Self::Failure {
                error
            }
            fn error(failure: Self::Failure) -> Self::Error {
                failure
            }
        }
    }
}

/// The form of an answer on a wire.
struct AnswerForms {
    value: TokenStream,
    split: TokenStream,
    join: TokenStream,
}

fn emit_answer(
    wire: &TokenStream,
    private: &TokenStream,
    method: &Method,
    error: &TokenStream,
) -> AnswerForms {
    let (value, split, join) = match &method.answer {
        Answer::Value { response } => (
            crossing(wire, response),
            quote!((response, ::core::option::Option::None)),
            quote! {
                let _ = signal;
                (value, ::core::option::Option::None)
            },
        ),
        Answer::Stream { item, .. } => {
            let item = crossing(wire, item);
            (
                quote!(()),
                quote! {
                    let source = #wire::reply_source::<#item, #error>(response);
                    ((), ::core::option::Option::Some(source))
                },
                quote! {
                    let () = value;
                    let (stream, sink) = #wire::sink::<#item, #error>(
                        <Self as #private::ServerStreaming>::item_bytes,
                        signal,
                    );
                    (stream, ::core::option::Option::Some(sink))
                },
            )
        }
    };
    AnswerForms { value, split, join }
}

/// Emits `ty` in a form that is `ty` only if it can cross a wire: the form of `moved`, for the same
/// reason.
fn crossing(wire: &TokenStream, ty: &Type) -> TokenStream {
    let check = quote_spanned!(ty.span()=> #wire::crosses_a_wire::<#ty>());
    quote_spanned!(ty.span()=> <#ty as #wire::Crossing<{ #check }>>::This)
}

/// Emits the writing of the values of a request, one after the other.
fn emit_write(method: &Method, values: &[TokenStream]) -> TokenStream {
    let is_tuple = method.values().count() != 1;
    let writes = values.iter().enumerate().map(|(at, ty)| {
        let at = Index::from(at);
        if is_tuple {
            quote!(to.value::<#ty>(&request.#at)?;)
        } else {
            quote!(to.value::<#ty>(request)?;)
        }
    });
    quote! {
        // Not used otherwise in a request without values.
        let _ = (request, &to);
        #(#writes)*
        ::core::result::Result::Ok(())
    }
}

/// Emits the reading of a request, in the form of `emit_request_type`.
fn emit_read(
    wire: &TokenStream,
    private: &TokenStream,
    method: &Method,
    values: &[TokenStream],
) -> TokenStream {
    let names = (0..values.len()).map(|at| format_ident!("value_{at}"));
    let mut names: Vec<Ident> = names.collect();
    let reads = names.iter().zip(values).enumerate();
    let reads = reads.map(|(at, (name, ty))| {
        let earlier = &names[..at];
        quote! {
            let #name = match from.value::<#ty>() {
                ::core::result::Result::Ok(value) => value,
                ::core::result::Result::Err(why) => {
                    // One by one, and not by the return, which forgets the error if one panics.
                    #(#wire::discard(#earlier);)*
                    return ::core::result::Result::Err(why);
                }
            };
        }
    });
    let reads = reads.collect::<TokenStream>();
    let (streams, feed) = match &method.inbound {
        Some(inbound) => {
            let item = crossing(wire, &inbound.ty);
            names.push(format_ident!("items"));
            (
                quote! {
                    let (feed, items) = #wire::feed::<#item>(
                        <Self as #private::ClientStreaming>::sent_bytes,
                    );
                },
                quote!(::core::option::Option::Some(feed)),
            )
        }
        None => (TokenStream::new(), quote!(::core::option::Option::None)),
    };
    let request = match &*names {
        [one] => quote!(#one),
        _ => quote!((#(#names),*)),
    };
    quote! {
        let _ = &from;
        #reads
        #streams
        ::core::result::Result::Ok((#request, #feed))
    }
}

/// Emits the taking of the caller's items out of a request.
fn emit_items(wire: &TokenStream, method: &Method) -> TokenStream {
    let Some(inbound) = &method.inbound else {
        return quote! {
            let _ = request;
            ::core::option::Option::None
        };
    };
    let item = crossing(wire, &inbound.ty);
    let items = match method.parameters.len() {
        0 => quote!(request),
        at => {
            let at = Index::from(at);
            quote!(request.#at)
        }
    };
    quote!(::core::option::Option::Some(#wire::source::<#item>(#items)))
}
