//! The risk: a tool for traces shows a call apart from what has made it.

use insula_core::{Runtime, block_on};
use insula_pool::{Shutdown, WorkerPool};
use insula_rpc::{Context, contract};
use opentelemetry::trace::{SpanId, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tracing_subscriber::layer::SubscriberExt;

#[contract(crate = insula_rpc)]
trait Bakery {
    /// Takes the flour of a mill.
    async fn bake(&self, cx: &Context) -> Result<(), std::convert::Infallible>;
}

#[contract(crate = insula_rpc)]
trait Mill {
    async fn grind(&self, cx: &Context) -> Result<(), std::convert::Infallible>;
}

struct Stones;

impl Mill for Stones {
    async fn grind(&self, _: &Context) -> Result<(), std::convert::Infallible> {
        Ok(())
    }
}

struct Oven(MillCaller);

impl Bakery for Oven {
    async fn bake(&self, _: &Context) -> Result<(), std::convert::Infallible> {
        let ground = self.0.grind().await;
        assert!(ground.is_ok(), "the mill serves");
        Ok(())
    }
}

/// Returns the span of a call of a method.
fn call_of<'a>(spans: &'a [SpanData], method: &str) -> &'a SpanData {
    let is_it = |span: &&SpanData| {
        let mut attributes = span.attributes.iter();
        let names = |key: &str, value: &str| {
            let mut pairs = attributes.clone();
            pairs.any(|it| it.key.as_str() == key && it.value.as_str() == value)
        };
        let is_ours = names("pool", "traced mill") || names("pool", "traced bakery");
        span.name == "call" && is_ours && attributes.any(|it| it.value.as_str() == method)
    };
    spans.iter().find(is_it).expect("the call has a span")
}

#[test]
fn calls_are_children_of_the_spans_that_make_them() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder();
    let provider = provider.with_simple_exporter(exporter.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("insula"));
    // Of the whole process, since workers have threads of their own. No other test sets one.
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).expect("it is the only one");

    let runtime = Runtime::builder().threads(1).build();
    let _entered = runtime.enter();
    let mill = WorkerPool::builder().name("traced mill").workers(1);
    let mill = mill.service::<MillResponder<_>>(|_| async { Ok(Stones) });
    let mill: WorkerPool<MillRequest> = block_on(mill.build()).expect("it starts");
    let flour: MillCaller = mill.caller();
    let bakery = WorkerPool::builder().name("traced bakery").workers(1);
    let bakery = bakery.service::<BakeryResponder<_>>(move |_| {
        let flour = flour.clone();
        async { Ok(Oven(flour)) }
    });
    let bakery: WorkerPool<BakeryRequest> = block_on(bakery.build()).expect("it starts");
    let caller: BakeryCaller = bakery.caller();
    let request = tracing::info_span!("a request");
    let baked = request.in_scope(|| block_on(caller.bake()));
    assert!(baked.is_ok(), "{baked:?}");
    drop(request);
    runtime.block_on(bakery.shut_down(Shutdown::now()));
    runtime.block_on(mill.shut_down(Shutdown::now()));
    runtime.shut_down();

    let spans = exporter.get_finished_spans().expect("they are kept");
    let request = spans.iter().find(|it| it.name == "a request");
    let request = request.expect("it has ended");
    let (bake, grind) = (call_of(&spans, "bake"), call_of(&spans, "grind"));
    assert_eq!(request.parent_span_id, SpanId::INVALID);
    assert_eq!(bake.parent_span_id, request.span_context.span_id());
    assert_eq!(grind.parent_span_id, bake.span_context.span_id());
    let trace = request.span_context.trace_id();
    assert_eq!(bake.span_context.trace_id(), trace);
    assert_eq!(grind.span_context.trace_id(), trace);
}
