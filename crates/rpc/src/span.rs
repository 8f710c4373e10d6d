//! The span of a call that runs, with the feature `tracing`; without it there is nothing here.
//!
//! It is a child of the span in which the call was made, if the caller is in the same program; of
//! another program it has only the names of the trace and of the span there.
//!
//! A subscriber is foreign code, and may panic: all calls of it are contained here.

#[cfg(not(feature = "tracing"))]
pub(crate) use none::{CallSpan, CallerSpan};
#[cfg(feature = "tracing")]
pub(crate) use some::{CallSpan, CallerSpan};

#[cfg(feature = "tracing")]
mod some {
    use insula_core::contain;
    use tracing::Span;
    use tracing::field::{Empty, debug, display};

    use crate::context::Scope;
    use crate::contract::{Contract, How, Method};
    use crate::envelope::Envelope;
    use crate::guard::{Panic, catch};

    /// A span whose drop is contained. `None` in that drop, and if the subscriber has panicked.
    #[derive(Debug)]
    struct Held(Option<Span>);

    impl Drop for Held {
        fn drop(&mut self) {
            if let Some(span) = self.0.take() {
                contain(move || drop(span));
            }
        }
    }

    /// The span in which a call is made. It stays open until the call is over.
    #[derive(Debug)]
    pub(crate) struct CallerSpan(Held);

    impl CallerSpan {
        /// Returns the span that runs; `None` outside of any.
        pub(crate) fn current() -> Option<Self> {
            let span = catch(Span::current).ok()?;
            (!span.is_none()).then(|| Self(Held(Some(span))))
        }
    }

    pub(crate) struct CallSpan(Held);

    impl CallSpan {
        pub(crate) fn new<M: Method>(scope: &Scope, envelope: Option<&Envelope>) -> Self {
            let caller = envelope.and_then(|it| it.span.as_ref()?.0.0.as_ref()?.id());
            let make = || {
                let span = tracing::info_span!(
                    target: "insula::rpc",
                    parent: caller,
                    "call",
                    contract = M::Contract::NAME,
                    method = M::DESCRIPTOR.name,
                    pool = scope.name(),
                    worker = scope.worker().index(),
                    incarnation = scope.incarnation(),
                    trace_id = Empty,
                    parent_span_id = Empty,
                    outcome = Empty,
                );
                if let Some(trace) = envelope.and_then(|it| it.trace) {
                    let (id, parent) = (trace.trace_id(), trace.span_id());
                    span.record("trace_id", display(format_args!("{id:032x}")));
                    span.record("parent_span_id", display(format_args!("{parent:016x}")));
                }
                span
            };
            Self(Held(catch(make).ok()))
        }

        /// Runs a part of the call. A panic of it is caught inside of the span: the subscriber is
        /// called at its end too, and a second panic in one unwinding would end the process.
        pub(crate) fn catch<R>(&self, f: impl FnOnce() -> R) -> Result<R, Panic> {
            let Some(span) = &self.0.0 else {
                return catch(f);
            };
            let mut result = None;
            let entered = catch(|| {
                let _entered = span.enter();
                result = Some(catch(f));
            });
            match (result, entered) {
                // A panic at the end of the span changes nothing.
                (Some(result), _) => result,
                (None, Err(panic)) => Err(panic),
                (None, Ok(())) => unreachable!("it was called"),
            }
        }

        /// The call has ended like this.
        pub(crate) fn end(&self, how: How) {
            if let Some(span) = &self.0.0 {
                contain(|| {
                    span.record("outcome", debug(how));
                });
            }
        }
    }
}

#[cfg(not(feature = "tracing"))]
mod none {
    use crate::context::Scope;
    use crate::contract::{How, Method};
    use crate::envelope::Envelope;
    use crate::guard::{Panic, catch};

    #[derive(Debug)]
    pub(crate) enum CallerSpan {}

    impl CallerSpan {
        pub(crate) fn current() -> Option<Self> {
            None
        }
    }

    pub(crate) struct CallSpan;

    #[expect(
        clippy::unused_self,
        clippy::extra_unused_type_parameters,
        reason = "as with the feature, where there is a span"
    )]
    impl CallSpan {
        pub(crate) fn new<M: Method>(_scope: &Scope, _envelope: Option<&Envelope>) -> Self {
            Self
        }

        pub(crate) fn catch<R>(&self, f: impl FnOnce() -> R) -> Result<R, Panic> {
            catch(f)
        }

        pub(crate) fn end(&self, _how: How) {}
    }
}
