//! The check that a value can move: its type is written out, and borrows nothing.
//!
//! This sees only what is written in the trait. That the types are `Send` is checked by the code
//! that is generated for them.

use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{
    Error, Lifetime, ParenthesizedGenericArguments, PathSegment, TraitBound, Type, TypeBareFn,
    TypeImplTrait, TypeInfer, TypeParamBound, TypePath, TypeReference, TypeTraitObject,
};

/// The words about a kind of value.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    /// The value, at the start of a sentence.
    pub(super) subject: &'static str,
    /// The advice for a type that borrows.
    pub(super) owned: &'static str,
}

impl Rule {
    /// Checks the type of a value.
    pub(super) fn check(&self, ty: &Type) -> syn::Result<()> {
        let mut search = Search {
            rule: *self,
            fault: None,
        };
        search.visit_type(ty);
        search.fault.map_or(Ok(()), Err)
    }
}

/// Searches a type for its first part that cannot move.
struct Search {
    rule: Rule,
    fault: Option<Error>,
}

/// Traits of the standard library, and `Stream`, whose objects are not `Send` unless they say so.
const NOT_SEND: [&str; 10] = [
    "Any", "Debug", "Display", "Error", "Fn", "FnMut", "FnOnce", "Future", "Iterator", "Stream",
];

impl Search {
    fn add(&mut self, spanned: &dyn ToTokens, message: String) {
        if self.fault.is_none() {
            self.fault = Some(Error::new_spanned(spanned, message));
        }
    }
}

impl<'ast> Visit<'ast> for Search {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        if is_static(reference.lifetime.as_ref()) {
            return self.visit_type(&reference.elem);
        }
        let instead = owned_form(&reference.elem);
        self.add(reference, format!("{}, as `{instead}`", self.rule.owned));
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if !is_static(Some(lifetime)) {
            let advice = "as a type without a lifetime, or with `'static`";
            self.add(lifetime, format!("{}, {advice}", self.rule.owned));
        }
    }

    fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
        self.add(ty, format!("{} has a named type", self.rule.subject));
    }

    fn visit_type_infer(&mut self, ty: &'ast TypeInfer) {
        self.add(
            ty,
            format!("the type of {} is written out", self.rule.subject),
        );
    }

    fn visit_type_path(&mut self, ty: &'ast TypePath) {
        let first = ty.path.segments.first();
        if ty.qself.is_none() && first.is_some_and(|first| first.ident == "Self") {
            let message = "`Self` is the service, whose types callers do not know: name the type";
            return self.add(ty, message.to_owned());
        }
        visit::visit_type_path(self, ty);
    }

    fn visit_path_segment(&mut self, segment: &'ast PathSegment) {
        if segment.ident == "Inbound" {
            let message = "an `Inbound<Item>` is a parameter of its own, the last one of a method";
            return self.add(segment, message.to_owned());
        }
        visit::visit_path_segment(self, segment);
    }

    fn visit_type_trait_object(&mut self, object: &'ast TypeTraitObject) {
        let names: Vec<String> = object.bounds.iter().filter_map(name_of).collect();
        let is_send = names.iter().any(|name| name == "Send");
        if !is_send && names.iter().any(|name| NOT_SEND.contains(&&**name)) {
            let (subject, written) = (self.rule.subject, text(object));
            // `?` converts errors to an object that is `Send + Sync`, and to none that is `Send`
            // alone.
            let missing = if names.iter().any(|name| name == "Error") {
                "Send + Sync"
            } else {
                "Send"
            };
            let message = format!(
                "{subject} is `Send`, because it moves to another isolate: write \
                 `{written} + {missing}`"
            );
            return self.add(object, message);
        }
        visit::visit_type_trait_object(self, object);
    }

    // The lifetimes of a function's parameters are its own: a pointer to one borrows nothing.
    fn visit_type_bare_fn(&mut self, _: &'ast TypeBareFn) {}

    fn visit_parenthesized_generic_arguments(&mut self, _: &'ast ParenthesizedGenericArguments) {}

    fn visit_trait_bound(&mut self, bound: &'ast TraitBound) {
        // Nor do the lifetimes of a `for<'a>` borrow anything.
        if bound.lifetimes.is_none() {
            visit::visit_trait_bound(self, bound);
        }
    }
}

/// Returns a type without the parentheses, or the invisible group of a macro, around it.
pub(super) fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peel(&group.elem),
        Type::Paren(paren) => peel(&paren.elem),
        _ => ty,
    }
}

fn name_of(bound: &TypeParamBound) -> Option<String> {
    match bound {
        TypeParamBound::Trait(bound) => Some(bound.path.segments.last()?.ident.to_string()),
        _ => None,
    }
}

fn is_static(lifetime: Option<&Lifetime>) -> bool {
    lifetime.is_some_and(|lifetime| lifetime.ident == "static")
}

/// Returns what to write in place of a reference to `ty`.
fn owned_form(ty: &Type) -> String {
    match peel(ty) {
        Type::Slice(slice) => format!("Vec<{}>", text(&slice.elem)),
        Type::TraitObject(_) => format!("Box<{}>", text(ty)),
        Type::Path(path) if path.path.is_ident("str") => "String".to_owned(),
        other => text(other),
    }
}

/// Returns a type as users write it: tokens are printed with blanks between them.
pub(super) fn text(ty: &dyn ToTokens) -> String {
    let tokens = ty.to_token_stream().to_string();
    let mut text = String::new();
    let mut rest = tokens.chars().peekable();
    while let Some(letter) = rest.next() {
        let is_tight = match (text.chars().last(), rest.peek()) {
            (Some(before), _) if "<:&([".contains(before) => true,
            (_, Some(&after)) if "<>,:;)]".contains(after) => true,
            (Some(before), Some('(')) => before.is_alphanumeric(),
            _ => false,
        };
        if letter != ' ' || !is_tight {
            text.push(letter);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_str;

    #[test]
    fn types_are_quoted_as_they_are_written() {
        for written in [
            "Vec<u8>",
            "std::result::Result<Option<u32>, (u8, Oops)>",
            "dyn FnOnce(&u8) -> Vec<u8> + Send",
            "[u8; 4]",
            "Cow<'static, str>",
        ] {
            let ty: Type = parse_str(written).expect("is a type");
            assert_eq!(text(&ty), written);
        }
    }
}
