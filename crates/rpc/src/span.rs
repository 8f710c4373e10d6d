//! The span of a call that runs, with the feature `tracing`; without it there is nothing here.
//!
//! A subscriber is foreign code, and may panic: all calls of it are contained here.

#[cfg(not(feature = "tracing"))]
pub(crate) use none::CallSpan;
#[cfg(feature = "tracing")]
pub(crate) use some::CallSpan;

#[cfg(feature = "tracing")]
mod some {
    use insula_core::contain;
    use tracing::Span;
    use tracing::field::{Empty, debug, display};

    use crate::context::Scope;
    use crate::contract::{Contract, How, Method};
    use crate::envelope::TraceContext;
    use crate::guard::{Panic, catch};

    /// `None` if the subscriber panicked when it was made, and in its drop.
    pub(crate) struct CallSpan(Option<Span>);

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
            Self(catch(make).ok())
        }

        /// Runs a part of the call. A panic of it is caught inside of the span: the subscriber is
        /// called at its end too, and a second panic in one unwinding would end the process.
        pub(crate) fn catch<R>(&self, f: impl FnOnce() -> R) -> Result<R, Panic> {
            let Some(span) = &self.0 else {
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
            if let Some(span) = &self.0 {
                contain(|| {
                    span.record("outcome", debug(how));
                });
            }
        }
    }

    impl Drop for CallSpan {
        fn drop(&mut self) {
            if let Some(span) = self.0.take() {
                contain(move || drop(span));
            }
        }
    }
}

#[cfg(not(feature = "tracing"))]
mod none {
    use crate::context::Scope;
    use crate::contract::{How, Method};
    use crate::envelope::TraceContext;
    use crate::guard::{Panic, catch};

    pub(crate) struct CallSpan;

    #[expect(
        clippy::unused_self,
        clippy::extra_unused_type_parameters,
        reason = "as with the feature, where there is a span"
    )]
    impl CallSpan {
        pub(crate) fn new<M: Method>(_scope: &Scope, _trace: Option<TraceContext>) -> Self {
            Self
        }

        pub(crate) fn catch<R>(&self, f: impl FnOnce() -> R) -> Result<R, Panic> {
            catch(f)
        }

        pub(crate) fn end(&self, _how: How) {}
    }
}
