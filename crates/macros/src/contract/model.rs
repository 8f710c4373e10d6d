//! Reads a trait into a [`Contract`], or reports why it cannot be one.

mod attributes;
mod inputs;
mod names;
mod options;
mod output;
mod owned;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident};
use syn::ext::IdentExt;
use syn::{
    Attribute, Error, Ident, Item, ItemTrait, Path, Signature, TraitItem, TraitItemFn, Type,
    TypeImplTrait,
};

pub(super) use attributes::select;
use inputs::Inputs;
use options::Options;
use owned::Rule;

/// A trait that passed every check.
pub(super) struct Contract {
    /// The trait as the user wrote it, without its methods.
    pub(super) item: ItemTrait,
    pub(super) name: String,
    pub(super) version: u32,
    pub(super) krate: Path,
    /// `true` if its calls can be written as bytes.
    pub(super) is_wired: bool,
    pub(super) access: Access,
    pub(super) methods: Vec<Method>,
}

/// The use of the service by the methods of a contract.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// `&self`: several calls may run at once.
    Shared,
    /// `&mut self`: one call runs at a time.
    Exclusive,
}

/// One method of a contract.
pub(super) struct Method {
    pub(super) attrs: Vec<Attribute>,
    /// The signature as the user wrote it.
    pub(super) sig: Signature,
    /// Its name in Rust, without `r#`.
    pub(super) name: String,
    /// Its name among the variants of the request enum.
    pub(super) variant: Ident,
    /// The type behind the reference of the second parameter.
    pub(super) context: Type,
    /// The parameters between the context and the `Inbound`.
    pub(super) parameters: Vec<Parameter>,
    /// The last parameter, with the type of its items, if the caller sends a stream.
    pub(super) inbound: Option<Parameter>,
    pub(super) answer: Answer,
    pub(super) error: Type,
    /// `true` if it is marked with `#[idempotent]`.
    pub(super) is_idempotent: bool,
    /// The variant of `WorkType` that `#[work(..)]` names.
    pub(super) work: Ident,
    /// FNV-1a of the method's name: stable when methods are added or reordered.
    pub(super) id: u64,
}

/// A part of a request.
pub(super) struct Parameter {
    pub(super) name: Ident,
    pub(super) ty: Type,
}

/// The answer of a method.
pub(super) enum Answer {
    Value { response: Type },
    Stream { stream: TypeImplTrait, item: Type },
}

const MIXED: &str = "the methods of a contract all take `&self`, or all take `&mut self`: then the \
                     service runs one call at a time";

/// Method names that the generated caller needs for itself.
const RESERVED: [&str; 3] = ["over", "clone", "fmt"];

const REQUEST: Rule = Rule {
    subject: "a request",
    owned: "a request is owned, because it moves to another isolate: take it by value",
};
const RESPONSE: Rule = Rule {
    subject: "a response",
    owned: "a response is owned, because it moves to the caller: return it by value",
};
const ITEM: Rule = Rule {
    subject: "an item of a stream",
    owned: "an item of a stream is owned, because it moves to another isolate: give it by value",
};
const ERROR: Rule = Rule {
    subject: "an error",
    owned: "an error is owned, because it moves to the caller: return it by value",
};

pub(super) fn read(options: TokenStream, item: TokenStream) -> syn::Result<Contract> {
    let mut item = read_trait(item)?;
    let Options {
        name,
        version,
        krate,
        is_wired,
    } = options::read(&item.ident, options)?;
    let mut faults = Faults::default();
    let mut methods: Vec<Method> = Vec::new();
    let mut access = None;
    // Taken out, since the trait that is emitted has other methods in their place.
    for member in std::mem::take(&mut item.items) {
        if let Some((mut method, how)) = faults.keep(read_member(member)) {
            if *access.get_or_insert(how) != how {
                faults.add(Error::new_spanned(&method.sig.inputs[0], MIXED));
            }
            let taken: Vec<&Ident> = methods.iter().map(|other| &other.variant).collect();
            method.variant = names::variant(&method.sig.ident, &taken);
            let twin = methods.iter().find(|other| other.id == method.id);
            // Two methods under conditions may be one method in two forms, each for another system.
            if let Some(twin) = twin
                && !(method.is_conditional() && twin.is_conditional())
            {
                let message = "this method has the id of another one: rename one of them";
                faults.add(Error::new_spanned(&method.sig.ident, message));
            }
            methods.push(method);
        }
    }
    // A trait whose methods are all faulty is not called empty as well.
    if methods.is_empty() && faults.0.is_none() {
        let message = "a contract needs at least one method";
        faults.add(Error::new_spanned(&item.ident, message));
    }
    faults.none_or(Contract {
        item,
        name,
        version,
        krate,
        is_wired,
        // Without any method there is a fault, and this is not used.
        access: access.unwrap_or(Access::Shared),
        methods,
    })
}

impl Contract {
    /// The conditions under which there is a contract at all.
    pub(super) fn conditions(&self) -> Vec<Attribute> {
        select(&self.item.attrs, &["cfg"])
    }
}

impl Method {
    /// The values of the request, in their order.
    pub(super) fn values(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().chain(&self.inbound)
    }

    /// The conditions under which there is such a method.
    pub(super) fn conditions(&self) -> Vec<Attribute> {
        select(&self.attrs, &["cfg"])
    }

    fn is_conditional(&self) -> bool {
        !self.conditions().is_empty()
    }
}

/// Collects faults, so that one compilation shows all of them.
#[derive(Default)]
struct Faults(Option<Error>);

impl Faults {
    fn add(&mut self, fault: Error) {
        match &mut self.0 {
            Some(all) => all.combine(fault),
            none => *none = Some(fault),
        }
    }

    fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|fault| self.add(fault)).ok()
    }

    fn none_or<T>(self, value: T) -> syn::Result<T> {
        self.0.map_or(Ok(value), Err)
    }
}

fn read_trait(item: TokenStream) -> syn::Result<ItemTrait> {
    let fault = |spanned: &dyn ToTokens, message: &str| Err(Error::new_spanned(spanned, message));
    let item = match syn::parse2(item)? {
        Item::Trait(item) => item,
        Item::Impl(item) => {
            let message = "`#[contract]` belongs on the trait: an `impl` of it has no attribute";
            return fault(&item.impl_token, message);
        }
        other => return fault(&other, "`#[contract]` belongs on a trait"),
    };
    if !item.generics.params.is_empty() || item.generics.where_clause.is_some() {
        let message = "a contract cannot be generic: write one contract per concrete type";
        return match &item.generics.where_clause {
            Some(clause) if item.generics.params.is_empty() => fault(clause, message),
            _ => fault(&item.generics, message),
        };
    }
    if let Some(unsafety) = &item.unsafety {
        return fault(unsafety, "a contract is a safe trait");
    }
    Ok(item)
}

/// Takes the attribute away that says that a method may run more than once.
fn take_idempotent(attrs: &mut Vec<Attribute>) -> syn::Result<bool> {
    let found = attrs
        .iter()
        .position(|attr| attr.path().is_ident("idempotent"));
    let Some(index) = found else {
        return Ok(false);
    };
    // Taken out, since the compiler knows no attribute of this name.
    attrs.remove(index).meta.require_path_only()?;
    if let Some(twice) = attrs.iter().find(|attr| attr.path().is_ident("idempotent")) {
        return Err(Error::new_spanned(twice, "a method is idempotent once"));
    }
    Ok(true)
}

/// Takes the attribute away that says what the work of a method needs most.
fn take_work(attrs: &mut Vec<Attribute>) -> syn::Result<Ident> {
    let Some(index) = attrs.iter().position(|attr| attr.path().is_ident("work")) else {
        return Ok(format_ident!("Balanced"));
    };
    let work: Ident = attrs.remove(index).parse_args()?;
    if let Some(twice) = attrs.iter().find(|attr| attr.path().is_ident("work")) {
        return Err(Error::new_spanned(
            twice,
            "the work of a method has one type",
        ));
    }
    Ok(match work.to_string().as_str() {
        "balanced" => format_ident!("Balanced"),
        "cpu" => format_ident!("Cpu"),
        "memory" => format_ident!("Memory"),
        "io" => format_ident!("Io"),
        _ => {
            let message = "the types of work are `cpu`, `memory`, `io` and `balanced`";
            return Err(Error::new_spanned(work, message));
        }
    })
}

fn read_member(member: TraitItem) -> syn::Result<(Method, Access)> {
    match member {
        TraitItem::Fn(method) => read_method(method),
        other => Err(Error::new_spanned(other, "a contract has methods only")),
    }
}

fn read_method(method: TraitItemFn) -> syn::Result<(Method, Access)> {
    let TraitItemFn {
        mut attrs,
        sig,
        default,
        ..
    } = method;
    check_form(&sig)?;
    if let Some(body) = default {
        let message = "a contract method has no body: services have it";
        return Err(Error::new_spanned(body, message));
    }
    let is_idempotent = take_idempotent(&mut attrs)?;
    let work = take_work(&mut attrs)?;
    let name = sig.ident.unraw().to_string();
    if RESERVED.contains(&name.as_str()) {
        let message = format!("`{name}` is a method of every caller: choose another name");
        return Err(Error::new_spanned(&sig.ident, message));
    }
    let Inputs {
        access,
        context,
        parameters,
        inbound,
    } = inputs::read(&sig)?;
    let (answer, error) = output::read(&sig)?;
    let method = Method {
        attrs,
        // Only until `read`, which knows the variants of the other methods, chooses one.
        variant: sig.ident.clone(),
        context,
        parameters,
        inbound,
        answer,
        error,
        is_idempotent,
        work,
        // Of the name without `r#`, so that it stays the same if a later edition makes a keyword of
        // it.
        id: fnv1a(&name),
        name,
        sig,
    };
    Ok((method, access))
}

/// Checks everything before the parentheses.
fn check_form(sig: &Signature) -> syn::Result<()> {
    let fault = |span: Span, message: &str| Err(Error::new(span, message));
    if sig.asyncness.is_none() {
        return fault(sig.fn_token.span, "a contract method is an `async fn`");
    }
    if let Some(token) = &sig.constness {
        return fault(token.span, "a contract method is a plain `async fn`");
    }
    if let Some(token) = &sig.unsafety {
        return fault(token.span, "a contract method is a plain `async fn`");
    }
    if let Some(abi) = &sig.abi {
        return fault(
            abi.extern_token.span,
            "a contract method is a plain `async fn`",
        );
    }
    let generics = &sig.generics;
    let has_types = generics.type_params().next().is_some()
        || generics.const_params().next().is_some()
        || generics.where_clause.is_some();
    if has_types {
        let message = "a contract method cannot be generic: write one method per concrete type";
        return Err(match &generics.where_clause {
            Some(clause) if generics.params.is_empty() => Error::new_spanned(clause, message),
            _ => Error::new_spanned(generics, message),
        });
    }
    if !generics.params.is_empty() {
        let message = "a contract method names no lifetimes: what it takes and gives is owned";
        return Err(Error::new_spanned(generics, message));
    }
    Ok(())
}

/// Computes FNV-1a with 64 bits: offset basis and prime as published by Fowler, Noll and Vo.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
