//! The risk: an exporter gets nothing, or another number than the other tools.

use insula_core::{Isolate, ReceivePort, Runtime};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

use crate::Inspector;

#[test]
fn an_exporter_gets_the_numbers_of_the_newest_sample() {
    let runtime = Runtime::builder().threads(1).build();
    let builder = Isolate::builder().runtime(&runtime);
    let port = builder.spawn_with_port(|port: ReceivePort<()>| {
        port.listen(|()| {});
    });
    let inspector = Inspector::builder().runtime(&runtime).announce(false);
    let inspector = inspector.start().expect("a port is free");
    let exporter = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder()
        .with_reader(PeriodicReader::builder(exporter.clone()).build())
        .build();
    inspector.observe(&provider.meter("insula"));
    provider.force_flush().expect("it is exported");
    let exported = exporter.get_finished_metrics().expect("it is there");
    let scopes = exported.iter().flat_map(|it| it.scope_metrics());
    let metrics: Vec<_> = scopes.flat_map(|it| it.metrics()).collect();
    let spawned = metrics
        .iter()
        .find(|it| it.name() == "insula.isolates_spawned");
    let spawned = spawned.expect("it is exported").data();
    let AggregatedMetrics::U64(MetricData::Sum(spawned)) = spawned else {
        panic!("it is no sum: {spawned:?}");
    };
    let values: Vec<_> = spawned.data_points().map(|it| it.value()).collect();
    assert_eq!(values, [1]);
    let has = |name: &str| metrics.iter().any(|it| it.name() == name);
    assert!(has("insula.isolates"), "isolates by state");
    assert_eq!(has("insula.cpu"), cfg!(target_os = "linux"));
    drop((port, inspector));
    // Then there is nothing to tell, and no error.
    provider.force_flush().expect("it is exported");
    runtime.shut_down();
}
