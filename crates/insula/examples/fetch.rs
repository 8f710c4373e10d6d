//! An HTTP client that needs tokio, in an isolate. It fetches from a local server in another
//! isolate. Each isolate polls its own futures; tokio only wakes them.
//!
//! `cargo run -p insula --features tokio --example fetch`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioIo;
use insula::{Isolate, ReplyTo, one_shot, spawn_local};
use tokio::net::TcpListener;

type Failure = Box<dyn Error + Send + Sync>;

/// Runs the client's connections as tasks of the isolate that made them.
#[derive(Clone)]
struct InIsolate;

impl<F> hyper::rt::Executor<F> for InIsolate
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        spawn_local(async { drop(future.await) });
    }
}

/// Answers with the path of the request in capitals.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = format!("you asked for {}", request.uri().path().to_uppercase());
    Ok(Response::new(Full::from(text)))
}

async fn serve(address: ReplyTo<SocketAddr>) -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    address.send(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let http = hyper::server::conn::http1::Builder::new();
        let connection = http.serve_connection(TokioIo::new(stream), service_fn(answer));
        spawn_local(async {
            if let Err(error) = connection.await {
                println!("a connection failed: {error}");
            }
        });
    }
}

async fn fetch(server: SocketAddr) -> Result<Vec<String>, Failure> {
    let client: Client<_, Full<Bytes>> = Client::builder(InIsolate).build_http();
    let mut texts = Vec::new();
    for path in ["sea", "land", "island"] {
        let uri: Uri = format!("http://{server}/{path}").parse()?;
        let body = client.get(uri).await?.into_body().collect().await?;
        texts.push(String::from_utf8(body.to_bytes().to_vec())?);
    }
    Ok(texts)
}

fn main() -> Result<(), Failure> {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let runtime = insula::tokio::builder(tokio.handle().clone()).build();
    let texts = runtime.block_on(async {
        let (reply, address) = one_shot();
        Isolate::builder().name("server").spawn(serve, reply);
        let address = address.await?;
        Isolate::run_async(async move || fetch(address).await).await?
    })?;
    for text in &texts {
        println!("{text}");
    }
    assert_eq!(texts.len(), 3);
    runtime.shut_down();
    Ok(())
}
