//! The risk: a collector of OpenTelemetry gets nothing of a program, or something else than it shows.
//!
//! The exporter is that of the project, with OTLP over HTTP; the collector is one of the test, which
//! decodes what comes with the messages of the protocol.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use insula_core::{Isolate, ReceivePort, Runtime, block_on};
use insula_inspect::Inspector;
use insula_pool::{Shutdown, WorkerPool};
use insula_rpc::{Context, contract};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{MetricExporter, Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, metric, number_data_point};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use prost::Message;

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

/// A client that blocks, on the thread that the exporter has for itself.
#[derive(Debug)]
struct Client(SocketAddr);

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut stream = TcpStream::connect(self.0)?;
        let (path, body) = (request.uri().path(), request.body());
        let kind = &request.headers()["content-type"];
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
            self.0,
            kind.to_str()?,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        Ok(Response::new(Bytes::new()))
    }
}

/// Starts a collector. Returns its address, and the heads and bodies of the requests.
fn collector() -> (SocketAddr, mpsc::Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has one");
    let (requests, received) = mpsc::channel();
    // It ends with the process of the tests.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if requests.send(receive(stream)).is_err() {
                return;
            }
        }
    });
    (address, received)
}

fn receive(mut stream: TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    let mut next = || {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("the client sends all");
        byte[0]
    };
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(next());
    }
    let head = String::from_utf8(bytes).expect("it is a text");
    let length = head
        .lines()
        .find_map(|it| it.strip_prefix("Content-Length: "));
    let length: usize = length.and_then(|it| it.parse().ok()).expect("it is there");
    let body = (0..length).map(|_| next()).collect();
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(answer).expect("the client waits");
    (head, body)
}

/// Returns the values of a metric, each with its attributes as `key=value`. They are whole numbers, or
/// seconds.
fn values(metrics: &[Metric], name: &str) -> Vec<(Vec<String>, f64)> {
    let metric = metrics.iter().find(|it| it.name == name);
    let metric = metric.unwrap_or_else(|| panic!("{name} is missing: {metrics:?}"));
    let points = match metric.data.as_ref().expect("it has data") {
        metric::Data::Gauge(gauge) => &gauge.data_points,
        metric::Data::Sum(sum) => &sum.data_points,
        other => panic!("{name} is neither a gauge nor a sum: {other:?}"),
    };
    let value = |point: &NumberDataPoint| match point.value {
        Some(number_data_point::Value::AsInt(number)) if metric.unit != "s" => number as f64,
        Some(number_data_point::Value::AsDouble(seconds)) if metric.unit == "s" => seconds,
        other => panic!("{name} has a number of another type: {other:?}"),
    };
    let pairs = points.iter();
    pairs
        .map(|it| (it.attributes.iter().map(attribute).collect(), value(it)))
        .collect()
}

fn attribute(pair: &KeyValue) -> String {
    let value = pair.value.as_ref().and_then(|it| it.value.as_ref());
    match value {
        Some(any_value::Value::StringValue(text)) => format!("{}={text}", pair.key),
        other => panic!("{} is no text: {other:?}", pair.key),
    }
}

#[test]
fn a_collector_gets_the_isolates_and_the_calls_of_the_program() {
    let runtime = Runtime::builder().threads(1).build();
    let _entered = runtime.enter();
    let port = Isolate::builder().spawn_with_port(|port: ReceivePort<()>| {
        port.listen(|()| {});
    });
    let builder = WorkerPool::builder().name("exported mill").workers(1);
    let builder = builder.service::<MillResponder<_>>(|_| async { Ok(Stones) });
    let pool: WorkerPool<MillRequest> = block_on(builder.build()).expect("it starts");
    let caller: MillCaller = pool.caller();
    for _ in 0..3 {
        block_on(caller.grind()).expect("it is answered");
    }
    let inspector = Inspector::builder().runtime(&runtime).announce(false);
    let inspector = inspector.start().expect("a port is free");

    let (address, requests) = collector();
    let exporter = MetricExporter::builder()
        .with_http()
        .with_http_client(Client(address))
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("http://{address}/v1/metrics"))
        .build()
        .expect("it has a client");
    let reader = PeriodicReader::builder(exporter).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    inspector.observe(&provider.meter("insula"));
    provider.force_flush().expect("it is exported");

    let patience = Duration::from_secs(20);
    let (head, body) = requests.recv_timeout(patience).expect("it is sent");
    assert!(head.starts_with("POST /v1/metrics HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("application/x-protobuf"), "{head}");
    let request = ExportMetricsServiceRequest::decode(body.as_slice()).expect("it is one");
    let scopes = request
        .resource_metrics
        .into_iter()
        .flat_map(|it| it.scope_metrics);
    let metrics: Vec<_> = scopes.flat_map(|it| it.metrics).collect();
    let states = values(&metrics, "insula.isolates");
    // The isolate, the worker's, and that of the pool itself.
    assert!(
        states.iter().map(|it| it.1).sum::<f64>() >= 3.0,
        "{states:?}"
    );
    let ended = values(&metrics, "insula.pool.ended_calls");
    let is_answered = |attributes: &Vec<String>| {
        let has = |wanted: &str| attributes.iter().any(|it| it == wanted);
        has("pool=exported mill") && has("outcome=answered")
    };
    let answered = ended.iter().find(|it| is_answered(&it.0));
    assert_eq!(answered.map(|it| it.1), Some(3.0), "{ended:?}");
    let workers = values(&metrics, "insula.pool.ready_workers");
    let ours = |it: &&(Vec<String>, f64)| it.0.iter().any(|it| it == "pool=exported mill");
    assert_eq!(workers.iter().find(ours).map(|it| it.1), Some(1.0));
    let submitted = values(&metrics, "insula.pool.submitted_calls");
    assert_eq!(submitted.iter().find(ours).map(|it| it.1), Some(3.0));
    let latency = values(&metrics, "insula.pool.latency");
    let quantiles: Vec<_> = latency.iter().filter(ours).collect();
    assert_eq!(quantiles.len(), 4, "{latency:?}");
    let first = quantiles.first().map(|it| it.1);
    assert!(first > Some(0.0) && first < Some(10.0), "{latency:?}");

    provider.shutdown().expect("it ends");
    drop(inspector);
    runtime.block_on(pool.shut_down(Shutdown::now()));
    drop(port);
    runtime.shut_down();
}
