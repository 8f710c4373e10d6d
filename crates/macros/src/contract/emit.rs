//! Turns a checked [`Contract`] into code.

mod caller;
mod marker;
mod responder;
mod wire;

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Ident, ReturnType, parse_quote};

use super::model::{Access, Answer, Contract, Method};

pub(super) fn emit(contract: &Contract) -> TokenStream {
    let names = Names::new(contract);
    let trait_item = emit_trait(contract);
    let markers = contract
        .methods
        .iter()
        .map(|method| marker::emit(contract, &names, method));
    let request = emit_request(contract, &names);
    let caller = caller::emit(contract, &names);
    let responder = responder::emit(contract, &names);
    let wire = contract.is_wired.then(|| wire::emit(contract, &names));
    quote!(#trait_item #(#markers)* #request #caller #responder #wire)
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
    /// The name of the marker. Its end sets it apart from the names of the other items, also if a
    /// method is called `request`, `caller` or `responder`.
    fn marker(&self, contract: &Contract) -> Ident {
        format_ident!("{}{}Method", contract.item.ident, self.variant)
    }

    /// The conditions of the contract and of the method, for an item of its own.
    fn all_conditions(&self, contract: &Contract) -> Vec<Attribute> {
        let mut conditions = contract.conditions();
        conditions.extend(self.conditions());
        conditions
    }
}

/// Emits the trait: an `async fn` becomes a method that returns a `Send` future, and a stream is
/// `Send` too.
///
/// A stream may borrow the service and the context. Were it `'static`, an `impl` could not have the
/// signature of the contract: its `impl Stream` captures the lifetimes of all parameters.
///
/// That a service is `'static` is demanded by the responder: as a bound of the trait it would be
/// reported several times for each method, and nowhere near the service that borrows.
fn emit_trait(contract: &Contract) -> TokenStream {
    let mut item = contract.item.clone();
    item.supertraits.push(parse_quote!(::core::marker::Send));
    // Calls that run at once share the service: their futures have a reference to it, and are
    // `Send` only if it is `Sync`.
    if contract.access == Access::Shared {
        item.supertraits.push(parse_quote!(::core::marker::Sync));
    }
    for Method {
        attrs,
        sig,
        answer,
        error,
        ..
    } in &contract.methods
    {
        let mut sig = sig.clone();
        // An `async fn` in a trait could not promise that its future is `Send`.
        sig.asyncness = None;
        // Where a service does not keep a promise, the compiler shows what is promised here.
        let span = match &sig.output {
            ReturnType::Type(_, output) => output.span(),
            ReturnType::Default => sig.ident.span(),
        };
        let send = quote_spanned!(span=> ::core::marker::Send);
        let value = match answer {
            Answer::Value { response } => quote!(#response),
            Answer::Stream { stream, .. } => {
                let mut stream = stream.clone();
                stream.bounds.push(parse_quote!(#send));
                quote!(#stream)
            }
        };
        let output = quote_spanned! {span=>
            -> impl ::core::future::Future<
                Output = ::core::result::Result<#value, #error>
            > + #send
        };
        sig.output = parse_quote!(#output);
        item.items.push(parse_quote!(#(#attrs)* #sig;));
    }
    quote!(#item)
}

/// Emits the request enum, and its part as the contract between callers and endpoints.
fn emit_request(contract: &Contract, names: &Names) -> TokenStream {
    let Names {
        request, private, ..
    } = names;
    let (vis, name, version) = (&contract.item.vis, &contract.name, contract.version);
    let conditions = contract.conditions();
    let doc = format!(
        "A call of [`{}`] on its way to a service.",
        contract.item.ident
    );
    let (mut variants, mut descriptors, mut arms) = (Vec::new(), Vec::new(), Vec::new());
    let mut places = Vec::new();
    for method in &contract.methods {
        let (conditions, variant) = (method.conditions(), &method.variant);
        let marker = method.marker(contract);
        let doc = format!("A call of `{}`.", method.name);
        variants.push(quote!(#(#conditions)* #[doc = #doc] #variant(#private::Pending<#marker>),));
        let descriptor = quote!(<#marker as #private::Method>::DESCRIPTOR);
        descriptors.push(quote!(#(#conditions)* #descriptor,));
        // With the method's conditions, or it would name a variant that is not there.
        arms.push(quote!(#(#conditions)* Self::#variant(ref call) => call,));
        // Looked up, since a method that is left out by its conditions has no place.
        places.push(quote! {
            #(#conditions)*
            Self::#variant(_) => const {
                #private::place_of(<Self as #private::Contract>::METHODS, #descriptor.id)
            },
        });
    }
    quote! {
        #(#conditions)*
        #[doc = #doc]
        #[derive(Debug)]
        #[allow(non_camel_case_types, reason = "two methods may have one name in camel case")]
        #vis enum #request {
            #(#variants)*
        }

        #(#conditions)*
        impl #private::Contract for #request {
            const NAME: &'static str = #name;
            const VERSION: u32 = #version;
            const METHODS: &'static [#private::MethodDescriptor] = &[#(#descriptors)*];
        }

        #(#conditions)*
        impl #private::Calls for #request {
            const METHOD_COUNT: usize = <Self as #private::Contract>::METHODS.len();

            fn methods() -> ::std::vec::Vec<(&'static str, #private::MethodDescriptor)> {
                #private::methods_of::<Self>()
            }

            fn method(&self) -> usize {
                match *self {
                    #(#places)*
                }
            }

            fn pending(&self) -> &dyn #private::PendingCall {
                // Not through a reference: that would not be exhaustive without a method.
                match *self {
                    #(#arms)*
                }
            }
        }
    }
}
