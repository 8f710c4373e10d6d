//! Reads a trait into a [`Contract`], or reports why it cannot be one.

use proc_macro2::{Span, TokenStream};
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, FnArg, GenericArgument, Ident, ItemTrait, LitInt, LitStr, Pat, Path,
    PathArguments, PathSegment, ReturnType, Signature, TraitBound, TraitItem, TraitItemFn, Type,
    TypeImplTrait, TypeParamBound, parse_quote,
};

/// A trait that passed every check.
pub(super) struct Contract {
    /// The trait as the user wrote it, without its methods.
    pub(super) item: ItemTrait,
    pub(super) name: String,
    pub(super) version: u32,
    pub(super) krate: Path,
    pub(super) methods: Vec<Method>,
}

/// One method of a contract.
pub(super) struct Method {
    pub(super) attrs: Vec<Attribute>,
    /// The signature as the user wrote it.
    pub(super) sig: Signature,
    /// The name and the type of the request, unless the method takes none.
    pub(super) request: Option<(Ident, Type)>,
    pub(super) kind: Kind,
    pub(super) error: Type,
    /// FNV-1a of the method's name: stable when methods are added or reordered.
    pub(super) id: u64,
}

/// The shape of a call, read from the return type.
pub(super) enum Kind {
    Unary { response: Type },
    ServerStream { stream: TypeImplTrait, item: Type },
}

/// Method names that the generated caller needs for itself.
const RESERVED: [&str; 3] = ["over", "clone", "fmt"];

pub(super) fn read(options: TokenStream, item: TokenStream) -> syn::Result<Contract> {
    let mut item: ItemTrait = syn::parse2(item)?;
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &item.generics,
            "a contract cannot be generic: write one contract per concrete type",
        ));
    }
    let (name, version, krate) = read_options(&item.ident, options)?;
    let mut faults = Faults::default();
    let mut methods: Vec<Method> = Vec::new();
    for member in std::mem::take(&mut item.items) {
        if let Some(method) = faults.keep(read_member(member)) {
            if methods.iter().any(|other| other.id == method.id) {
                faults.add(Error::new_spanned(
                    &method.sig.ident,
                    "two methods of this contract have the same id: rename one of them",
                ));
            }
            methods.push(method);
        }
    }
    if methods.is_empty() && faults.0.is_none() {
        faults.add(Error::new_spanned(
            &item.ident,
            "a contract needs at least one method",
        ));
    }
    faults.none_or(Contract {
        item,
        name,
        version,
        krate,
        methods,
    })
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

fn read_options(ident: &Ident, tokens: TokenStream) -> syn::Result<(String, u32, Path)> {
    let mut name = ident.to_string();
    let mut version = 1;
    let mut krate: Path = parse_quote!(::insula);
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("name") {
            name = meta.value()?.parse::<LitStr>()?.value();
        } else if meta.path.is_ident("version") {
            version = meta.value()?.parse::<LitInt>()?.base10_parse()?;
        } else if meta.path.is_ident("crate") {
            krate = meta.value()?.call(Path::parse_mod_style)?;
        } else {
            let options = "`name = \"…\"`, `version = N` and `crate = path`";
            return Err(meta.error(format!("the options of a contract are {options}")));
        }
        Ok(())
    });
    parser.parse2(tokens)?;
    Ok((name, version, krate))
}

fn read_member(member: TraitItem) -> syn::Result<Method> {
    match member {
        TraitItem::Fn(method) => read_method(method),
        other => Err(Error::new_spanned(other, "a contract has methods only")),
    }
}

fn read_method(method: TraitItemFn) -> syn::Result<Method> {
    let TraitItemFn {
        attrs,
        sig,
        default,
        ..
    } = method;
    if sig.asyncness.is_none() {
        return Err(Error::new_spanned(
            sig.fn_token,
            "a contract method is an `async fn`",
        ));
    }
    if let Some(body) = default {
        return Err(Error::new_spanned(
            body,
            "a contract method has no body: services have it",
        ));
    }
    if !sig.generics.params.is_empty() || sig.generics.where_clause.is_some() {
        return Err(Error::new_spanned(
            &sig.generics,
            "a contract method cannot be generic",
        ));
    }
    let name = sig.ident.to_string();
    if RESERVED.contains(&name.as_str()) {
        let message = format!("`{name}` is a method of every caller: choose another name");
        return Err(Error::new_spanned(&sig.ident, message));
    }
    let request = read_inputs(&sig)?;
    let (kind, error) = read_output(&sig)?;
    Ok(Method {
        attrs,
        request,
        kind,
        error,
        id: fnv1a(&name),
        sig,
    })
}

fn read_inputs(sig: &Signature) -> syn::Result<Option<(Ident, Type)>> {
    let mut inputs = sig.inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(receiver))
            if receiver.reference.is_some()
                && receiver.mutability.is_none()
                && receiver.colon_token.is_none() => {}
        Some(other) => {
            return Err(Error::new_spanned(
                other,
                "a contract method takes `&self`: several calls may run at once, so what changes \
                 belongs into a cell or a lock of the service",
            ));
        }
        None => {
            return Err(Error::new_spanned(
                &sig.ident,
                "a contract method takes `&self`",
            ));
        }
    }
    match inputs.next() {
        Some(FnArg::Typed(argument)) if is_context(&argument.ty) => {}
        other => {
            let span = other.map_or_else(|| sig.ident.span(), Spanned::span);
            return Err(Error::new(
                span,
                "a contract method takes `cx: &Context` after `&self`: it carries the call's \
                 deadline and its cancellation",
            ));
        }
    }
    let request = match inputs.next() {
        None => None,
        Some(FnArg::Typed(argument)) => Some((request_name(&argument.pat)?, &*argument.ty)),
        Some(receiver) => return Err(Error::new_spanned(receiver, "`self` comes first")),
    };
    if let Some(extra) = inputs.next() {
        return Err(Error::new_spanned(
            extra,
            "a contract method takes one request: put several values into a struct or a tuple",
        ));
    }
    let Some((name, ty)) = request else {
        return Ok(None);
    };
    check_request(ty)?;
    Ok(Some((name, ty.clone())))
}

fn request_name(pattern: &Pat) -> syn::Result<Ident> {
    match pattern {
        Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => {
            Ok(name.ident.clone())
        }
        Pat::Wild(wild) => Ok(Ident::new("request", wild.span())),
        other => Err(Error::new_spanned(
            other,
            "a request is taken by a plain name",
        )),
    }
}

fn check_request(ty: &Type) -> syn::Result<()> {
    match ty {
        Type::Reference(_) => Err(Error::new_spanned(
            ty,
            "a request is owned, because it moves to another isolate: take it by value",
        )),
        Type::ImplTrait(_) => Err(Error::new_spanned(ty, "a request has a named type")),
        Type::Path(path)
            if path
                .path
                .segments
                .last()
                .is_some_and(|s| s.ident == "Inbound") =>
        {
            Err(Error::new_spanned(
                ty,
                "client-streaming and bidirectional methods are not supported yet: a contract \
                 method takes one request and gives one response or a stream",
            ))
        }
        _ => Ok(()),
    }
}

fn is_context(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else {
        return false;
    };
    let Type::Path(path) = &*reference.elem else {
        return false;
    };
    reference.mutability.is_none()
        && path
            .path
            .segments
            .last()
            .is_some_and(|segment| segment.ident == "Context")
}

fn read_output(sig: &Signature) -> syn::Result<(Kind, Type)> {
    let fault = |span: Span| {
        Error::new(
            span,
            "a contract method returns `Result<Response, Error>` or \
             `Result<impl Stream<Item = Result<Item, Error>>, Error>`, with both types written out",
        )
    };
    let ReturnType::Type(_, output) = &sig.output else {
        return Err(fault(sig.ident.span()));
    };
    let Some((value, error)) = result_types(output) else {
        return Err(fault(output.span()));
    };
    let kind = match value {
        Type::ImplTrait(stream) => {
            let Some((item, _)) = stream_item(stream).and_then(result_types) else {
                return Err(fault(stream.span()));
            };
            Kind::ServerStream {
                stream: stream.clone(),
                item: item.clone(),
            }
        }
        Type::Reference(_) => {
            return Err(Error::new_spanned(
                value,
                "a response is owned: return it by value",
            ));
        }
        response => Kind::Unary {
            response: response.clone(),
        },
    };
    Ok((kind, error.clone()))
}

/// Returns the two types of a `Result<_, _>` that is written out.
fn result_types(ty: &Type) -> Option<(&Type, &Type)> {
    let Type::Path(path) = ty else { return None };
    let segment = path
        .path
        .segments
        .last()
        .filter(|segment| segment.ident == "Result")?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    let mut types = arguments.args.iter().map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    match (types.next(), types.next(), types.next()) {
        (Some(Some(value)), Some(Some(error)), None) => Some((value, error)),
        _ => None,
    }
}

/// Returns the `Item` of an `impl Stream<Item = …>`.
fn stream_item(stream: &TypeImplTrait) -> Option<&Type> {
    let last = |bound: &TraitBound| -> Option<PathSegment> {
        bound
            .path
            .segments
            .last()
            .filter(|segment| segment.ident == "Stream")
            .cloned()
    };
    stream.bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else {
            return None;
        };
        last(bound)?;
        let PathArguments::AngleBracketed(arguments) = &bound.path.segments.last()?.arguments
        else {
            return None;
        };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(binding) if binding.ident == "Item" => Some(&binding.ty),
            _ => None,
        })
    })
}

/// Computes FNV-1a with 64 bits: offset basis and prime as published by Fowler, Noll and Vo.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
