//! Risk: a trait that cannot work as a contract compiles, or fails far from its fault.

use super::*;
use quote::quote;

fn accepted(options: TokenStream, item: TokenStream) -> syn::File {
    let out = expand(options, item);
    syn::parse2(out.clone()).unwrap_or_else(|e| panic!("{e}: {out}"))
}

fn refused(item: TokenStream) -> String {
    let out = expand(TokenStream::new(), item).to_string();
    assert!(out.contains("compile_error"), "{out}");
    out
}

fn names(file: &syn::File) -> Vec<String> {
    let mut found = Vec::new();
    for item in &file.items {
        match item {
            syn::Item::Trait(item) => found.push(item.ident.to_string()),
            syn::Item::Struct(item) => found.push(item.ident.to_string()),
            syn::Item::Enum(item) => found.push(item.ident.to_string()),
            _ => {}
        }
    }
    found
}

#[test]
fn a_contract_gives_its_four_items_and_one_marker_per_method() {
    let file = accepted(
        quote!(name = "greeting", version = 3, crate = here),
        quote! {
            pub trait Greeter {
                async fn greet(&self, cx: &Context, name: String) -> Result<String, Rude>;
                async fn ping_all(&self, _: &Context) -> Result<(), Rude>;
                async fn count(&self, cx: &insula::Context, _: u32)
                    -> Result<impl Stream<Item = Result<u32, Rude>>, Rude>;
            }
        },
    );
    assert_eq!(
        names(&file),
        [
            "Greeter",
            "GreeterGreet",
            "GreeterPingAll",
            "GreeterCount",
            "GreeterRequest",
            "GreeterCaller",
            "GreeterResponder"
        ]
    );
    let text = quote!(#file).to_string();
    assert!(text.contains("const NAME : & 'static str = \"greeting\""));
    assert!(text.contains("const VERSION : u32 = 3"));
    assert!(text.contains("here :: __private :: Method") && !text.contains("insula :: __private"));
}

#[test]
fn futures_and_streams_are_promised_to_be_send() {
    let file = accepted(
        quote!(),
        quote! {
            trait Numbers {
                async fn count(&self, cx: &Context)
                    -> Result<impl Stream<Item = Result<u32, Rude>>, Rude>;
            }
        },
    );
    let Some(syn::Item::Trait(item)) = file.items.first() else {
        panic!("no trait")
    };
    let Some(syn::TraitItem::Fn(method)) = item.items.first() else {
        panic!("no method")
    };
    assert!(method.sig.asyncness.is_none());
    let text = quote!(#file).to_string();
    let text = text.replace(' ', "");
    assert!(text.contains("Rude>>+::core::marker::Send+'static,Rude>>+::core::marker::Send"));
}

#[test]
fn method_ids_depend_on_the_name_only() {
    let id = |item: TokenStream| -> Vec<u64> {
        let contract = model::read(TokenStream::new(), item).unwrap_or_else(|e| panic!("{e}"));
        contract.methods.iter().map(|method| method.id).collect()
    };
    let one = id(quote!(
        trait A {
            async fn a(&self, cx: &Context) -> Result<(), E>;
        }
    ));
    let two = id(quote!(
        trait B {
            async fn b(&self, cx: &Context) -> Result<(), E>;
            async fn a(&self, cx: &Context, more: u8) -> Result<u8, E>;
        }
    ));
    assert_eq!(one[0], two[1]);
    assert_eq!(
        one[0], 0xaf63_dc4c_8601_ec8c,
        "the published FNV-1a of \"a\""
    );
}

fn assert_refused<const N: usize>(cases: [(TokenStream, &str); N]) {
    for (item, message) in cases {
        let out = refused(item);
        assert!(out.contains(message), "expected {message:?} in {out}");
    }
}

#[test]
fn traits_that_are_no_contracts_are_refused() {
    assert_refused([
        (
            quote!(
                trait A<T> {
                    async fn m(&self, cx: &Context) -> Result<(), E>;
                }
            ),
            "generic",
        ),
        (
            quote!(
                trait A {}
            ),
            "at least one method",
        ),
        (
            quote!(
                trait A {
                    type X;
                }
            ),
            "methods only",
        ),
        (
            quote!(
                trait A {
                    fn m(&self, cx: &Context) -> Result<(), E>;
                }
            ),
            "`async fn`",
        ),
        (
            quote!(
                trait A {
                    async fn m(&self, cx: &Context) {}
                }
            ),
            "no body",
        ),
        (
            quote!(
                trait A {
                    async fn m<T>(&self, cx: &Context) -> Result<(), E>;
                }
            ),
            "generic",
        ),
        (
            quote!(
                trait A {
                    async fn over(&self, cx: &Context) -> Result<(), E>;
                }
            ),
            "every caller",
        ),
    ]);
}

#[test]
fn faulty_arguments_are_named() {
    let context = "takes `cx: &Context` after `&self`";
    let inbound = quote!(
        trait A {
            async fn m(&self, cx: &Context, items: Inbound<u8>) -> Result<(), E>;
        }
    );
    assert_refused([
        (
            quote!(
                trait A {
                    async fn m(&self) -> Result<(), E>;
                }
            ),
            context,
        ),
        (
            quote!(
                trait A {
                    async fn m(&self, q: u8) -> Result<(), E>;
                }
            ),
            context,
        ),
        (
            quote!(
                trait A {
                    async fn m(&mut self, cx: &Context) -> Result<(), E>;
                }
            ),
            "`&self`",
        ),
        (
            quote!(
                trait A {
                    async fn m(cx: &Context) -> Result<(), E>;
                }
            ),
            "`&self`",
        ),
        (
            quote!(
                trait A {
                    async fn m(&self, cx: &Context, q: &str) -> Result<(), E>;
                }
            ),
            "owned",
        ),
        (
            quote!(
                trait A {
                    async fn m(&self, cx: &Context, a: u8, b: u8) -> Result<(), E>;
                }
            ),
            "one request",
        ),
        (inbound, "not supported yet"),
    ]);
}

#[test]
fn faulty_return_types_are_named() {
    let stream = quote!(
        trait A {
            async fn m(&self, cx: &Context) -> Result<impl Stream, E>;
        }
    );
    assert_refused([
        (
            quote!(
                trait A {
                    async fn m(&self, cx: &Context);
                }
            ),
            "returns `Result<Response",
        ),
        (
            quote!(
                trait A {
                    async fn m(&self, cx: &Context) -> Result<()>;
                }
            ),
            "both types",
        ),
        (stream, "returns `Result<Response"),
        (
            quote!(
                trait A {
                    async fn m(&self, cx: &Context) -> Result<&str, E>;
                }
            ),
            "owned",
        ),
    ]);
}

#[test]
fn every_fault_of_a_trait_is_reported_at_once() {
    let out = refused(quote! {
        trait A {
            async fn m(&self) -> Result<(), E>;
            async fn n(&self, cx: &Context);
        }
    });
    assert_eq!(out.matches("compile_error").count(), 2, "{out}");
}

#[test]
fn unknown_options_are_refused() {
    let out = expand(
        quote!(nmae = "x"),
        quote!(
            trait A {
                async fn m(&self, cx: &Context) -> Result<(), E>;
            }
        ),
    );
    assert!(out.to_string().contains("the options of a contract are"));
}
