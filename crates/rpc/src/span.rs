//! The span of a call that runs, with the feature `tracing`; without it there is nothing here.
//!
//! A subscriber is foreign code, and may panic: all of this is called where panics are caught, or
//! catches them itself.

#[cfg(not(feature = "tracing"))]
pub(crate) use none::CallSpan;
#[cfg(feature = "tracing")]
pub(crate) use some::CallSpan;

#[cfg(feature = "tracing")]
mod some {
    use tracing::field::{Empty, display};
    use tracing::span::Entered;

    use crate::context::Scope;
    use crate::contract::{Contract, How, Method};
    use crate::envelope::TraceContext;
    use crate::guard::catch;

    pub(crate) struct CallSpan(tracing::Span);

    impl CallSpan {
        pub(crate) fn new<M: Method>(scope: &Scope, trace: Option<TraceContext>) -> Self {
            let make = || {
                let span = tracing::info_span!(
                    target: "insula::rpc",
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
                if let Some(trace) = trace {
                    let (id, parent) = (trace.trace_id(), trace.span_id());
                    span.record("trace_id", display(format_args!("{id:032x}")));
                    span.record("parent_span_id", display(format_args!("{parent:016x}")));
                }
                span
            };
            Self(catch(make).unwrap_or_else(|_panic| tracing::Span::none()))
        }

        /// The code that runs until the guard is dropped belongs to the call.
        pub(crate) fn enter(&self) -> Entered<'_> {
            self.0.enter()
        }

        /// The call has ended like this.
        pub(crate) fn end(&self, how: How) {
            let _panic = catch(|| self.0.record("outcome", tracing::field::debug(how)));
        }
    }
}

#[cfg(not(feature = "tracing"))]
mod none {
    use crate::context::Scope;
    use crate::contract::{How, Method};
    use crate::envelope::TraceContext;

    pub(crate) struct CallSpan;

    pub(crate) struct Entered;

    #[expect(
        clippy::unused_self,
        clippy::extra_unused_type_parameters,
        reason = "as with the feature, where there is a span"
    )]
    impl CallSpan {
        pub(crate) fn new<M: Method>(_scope: &Scope, _trace: Option<TraceContext>) -> Self {
            Self
        }

        pub(crate) fn enter(&self) -> Entered {
            Entered
        }

        pub(crate) fn end(&self, _how: How) {}
    }
}
