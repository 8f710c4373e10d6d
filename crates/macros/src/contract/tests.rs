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
            "GreeterGreetMethod",
            "GreeterPingAllMethod",
            "GreeterCountMethod",
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

fn flat(file: &syn::File) -> String {
    quote!(#file).to_string().replace(' ', "")
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
    assert!(flat(&file).contains("Rude>>+::core::marker::Send,Rude>>+::core::marker::Send;"));
}

#[test]
fn a_method_has_one_of_four_kinds() {
    let file = accepted(
        quote!(crate = rpc),
        quote! {
            trait All {
                async fn unary(&self, cx: &Context, a: A, b: B) -> Result<R, E>;
                async fn server(&self, cx: &Context)
                    -> Result<impl Stream<Item = Result<I, E>>, E>;
                async fn client(&self, cx: &Context, items: Inbound<T>) -> Result<R, E>;
                async fn both(&self, cx: &Context, a: A, items: Inbound<T>)
                    -> Result<impl Stream<Item = Result<I, E>>, E>;
            }
        },
    );
    let text = flat(&file);
    for kind in ["Unary", "ServerStream", "ClientStream", "Bidirectional"] {
        let kind = format!("kind:rpc::__private::MethodKind::{kind},");
        assert_eq!(text.matches(&kind).count(), 1, "{kind} in {text}");
    }
    assert_eq!(text.matches("ServerStreamingfor").count(), 2);
    assert_eq!(text.matches("ClientStreamingfor").count(), 2);
    for signature in [
        "pubfnunary(&self,a:A,b:B)->rpc::__private::Call<AllUnaryMethod>",
        "pubfnserver(&self,)->rpc::__private::Call<AllServerMethod>",
        "pubfnclient(&self,)->rpc::__private::StreamingCall<AllClientMethod>",
        "pubfnboth(&self,a:A)->rpc::__private::StreamingCall<AllBothMethod>",
    ] {
        assert!(text.contains(signature), "{signature} in {text}");
    }
}

#[test]
fn a_service_that_is_borrowed_mutably_runs_one_call_at_a_time() {
    let of = |item: TokenStream| flat(&accepted(quote!(), item));
    let exclusive = of(quote!(
        trait A {
            async fn m(&mut self, cx: &Context) -> Result<(), E>;
            async fn n(self: &mut Self, cx: &Context) -> Result<(), E>;
        }
    ));
    assert!(exclusive.contains("EXCLUSIVE:bool=true"));
    assert!(exclusive.contains("service:::insula::__private::Exclusive<S>"));
    assert!(exclusive.starts_with("traitA:::core::marker::Send{"));
    let shared = of(quote!(
        trait A {
            async fn m(&self, cx: &Context) -> Result<(), E>;
            async fn n(self: &Self, cx: &Context) -> Result<(), E>;
        }
    ));
    assert!(shared.contains("EXCLUSIVE:bool=false"));
    assert!(shared.starts_with("traitA:::core::marker::Send+::core::marker::Sync{"));
}

#[test]
fn conditions_of_a_method_are_on_everything_that_is_made_of_it() {
    let file = accepted(
        quote!(),
        quote! {
            trait A {
                #[cfg(unix)]
                async fn m(&self, cx: &Context, items: Inbound<u8>)
                    -> Result<impl Stream<Item = Result<u8, E>>, E>;
            }
        },
    );
    // The trait's method, the marker and its three traits, the variant, the three arms, the method
    // table and the caller's method.
    assert_eq!(flat(&file).matches("#[cfg(unix)]").count(), 11);
    let whole = quote! {
        #[cfg(unix)]
        trait A {
            async fn m(&self, cx: &Context) -> Result<(), E>;
        }
    };
    let file = accepted(quote!(), whole);
    for item in &file.items {
        let text = quote!(#item).to_string();
        assert!(
            text.starts_with(&quote!(#[cfg(unix)]).to_string()),
            "{text}"
        );
    }
}

#[test]
fn a_contract_names_nothing_of_the_wire_without_the_option() {
    let contract = quote! {
        trait A {
            async fn m(&self, cx: &Context, a: A, items: Inbound<T>)
                -> Result<impl Stream<Item = Result<I, E>>, E>;
            async fn n(&self, cx: &Context) -> Result<R, E>;
        }
    };
    let without = flat(&accepted(quote!(), contract.clone()));
    assert!(!without.to_lowercase().contains("wire"), "{without}");
    let with = flat(&accepted(quote!(wire), contract));
    let added = with.strip_prefix(&without);
    let added = added.unwrap_or_else(|| panic!("{with} begins with {without}"));
    assert!(
        added.starts_with("::insula::__private::if_wire!{"),
        "{added}"
    );
}

#[test]
fn conditions_are_on_what_the_wire_adds() {
    let file = accepted(
        quote!(wire),
        quote! {
            trait A {
                #[cfg(unix)]
                async fn m(&self, cx: &Context) -> Result<(), E>;
                async fn n(&self, cx: &Context) -> Result<(), E>;
            }
        },
    );
    let text = flat(&file);
    let (_, added) = text.split_once("if_wire!").expect("is there");
    // The method's values, its line of the schema, and the two arms.
    assert_eq!(added.matches("#[cfg(unix)]").count(), 4, "{added}");
}

#[test]
fn callers_are_told_what_the_trait_says_to_callers() {
    let file = accepted(
        quote!(),
        quote! {
            trait A {
                /// Says hello.
                #[deprecated]
                #[must_use]
                #[inline]
                #[expect(non_snake_case)]
                async fn m(&self, cx: &Context) -> Result<(), E>;
            }
        },
    );
    let said = quote!(
        #[doc = r" Says hello."]
        #[deprecated]
        #[allow(non_snake_case)]
        pub fn m
    );
    let said = said.to_string().replace(' ', "");
    assert!(flat(&file).contains(&said), "{said} in {}", flat(&file));
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
                    async fn m(&self, name: &str) -> Result<(), E>;
                }
            ),
            context,
        ),
        (
            quote!(
                trait A {
                    async fn m(&self, cx: rpc::Context) -> Result<(), E>;
                }
            ),
            "write `&rpc::Context`",
        ),
        (
            quote!(
                trait A {
                    async fn m(cx: &Context) -> Result<(), E>;
                }
            ),
            "`&self` first",
        ),
        (
            quote!(
                trait A {
                    async fn m(self: Arc<Self>, cx: &Context) -> Result<(), E>;
                }
            ),
            "takes `&self`, or `&mut self`",
        ),
        (
            quote!(
                trait A {
                    async fn m(&self, cx: &Context) -> Result<(), E>;
                    async fn n(&mut self, cx: &Context) -> Result<(), E>;
                }
            ),
            "all take `&self`, or all take `&mut self`",
        ),
    ]);
}

fn with_request(request: TokenStream) -> TokenStream {
    quote!(
        trait A {
            async fn m(&self, cx: &Context, #request) -> Result<(), E>;
        }
    )
}

#[test]
fn faulty_requests_are_named() {
    assert_refused(
        [
            (quote!(q: &str), "take it by value, as `String`"),
            (quote!(q: Vec<&[u8]>), "take it by value, as `Vec<u8>`"),
            (quote!(q: Cow<'_, str>), "without a lifetime"),
            (quote!(q: &dyn Read), "as `Box<dyn Read>`"),
            (quote!(q: impl Send), "a named type"),
            (quote!(q: Vec<_>), "is written out"),
            (quote!(q: Self), "`Self` is the service"),
            (quote!(q: Box<dyn Error>), "write `dyn Error + Send + Sync`"),
            (
                quote!(q: Box<dyn FnOnce(&u8)>),
                "write `dyn FnOnce(&u8) + Send`",
            ),
            (quote!((a, b): (u8, u8)), "a plain name"),
            (quote!(mut a: u8), "a plain name"),
            (quote!(#[cfg(unix)] a: u8), "no attributes"),
            (quote!(a: Inbound<u8>, b: u8), "the last parameter"),
            (
                quote!(a: Inbound<u8>, b: Inbound<u8>),
                "one `Inbound` at most",
            ),
            (quote!(a: Option<Inbound<u8>>), "a parameter of its own"),
            (quote!(a: Inbound), "`Inbound<Item>`"),
            (quote!(a: Inbound<&u8>), "an item of a stream is owned"),
        ]
        .map(|(request, message)| (with_request(request), message)),
    );
    let thirteen = (0..13)
        .map(|at| format!("a{at}: u8"))
        .collect::<Vec<_>>()
        .join(", ");
    let thirteen = thirteen.parse().expect("are parameters");
    assert_refused([(with_request(thirteen), "at most 12 values")]);
}

#[test]
fn values_that_borrow_nothing_are_accepted() {
    for request in [
        quote!(q: &'static str),
        quote!(q: Cow<'static, str>),
        quote!(q: fn(&str) -> &str),
        quote!(q: Box<dyn Fn(&str) -> &str + Send>),
        quote!(q: Box<dyn for<'a> Visitor<'a>>),
        quote!(a: A, _: B, _: C, request: D, items: insula::rpc::Inbound<T>),
    ] {
        accepted(quote!(), with_request(request));
    }
}

fn with_output(output: TokenStream) -> TokenStream {
    quote!(
        trait A {
            async fn m(&self, cx: &Context) #output;
        }
    )
}

#[test]
fn faulty_return_types_are_named() {
    let as_stream = "write `impl Stream<Item = Result<u8, E>>`";
    assert_refused(
        [
            (quote!(), "returns `Result<Response"),
            (quote!(-> Result<()>), "both types"),
            (
                quote!(-> Result<impl Stream, E>),
                "returns `Result<Response",
            ),
            (
                quote!(-> Result<impl Iterator<Item = u8>, E>),
                "returns `Result<Response",
            ),
            (
                quote!(-> Result<&str, E>),
                "return it by value, as `String`",
            ),
            (quote!(-> Result<(), &'a str>), "an error is owned"),
            (quote!(-> Result<BoxStream<'static, u8>, E>), as_stream),
            (
                quote!(-> Result<Pin<Box<dyn Stream<Item = Result<u8, E>> + Send>>, E>),
                as_stream,
            ),
            (
                quote!(-> impl Stream<Item = Result<u8, E>>),
                "write `Result<impl Stream<Item = Result<u8, E>>, Error>`",
            ),
            (
                quote!(-> Result<impl Stream<Item = u8>, E>),
                "write `Item = Result<u8, E>`",
            ),
            (
                quote!(-> Result<impl Stream<Item = Result<u8, F>>, E>),
                "write `Item = Result<u8, E>`",
            ),
        ]
        .map(|(output, message)| (with_output(output), message)),
    );
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

#[test]
fn options_are_given_once() {
    for options in [quote!(wire, wire), quote!(version = 1, wire, version = 2)] {
        let item = quote!(
            trait A {
                async fn m(&self, cx: &Context) -> Result<(), E>;
            }
        );
        let out = expand(options, item).to_string();
        assert!(out.contains("is given twice"), "{out}");
    }
}
