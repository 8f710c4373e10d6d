//! Turns a checked [`Contract`] into code.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, Ident, Type, parse_quote};

use super::model::{Contract, Kind, Method};

pub(super) fn emit(contract: &Contract) -> TokenStream {
    let names = Names::new(contract);
    let trait_item = emit_trait(contract);
    let markers = contract
        .methods
        .iter()
        .map(|method| emit_marker(contract, &names, method));
    let request = emit_request(contract, &names);
    let caller = emit_caller(contract, &names);
    let responder = emit_responder(contract, &names);
    quote!(#trait_item #(#markers)* #request #caller #responder)
}

/// The names of the generated items.
struct Names {
    request: Ident,
    caller: Ident,
    responder: Ident,
    /// The module that generated code uses.
    private: TokenStream,
}

impl Names {
    fn new(contract: &Contract) -> Self {
        let (ident, krate) = (&contract.item.ident, &contract.krate);
        Self {
            request: format_ident!("{ident}Request"),
            caller: format_ident!("{ident}Caller"),
            responder: format_ident!("{ident}Responder"),
            private: quote!(#krate::__private),
        }
    }
}

impl Method {
    fn variant(&self) -> Ident {
        let name = self.sig.ident.to_string();
        let camel: String = name
            .trim_start_matches("r#")
            .split('_')
            .filter(|word| !word.is_empty())
            .map(|word| word[..1].to_uppercase() + &word[1..])
            .collect();
        Ident::new(&camel, self.sig.ident.span())
    }

    fn marker(&self, contract: &Contract) -> Ident {
        format_ident!("{}{}", contract.item.ident, self.variant())
    }

    fn request_type(&self) -> Type {
        self.request
            .as_ref()
            .map_or_else(|| parse_quote!(()), |(_, ty)| ty.clone())
    }

    fn docs(&self) -> impl Iterator<Item = &Attribute> {
        self.attrs.iter().filter(|attr| attr.path().is_ident("doc"))
    }
}

/// Emits the trait: an `async fn` becomes a method that returns a `Send` future, and a stream must
/// be `Send` and own what it uses.
fn emit_trait(contract: &Contract) -> TokenStream {
    let mut item = contract.item.clone();
    item.supertraits.push(parse_quote!(::core::marker::Send));
    item.supertraits.push(parse_quote!(::core::marker::Sync));
    item.supertraits.push(parse_quote!('static));
    for Method {
        attrs,
        sig,
        kind,
        error,
        ..
    } in &contract.methods
    {
        let mut sig = sig.clone();
        sig.asyncness = None;
        let value = match kind {
            Kind::Unary { response } => quote!(#response),
            Kind::ServerStream { stream, .. } => {
                let mut stream = stream.clone();
                stream.bounds.push(parse_quote!(::core::marker::Send));
                stream.bounds.push(parse_quote!('static));
                quote!(#stream)
            }
        };
        sig.output = parse_quote! {
            -> impl ::core::future::Future<
                Output = ::core::result::Result<#value, #error>
            > + ::core::marker::Send
        };
        item.items.push(parse_quote!(#(#attrs)* #sig;));
    }
    quote!(#item)
}

/// Emits the hidden type that names the types of one method.
fn emit_marker(contract: &Contract, names: &Names, method: &Method) -> TokenStream {
    let (vis, private, request_enum) = (&contract.item.vis, &names.private, &names.request);
    let (marker, variant) = (method.marker(contract), method.variant());
    let (error, request) = (&method.error, method.request_type());
    let (name, id) = (method.sig.ident.to_string(), method.id);
    let doc = format!("Names the types of `{}::{name}`.", contract.item.ident);
    let request_bytes = measure(private, &quote!(request));
    let item_bytes = measure(private, &quote!(item));
    let (kind, response, response_bytes, stream) = match &method.kind {
        Kind::Unary { response } => (
            quote!(Unary),
            quote!(#response),
            measure(private, &quote!(response)),
            TokenStream::new(),
        ),
        Kind::ServerStream { item, .. } => (
            quote!(ServerStream),
            quote!(#private::ReplyStream<#item, #error>),
            quote!({
                let _ = response;
                0
            }),
            quote! {
                impl #private::StreamMethod for #marker {
                    type Item = #item;
                    fn item_bytes(item: &Self::Item) -> u64 {
                        #item_bytes
                    }
                }
            },
        ),
    };
    quote! {
        #[doc = #doc]
        #[doc(hidden)]
        #[derive(Debug, Clone, Copy)]
        #vis struct #marker;

        impl #private::Method for #marker {
            type Contract = #request_enum;
            type Request = #request;
            type Response = #response;
            type Error = #error;
            const DESCRIPTOR: #private::MethodDescriptor = #private::MethodDescriptor {
                name: #name,
                id: #id,
                kind: #private::MethodKind::#kind,
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
        #stream
    }
}

/// Emits the number of bytes that move with a value: as its `Payload` says, or else its own size.
/// Method resolution picks one, because it prefers the candidate with fewer references. This works
/// because the types of a contract are concrete.
fn measure(private: &TokenStream, value: &TokenStream) -> TokenStream {
    quote! {{
        #[allow(unused_imports, reason = "one of the two is picked by method resolution")]
        use #private::{ByPayload as _, BySize as _};
        (&#private::Measured(#value)).bytes()
    }}
}

fn emit_request(contract: &Contract, names: &Names) -> TokenStream {
    let Names {
        request,
        caller,
        private,
        ..
    } = names;
    let (vis, name, version) = (&contract.item.vis, &contract.name, contract.version);
    let doc = format!(
        "A call of [`{}`] on its way to a service.",
        contract.item.ident
    );
    let variants: Vec<_> = contract.methods.iter().map(Method::variant).collect();
    let markers: Vec<_> = contract
        .methods
        .iter()
        .map(|m| m.marker(contract))
        .collect();
    let docs = contract
        .methods
        .iter()
        .map(|m| format!("A call of `{}`.", m.sig.ident));
    quote! {
        #[doc = #doc]
        #[derive(Debug)]
        #vis enum #request {
            #(#[doc = #docs] #variants(#private::Pending<#markers>),)*
        }

        impl #private::Contract for #request {
            type Caller = #caller;
            const NAME: &'static str = #name;
            const VERSION: u32 = #version;
            const METHODS: &'static [#private::MethodDescriptor] =
                &[#(<#markers as #private::Method>::DESCRIPTOR),*];
            fn pending(&self) -> &dyn #private::PendingCall {
                match self {
                    #(Self::#variants(call) => call,)*
                }
            }
        }
    }
}

fn emit_caller(contract: &Contract, names: &Names) -> TokenStream {
    let Names {
        request,
        caller,
        private,
        ..
    } = names;
    let (vis, ident) = (&contract.item.vis, &contract.item.ident);
    let doc = format!("Calls a [`{ident}`]. Cheap to clone; usable on any thread and executor.");
    let methods = contract.methods.iter().map(|method| {
        let (docs, name, marker) = (method.docs(), &method.sig.ident, method.marker(contract));
        let (argument, value) = match &method.request {
            Some((name, ty)) => (quote!(, #name: #ty), quote!(#name)),
            None => (TokenStream::new(), quote!(())),
        };
        quote! {
            #(#docs)*
            pub fn #name(&self #argument) -> #private::Call<'_, #marker> {
                #private::Call::new(&*self.endpoint, #value)
            }
        }
    });
    quote! {
        #[doc = #doc]
        #[derive(Debug, Clone)]
        #vis struct #caller {
            endpoint: ::std::sync::Arc<dyn #private::Endpoint<#request>>,
        }

        #[allow(dead_code, reason = "a program need not call every method of a contract")]
        impl #caller {
            /// A caller whose calls go to `endpoint`.
            pub fn over(endpoint: impl #private::Endpoint<#request>) -> Self {
                Self { endpoint: ::std::sync::Arc::new(endpoint) }
            }

            #(#methods)*
        }

        impl ::core::convert::From<::std::sync::Arc<dyn #private::Endpoint<#request>>>
            for #caller
        {
            fn from(endpoint: ::std::sync::Arc<dyn #private::Endpoint<#request>>) -> Self {
                Self { endpoint }
            }
        }
    }
}

fn emit_responder(contract: &Contract, names: &Names) -> TokenStream {
    let Names {
        request,
        responder,
        private,
        ..
    } = names;
    let (vis, ident) = (&contract.item.vis, &contract.item.ident);
    let doc = format!("Answers calls of [`{ident}`] with a service, by static dispatch.");
    let arms = contract
        .methods
        .iter()
        .map(|method| emit_arm(contract, names, method));
    quote! {
        #[doc = #doc]
        #[derive(Debug)]
        #vis struct #responder<S> {
            service: S,
        }

        impl<S: #ident> #private::Respond for #responder<S> {
            type Contract = #request;
            type Service = S;

            fn new(service: S) -> Self {
                Self { service }
            }

            async fn respond(
                &self,
                request: #request,
                scope: &#private::Scope,
            ) -> #private::Ended {
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
    let (ident, name, variant) = (&contract.item.ident, &method.sig.ident, method.variant());
    let (argument, request_name) = match method.request {
        Some(_) => (quote!(, request), quote!(request)),
        None => (TokenStream::new(), quote!(())),
    };
    // A method whose future is not `Send` is reported at its own signature.
    let span = method
        .sig
        .inputs
        .first()
        .map_or_else(|| name.span(), FnArg::span);
    let invoke = quote_spanned!(span=> <S as #ident>::#name(&self.service, cx #argument));
    let finish = match method.kind {
        Kind::Unary { .. } => quote!(call.finish(outcome, scope)),
        Kind::ServerStream { .. } => quote!(call.stream(outcome, scope).await),
    };
    quote! {
        #request::#variant(call) => {
            let (call, #request_name) = match call.start(scope) {
                ::core::result::Result::Ok(started) => started,
                ::core::result::Result::Err(ended) => return ended,
            };
            let outcome = {
                let cx = call.context();
                let mut early = ::core::option::Option::None;
                // Pinned where it is made: moving a future about costs more than an empty call.
                let mut handler = ::core::pin::pin!(#private::begin(&mut early, || #invoke));
                let outcome = #private::Guard::new(handler.as_mut(), &mut early, cx).await;
                outcome
            };
            #finish
        }
    }
}
