//! Questions of the generated code to the compiler, so that a mistake in a contract is reported
//! once, at its place, and in words that name it.

use crate::context::Context;

/// The type of a method's second parameter.
#[diagnostic::on_unimplemented(
    message = "the second parameter of a contract method is its context, and `{Self}` is none",
    label = "this is not the type `Context`",
    note = "write `cx: &Context` after `&self`, and the values of the request after it"
)]
pub trait IsContext {
    /// Passes the context on, under its type in the method.
    fn of(cx: &Context) -> &Self;
}

impl IsContext for Context {
    fn of(cx: &Context) -> &Self {
        cx
    }
}

/// `T`, if it can move to another isolate, as
/// `<T as Moves<{ moves_to_another_isolate::<T>() }>>::This`.
///
/// If `T` cannot, the call in the braces does not compile. Then the whole has no type, and the
/// compiler reports nothing further about what is made of it.
pub trait Moves<const CHECKED: bool> {
    /// The type itself.
    type This;
}

impl<T> Moves<true> for T {
    type This = T;
}

/// Accepts the types whose values can move to another isolate.
pub const fn moves_to_another_isolate<T: Send + 'static>() -> bool {
    true
}
