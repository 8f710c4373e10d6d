//! Reads the parameters of a method: the service, the context, the request.

use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, FnArg, GenericArgument, Ident, Pat, PatType, PathArguments, Receiver,
    Signature, Type,
};

use super::owned::{peel, text};
use super::{Access, ITEM, Parameter, REQUEST};

/// The parameters of a method.
pub(super) struct Inputs {
    pub(super) access: Access,
    pub(super) context: Type,
    pub(super) parameters: Vec<Parameter>,
    pub(super) inbound: Option<Parameter>,
}

/// The most values of a request: the traits of tuples end here.
const MOST: usize = 12;

pub(super) fn read(sig: &Signature) -> syn::Result<Inputs> {
    let mut inputs = sig.inputs.iter();
    let access = match inputs.next() {
        Some(FnArg::Receiver(receiver)) => read_receiver(receiver)?,
        Some(FnArg::Typed(_)) | None => {
            let message = "a contract method takes `&self` first";
            return Err(Error::new(sig.ident.span(), message));
        }
    };
    let context = match inputs.next() {
        Some(FnArg::Typed(argument)) => read_context(argument)?,
        Some(FnArg::Receiver(_)) | None => return Err(no_context(&sig.ident)),
    };
    let values: Vec<&PatType> = inputs
        .filter_map(|input| match input {
            FnArg::Typed(argument) => Some(argument),
            FnArg::Receiver(_) => None,
        })
        .collect();
    if let Some(extra) = values.get(MOST) {
        let message = format!("a request has at most {MOST} values: put some into a struct");
        return Err(Error::new_spanned(extra, message));
    }
    let (parameters, inbound) = read_values(&values)?;
    Ok(Inputs {
        access,
        context,
        parameters,
        inbound,
    })
}

fn read_receiver(receiver: &Receiver) -> syn::Result<Access> {
    let fault = |message: &str| Err(Error::new_spanned(receiver, message));
    if let Some(attr) = receiver.attrs.first() {
        return Err(attribute_fault(attr));
    }
    // The parser turns `&self` into `self: &Self`.
    let reference = match &*receiver.ty {
        Type::Reference(reference) if is_self(&reference.elem) => reference,
        _ => {
            return fault(
                "a contract method takes `&self`, or `&mut self` if the service runs one call at \
                 a time",
            );
        }
    };
    if reference.lifetime.is_some() {
        return fault("a contract method takes `&self`, without a lifetime");
    }
    Ok(match reference.mutability {
        None => Access::Shared,
        Some(_) => Access::Exclusive,
    })
}

fn is_self(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.qself.is_none() && path.path.is_ident("Self"))
}

/// Returns the type of the context, whatever its name: the generated code checks it.
fn read_context(argument: &PatType) -> syn::Result<Type> {
    if let Some(attr) = argument.attrs.first() {
        return Err(attribute_fault(attr));
    }
    let reference = match peel(&argument.ty) {
        Type::Reference(reference) => reference,
        Type::Path(path)
            if path
                .path
                .segments
                .last()
                .is_some_and(|it| it.ident == "Context") =>
        {
            let message = format!("the context is shared: write `&{}`", text(path));
            return Err(Error::new_spanned(path, message));
        }
        _ => return Err(no_context(argument)),
    };
    match peel(&reference.elem) {
        // Any name may be an alias of `Context`, but a `&str` is a request whose context is
        // missing.
        Type::Path(path) if !path.path.is_ident("str") => {}
        _ => return Err(no_context(argument)),
    }
    if reference.mutability.is_some() || reference.lifetime.is_some() {
        let message = format!("the context is shared: write `&{}`", text(&reference.elem));
        return Err(Error::new_spanned(reference, message));
    }
    Ok((*reference.elem).clone())
}

fn no_context(spanned: &dyn ToTokens) -> Error {
    Error::new_spanned(
        spanned,
        "a contract method takes `cx: &Context` after `&self`: it carries the call's deadline and \
         its cancellation",
    )
}

fn attribute_fault(attr: &Attribute) -> Error {
    let message = "a parameter of a contract method has no attributes";
    Error::new_spanned(attr, message)
}

/// Reads the parameters after the context, the last of which may be an `Inbound`.
fn read_values(values: &[&PatType]) -> syn::Result<(Vec<Parameter>, Option<Parameter>)> {
    // All of them first: a name that is invented for a `_` must not be that of a later one.
    let mut names: Vec<Ident> = values.iter().filter_map(|it| plain_name(&it.pat)).collect();
    let mut parameters = Vec::new();
    let mut inbound = None;
    for argument in values {
        if let Some(attr) = argument.attrs.first() {
            return Err(attribute_fault(attr));
        }
        let name = read_name(&argument.pat, &mut names)?;
        let ty = match inbound_item(&argument.ty)? {
            None => &argument.ty,
            Some(_) if inbound.is_some() => {
                let message = "a method takes one `Inbound` at most: give its items an enum";
                return Err(Error::new_spanned(&argument.ty, message));
            }
            Some(item) => {
                ITEM.check(item)?;
                let ty = item.clone();
                inbound = Some((Parameter { name, ty }, argument));
                continue;
            }
        };
        if let Some((_, inbound)) = inbound {
            let message = "an `Inbound` is the last parameter, because its items come after the \
                           rest of the request";
            return Err(Error::new_spanned(inbound, message));
        }
        REQUEST.check(ty)?;
        let ty = (**ty).clone();
        parameters.push(Parameter { name, ty });
    }
    Ok((parameters, inbound.map(|(inbound, _)| inbound)))
}

/// Returns the `T` of an `Inbound<T>`, or `None` if the type is another one.
fn inbound_item(ty: &Type) -> syn::Result<Option<&Type>> {
    let segment = match peel(ty) {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    };
    let Some(segment) = segment.filter(|segment| segment.ident == "Inbound") else {
        return Ok(None);
    };
    if let PathArguments::AngleBracketed(arguments) = &segment.arguments
        && let (Some(GenericArgument::Type(item)), 1) =
            (arguments.args.first(), arguments.args.len())
    {
        return Ok(Some(item));
    }
    let message = "the type of the items is written out: `Inbound<Item>`";
    Err(Error::new_spanned(ty, message))
}

/// Returns the name that the caller's parameter has.
fn read_name(pattern: &Pat, names: &mut Vec<Ident>) -> syn::Result<Ident> {
    match (pattern, plain_name(pattern)) {
        (_, Some(name)) => Ok(name),
        (Pat::Wild(wild), None) => Ok(invent_name(wild.span(), names)),
        (other, None) => {
            let message = "a request is taken by a plain name";
            Err(Error::new_spanned(other, message))
        }
    }
}

fn plain_name(pattern: &Pat) -> Option<Ident> {
    match pattern {
        Pat::Ident(name)
            if name.by_ref.is_none() && name.mutability.is_none() && name.subpat.is_none() =>
        {
            Some(name.ident.clone())
        }
        _ => None,
    }
}

/// Returns the name that a caller's parameter has for a `_`.
fn invent_name(span: Span, names: &mut Vec<Ident>) -> Ident {
    let mut name = "request".to_owned();
    while names.iter().any(|other| *other == name) {
        name.push('_');
    }
    let name = Ident::new(&name, span);
    names.push(name.clone());
    name
}
