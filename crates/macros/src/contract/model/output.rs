//! Reads the return type of a method: what it answers with, and its error.

use quote::ToTokens;
use syn::{
    Error, GenericArgument, PathArguments, PathSegment, ReturnType, Signature, TraitBound, Type,
    TypeImplTrait, TypeParamBound,
};

use super::owned::{peel, text};
use super::{Answer, ERROR, ITEM, RESPONSE};

pub(super) fn read(sig: &Signature) -> syn::Result<(Answer, Type)> {
    let ReturnType::Type(_, output) = &sig.output else {
        return Err(fault(&sig.ident));
    };
    if let Type::ImplTrait(stream) = peel(output) {
        let message = match item_of(stream) {
            Some(item) => format!(
                "a method may fail before its stream begins: write \
                 `Result<impl Stream<Item = {}>, Error>`",
                text(item)
            ),
            None => return Err(fault(output)),
        };
        return Err(Error::new_spanned(output, message));
    }
    let Some((value, error)) = result_types(output) else {
        return Err(fault(output));
    };
    ERROR.check(error)?;
    let answer = match peel(value) {
        Type::ImplTrait(stream) => read_stream(stream, error)?,
        _ => {
            check_response(value, error)?;
            Answer::Value {
                response: value.clone(),
            }
        }
    };
    Ok((answer, error.clone()))
}

fn fault(spanned: &dyn ToTokens) -> Error {
    Error::new_spanned(
        spanned,
        "a contract method returns `Result<Response, Error>` or \
         `Result<impl Stream<Item = Result<Item, Error>>, Error>`, with both types written out",
    )
}

fn read_stream(stream: &TypeImplTrait, error: &Type) -> syn::Result<Answer> {
    let Some(item) = item_of(stream) else {
        return Err(fault(stream));
    };
    let advice = |item: &Type| {
        let (item, error) = (text(item), text(error));
        format!("`Item = Result<{item}, {error}>`")
    };
    let Some((value, item_error)) = result_types(item) else {
        let message = format!("each item may be an error: write {}", advice(item));
        return Err(Error::new_spanned(item, message));
    };
    // As they are written: a macro does not see that two names are one type.
    if text(item_error) != text(error) {
        let message = format!(
            "the items of a stream fail with the error of the method: write {}",
            advice(value)
        );
        return Err(Error::new_spanned(item_error, message));
    }
    ITEM.check(value)?;
    Ok(Answer::Stream {
        stream: stream.clone(),
        item: value.clone(),
    })
}

fn check_response(response: &Type, error: &Type) -> syn::Result<()> {
    if let Some(item) = boxed_item(response) {
        let item = match (item, text(error)) {
            (Some(item), _) if result_types(item).is_some() => text(item),
            (Some(item), error) => format!("Result<{}, {error}>", text(item)),
            (None, error) => format!("Result<Item, {error}>"),
        };
        let message = format!(
            "a boxed stream would move to the caller and run there: write \
             `impl Stream<Item = {item}>`, whose items are produced by the service"
        );
        return Err(Error::new_spanned(response, message));
    }
    // The check of the response would find it too, but could not say what to write instead.
    let inbound = last_segment(response).filter(|segment| segment.ident == "Inbound");
    if let Some(item) = inbound.and_then(|inbound| type_arguments(inbound).next()) {
        let (item, error) = (text(item), text(error));
        let message = format!(
            "an `Inbound` is what a caller sends: a method answers with \
             `impl Stream<Item = Result<{item}, {error}>>`"
        );
        return Err(Error::new_spanned(response, message));
    }
    RESPONSE.check(response)
}

/// Returns the item, if it is known, of a type that is a boxed stream.
fn boxed_item(ty: &Type) -> Option<Option<&Type>> {
    if let Type::TraitObject(object) = peel(ty) {
        let stream = object.bounds.iter().find_map(stream_bound)?;
        return Some(associated_item(stream));
    }
    let segment = last_segment(ty)?;
    let name = segment.ident.to_string();
    match name.as_str() {
        "BoxStream" | "LocalBoxStream" => Some(type_arguments(segment).last()),
        "Box" | "Pin" => boxed_item(type_arguments(segment).next()?),
        _ => None,
    }
}

/// Returns the two types of a `Result<_, _>` that is written out.
fn result_types(ty: &Type) -> Option<(&Type, &Type)> {
    // By the last name of the path, since a macro cannot look up what a path stands for. An alias
    // with one parameter hides the error, which has to be known.
    let segment = last_segment(ty).filter(|segment| segment.ident == "Result")?;
    let mut types = type_arguments(segment);
    match (types.next(), types.next(), types.next()) {
        (Some(value), Some(error), None) => Some((value, error)),
        _ => None,
    }
}

/// Returns the `Item` of an `impl Stream<Item = …>`.
fn item_of(stream: &TypeImplTrait) -> Option<&Type> {
    stream
        .bounds
        .iter()
        .find_map(stream_bound)
        .and_then(associated_item)
}

fn stream_bound(bound: &TypeParamBound) -> Option<&TraitBound> {
    match bound {
        TypeParamBound::Trait(bound) => {
            let last = bound.path.segments.last()?;
            (last.ident == "Stream").then_some(bound)
        }
        _ => None,
    }
}

fn associated_item(bound: &TraitBound) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &bound.path.segments.last()?.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(binding) if binding.ident == "Item" => Some(&binding.ty),
        _ => None,
    })
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match peel(ty) {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

fn type_arguments(segment: &PathSegment) -> impl Iterator<Item = &Type> {
    let arguments = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
        _ => None,
    };
    arguments
        .into_iter()
        .flatten()
        .filter_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        })
}
