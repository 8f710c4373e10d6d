//! Risk: a call that is kept as bytes is another one when it is made, or nobody learns how it has ended.

use std::sync::Arc;

use futures_core::Stream;
use futures_util::{StreamExt as _, stream};
use insula_core::{Isolate, ReceivePort, SendPort, block_on};
use insula_rpc::wire::{Encoded, MOST_BYTES, Performed, accept, keep};
use insula_rpc::{CallError, Context, Outcome, Reject, Respond as _, contract, serve};
use insula_sync::Mutex;

#[contract(wire, crate = insula_rpc)]
trait Diary {
    #[idempotent]
    async fn write(&self, cx: &Context, line: String) -> Result<usize, String>;
    #[idempotent]
    async fn pages(
        &self,
        cx: &Context,
        to: u32,
    ) -> Result<impl Stream<Item = Result<u32, String>>, String>;
    #[idempotent]
    async fn read(&self, cx: &Context, letters: usize) -> Result<String, String>;
}

#[derive(Clone, Default)]
struct Book(Arc<Mutex<Vec<String>>>);

impl Diary for Book {
    async fn write(&self, cx: &Context, line: String) -> Result<usize, String> {
        assert!(line != "panic", "as it was told");
        if line == "fail" {
            return Err(line);
        }
        let key = cx.idempotency_key().unwrap_or("no key");
        let mut lines = self.0.lock();
        lines.push(format!("{key}: {line}"));
        Ok(lines.len())
    }

    async fn pages(
        &self,
        _cx: &Context,
        to: u32,
    ) -> Result<impl Stream<Item = Result<u32, String>>, String> {
        let book = self.0.clone();
        Ok(stream::iter(0..=to).map(move |page| {
            if page == to {
                book.lock().push(format!("{to} pages"));
                return Err("the end".to_owned());
            }
            Ok(page)
        }))
    }

    async fn read(&self, _cx: &Context, letters: usize) -> Result<String, String> {
        Ok("a".repeat(letters))
    }
}

fn diary() -> (Book, SendPort<DiaryRequest>) {
    let book = Book::default();
    let service = book.clone();
    let port = Isolate::spawn_with_port(|port| serve(port, DiaryResponder::new(service)));
    (book, port)
}

/// Makes a call of a message that came from elsewhere.
fn perform(port: &SendPort<DiaryRequest>, message: &Encoded) -> Performed {
    let message = Encoded::from(message.bytes.clone());
    let accepted = accept::<DiaryRequest>(&message, MOST_BYTES).expect("it can be read");
    block_on(accepted.perform(Arc::new(port.clone())))
}

#[test]
fn a_kept_call_is_made_as_often_as_it_is_read() {
    let (book, port) = diary();
    let caller = DiaryCaller::over(port.clone());
    let call = caller.write("dear diary".to_owned()).idempotency_key("7");
    let kept = keep(call, MOST_BYTES).unwrap();
    assert_eq!(kept.request.as_deref(), Some("dear diary"));
    assert_eq!(kept.idempotency_key.as_deref(), Some("7"));
    assert!(book.0.lock().is_empty(), "it is not made");
    for _ in 0..2 {
        assert_eq!(perform(&port, &kept.message), Performed::Answered);
    }
    assert_eq!(*book.0.lock(), ["7: dear diary", "7: dear diary"]);
}

#[test]
fn its_end_is_told() {
    let (book, port) = diary();
    let caller = DiaryCaller::over(port.clone());
    let end = |line: &str| {
        let kept = keep(caller.write(line.to_owned()), MOST_BYTES).unwrap();
        perform(&port, &kept.message)
    };
    assert_eq!(end("fail"), Performed::Failed);
    let Performed::NotAnswered(why) = end("panic") else {
        panic!("it has panicked");
    };
    assert!(why.contains("as it was told"), "{why}");
    // More items than a window has, all of which are read.
    let kept = keep(caller.pages(1_000), MOST_BYTES).unwrap();
    assert_eq!(perform(&port, &kept.message), Performed::Failed);
    assert_eq!(*book.0.lock(), ["1000 pages"]);
}

/// A second run would come to the same.
#[test]
fn an_answer_that_cannot_be_written_is_an_end() {
    let (_book, port) = diary();
    let caller = DiaryCaller::over(port.clone());
    let end = |letters| {
        let kept = keep(caller.read(letters), MOST_BYTES).unwrap();
        let accepted = accept::<DiaryRequest>(&kept.message, 1_000).unwrap();
        block_on(accepted.perform(Arc::new(port.clone())))
    };
    assert_eq!(end(500), Performed::Answered);
    let Performed::Unwritten(why) = end(2_000) else {
        panic!("it has too many bytes");
    };
    assert!(why.contains("1000"), "{why}");
}

#[test]
fn a_call_that_is_not_taken_says_why() {
    let (_book, port) = diary();
    let kept = keep(DiaryCaller::over(port).read(1), MOST_BYTES).unwrap();
    let builder = Isolate::builder().bounded(1);
    let (isolate, full) = builder.spawn_pair(|port: ReceivePort<DiaryRequest>| async move {
        std::future::pending::<()>().await;
        drop(port);
    });
    let _first = DiaryCaller::over(full.clone()).read(1).start();
    let ended = perform(&full, &kept.message);
    assert_eq!(ended, Performed::Rejected(Reject::QueueFull));
    isolate.kill();
}

#[test]
fn what_cannot_be_written_comes_back() {
    let (_book, port) = diary();
    let caller = DiaryCaller::over(port);
    let error = keep(caller.write("a".repeat(1_000)), 500).unwrap_err();
    assert!(matches!(error, CallError::Protocol { .. }), "{error:?}");
    assert_eq!(error.outcome(), Outcome::NotStarted);
    assert_eq!(error.into_request().map(|it| it.len()), Some(1_000));
}

#[test]
#[should_panic(expected = "a call that was sent cannot be kept")]
fn a_call_that_was_sent_is_not_kept() {
    let (_book, port) = diary();
    let call = DiaryCaller::over(port).write("a".to_owned()).start();
    let _kept = keep(call, MOST_BYTES);
}
