//! The responder: dispatches calls to a service.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{FnArg, Index};

use super::Names;
use crate::contract::model::{Access, Answer, Contract, Method};

pub(super) fn emit(contract: &Contract, names: &Names) -> TokenStream {
    let Names {
        request,
        responder,
        private,
        ..
    } = names;
    let (vis, ident, conditions) = (
        &contract.item.vis,
        &contract.item.ident,
        contract.conditions(),
    );
    let doc = format!("Answers calls of [`{ident}`] with a service, by static dispatch.");
    let (field, new, exclusive) = match contract.access {
        Access::Shared => (quote!(S), quote!(service), quote!(false)),
        Access::Exclusive => (
            quote!(#private::Exclusive<S>),
            quote!(#private::Exclusive::new(service)),
            quote!(true),
        ),
    };
    let arms = contract
        .methods
        .iter()
        .map(|method| emit_arm(contract, names, method));
    quote! {
        #(#conditions)*
        #[doc = #doc]
        #[derive(Debug)]
        #vis struct #responder<S> {
            service: #field,
        }

        #(#conditions)*
        impl<S: #ident + 'static> #private::Respond for #responder<S> {
            type Contract = #request;
            type Service = S;
            const EXCLUSIVE: bool = #exclusive;

            fn new(service: S) -> Self {
                Self { service: #new }
            }

            #[allow(deprecated, reason = "to answer a deprecated method is not to call it")]
            async fn respond(
                &self,
                request: #request,
                scope: &#private::Scope,
            ) -> #private::Ended {
                // Not used otherwise if the conditions of all methods are false.
                let _ = scope;
                match request {
                    #(#arms)*
                }
            }
        }
    }
}

fn emit_arm(contract: &Contract, names: &Names, method: &Method) -> TokenStream {
    let Names {
        request, private, ..
    } = names;
    let (conditions, variant) = (method.conditions(), &method.variant);
    let values = match method.values().next() {
        None => quote!(()),
        Some(_) => quote!(request),
    };
    let begin = emit_begin(contract, private, method);
    // Held until the call is over, since a stream may borrow the service. Taking it panics if
    // another call has it, which must fail this call only.
    let service = match contract.access {
        Access::Shared => TokenStream::new(),
        Access::Exclusive => {
            quote!(let mut service = #private::begin(&mut early, || self.service.take());)
        }
    };
    let (call, guard, finish) = match method.answer {
        Answer::Value { .. } => (
            quote!(mut call),
            quote!(guard),
            quote!(call.finish(outcome)),
        ),
        Answer::Stream { .. } => (
            quote!(call),
            quote!(guard_stream),
            quote!(call.stream(outcome).await),
        ),
    };
    let guarded = quote!(call.#guard(handler.as_mut()).await);
    // A shared service is a field. An exclusive one has to be taken, and that may panic before
    // there is a handler.
    let (let_early, outcome) = match contract.access {
        Access::Shared => (TokenStream::new(), guarded),
        Access::Exclusive => (
            quote!(let mut early = ::core::option::Option::None;),
            quote! {
                match early {
                    ::core::option::Option::None => #guarded,
                    ::core::option::Option::Some(panic) => #private::no_handler(panic),
                }
            },
        ),
    };
    quote! {
        #(#conditions)*
        #request::#variant(call) => {
            let (#call, #values) = match call.start(scope) {
                ::core::result::Result::Ok(started) => started,
                ::core::result::Result::Err(ended) => return ended,
            };
            let cx = call.context();
            #let_early
            #service
            let outcome = {
                // Pinned where it is made: moving a future about costs more than an empty call.
                let mut handler = ::core::pin::pin!(#begin);
                // Under a name: up to edition 2021 the temporaries of a last expression outlive
                // `handler`.
                let outcome = #outcome;
                outcome
            };
            #finish
        }
    }
}

/// Emits the future of the service's method, if there is a service.
fn emit_begin(contract: &Contract, private: &TokenStream, method: &Method) -> TokenStream {
    let (ident, name) = (&contract.item.ident, &method.sig.ident);
    let count = method.values().count();
    let values = (0..count).map(|at| {
        let at = Index::from(at);
        match count {
            1 => quote!(request),
            _ => quote!(request.#at),
        }
    });
    // A context of another type is reported where the user wrote it.
    let context = &method.context;
    let context = quote_spanned!(context.span()=> <#context as #private::IsContext>::of(cx));
    // A method whose future is not `Send` is reported at its own signature.
    let span = method
        .sig
        .inputs
        .first()
        .map_or_else(|| name.span(), FnArg::span);
    let service = match contract.access {
        Access::Shared => quote!(&self.service),
        Access::Exclusive => quote!(&mut **service),
    };
    let invoke = quote_spanned!(span=> <S as #ident>::#name(#service, #context, #(#values),*));
    // The method is called in the first poll, where its panics are caught.
    let begin = quote!(::core::option::Option::Some(async { #invoke.await }));
    match contract.access {
        Access::Shared => begin,
        Access::Exclusive => quote! {
            match &mut service {
                ::core::option::Option::Some(service) => #begin,
                ::core::option::Option::None => ::core::option::Option::None,
            }
        },
    }
}
