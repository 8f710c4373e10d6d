//! Risk: a wake-up is lost, or meant for a waiter that has gone.
#![cfg(unix)]

use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use insula_core::{Direction, Isolate, Runtime, Source, block_on, sleep};

/// One end under the runtime's eyes, the other as it is.
fn pair() -> std::io::Result<(Arc<Source>, UnixStream, UnixStream)> {
    let (near, far) = UnixStream::pair()?;
    near.set_nonblocking(true)?;
    let source = Source::new(near.try_clone()?)?;
    Ok((Arc::new(source), near, far))
}

async fn read_byte(source: &Source, mut stream: &UnixStream) -> std::io::Result<u8> {
    let mut byte = [0];
    let attempt = || stream.read_exact(&mut byte);
    source.io(Direction::Read, attempt).await?;
    Ok(byte[0])
}

/// A waker that says whether it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Returns the output of `future`; `None` if that takes so long that its wake-up has been lost.
async fn soon<F: Future>(future: F) -> Option<F::Output> {
    let (mut future, mut lost) = (pin!(future), pin!(sleep(Duration::from_secs(10))));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => lost.as_mut().poll(cx).map(|()| None),
    })
    .await
}

#[test]
fn every_byte_wakes_who_waits_for_it() -> std::io::Result<()> {
    let (source, near, mut far) = pair()?;
    let reader = Isolate::run_async(async move || -> Result<u32, String> {
        let mut sum = 0;
        for _ in 0..2_000 {
            let byte = read_byte(&source, &near).await;
            sum += u32::from(byte.map_err(|error| error.to_string())?);
        }
        Ok(sum)
    });
    for n in 0..2_000u32 {
        far.write_all(&[(n % 7) as u8])?;
        if n % 64 == 0 {
            std::thread::yield_now();
        }
    }
    assert_eq!(
        reader.wait().ok(),
        Some(Ok((0..2_000).map(|n| n % 7).sum()))
    );
    Ok(())
}

#[test]
fn both_directions_wait_at_once() -> std::io::Result<()> {
    let (source, near, mut far) = pair()?;
    // Fill what the operating system holds, so that writing waits too.
    let mut filled = 0;
    while let Ok(written) = (&near).write(&[1; 4096]) {
        filled += written;
    }
    let (writer_source, writer_near) = (source.clone(), near.try_clone()?);
    let writer = Isolate::run_async(async move || {
        let attempt = || (&writer_near).write(&[2]);
        writer_source.io(Direction::Write, attempt).await.is_ok()
    });
    let reader = Isolate::run_async(async move || read_byte(&source, &near).await.is_ok());
    far.write_all(&[3])?;
    assert_eq!(reader.wait().ok(), Some(true));
    let mut all = vec![0; filled];
    far.read_exact(&mut all)?;
    assert_eq!(writer.wait().ok(), Some(true));
    Ok(())
}

#[test]
fn deadlines_and_sockets_share_one_thread() -> std::io::Result<()> {
    let (source, near, mut far) = pair()?;
    let both = Isolate::run_async(async move || {
        sleep(Duration::from_millis(5)).await;
        let byte = read_byte(&source, &near).await;
        sleep(Duration::from_millis(5)).await;
        byte.ok()
    });
    far.write_all(&[9])?;
    assert_eq!(both.wait().ok(), Some(Some(9)));
    Ok(())
}

#[test]
fn a_wait_that_was_given_up_keeps_no_isolate_alive() -> std::io::Result<()> {
    let (source, near, _far) = pair()?;
    // The source lives on outside; only the wait's waker could keep the isolate.
    let kept = source.clone();
    let isolate = Isolate::run_async(async move || {
        let mut read = Box::pin(read_byte(&source, &near));
        let timeout = sleep(Duration::from_millis(1));
        std::future::poll_fn(|cx| {
            assert!(read.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        timeout.await;
        drop(read);
        insula_core::spawn_local(std::future::pending::<()>());
    });
    assert!(isolate.wait().is_ok());
    drop(kept);
    Ok(())
}

#[test]
fn the_end_of_the_runtime_ends_the_wait() -> std::io::Result<()> {
    let runtime = Runtime::builder().threads(1).build();
    let (source, near, _far) = {
        let _entered = runtime.enter();
        pair()?
    };
    let waiting = std::thread::spawn(move || block_on(read_byte(&source, &near)));
    runtime.shut_down();
    let result = waiting.join().expect("no panic");
    assert_eq!(result.map_err(|it| it.kind()), Err(ErrorKind::BrokenPipe));
    let _entered = runtime.enter();
    let refused = pair().map(drop).map_err(|it| it.kind());
    assert_eq!(refused, Err(ErrorKind::BrokenPipe));
    Ok(())
}

/// Readers and writers alike are woken, and told.
#[test]
fn the_end_of_the_runtime_wakes_both_directions() -> std::io::Result<()> {
    let runtime = Runtime::builder().threads(1).build();
    let (source, near, _far) = {
        let _entered = runtime.enter();
        pair()?
    };
    while (&near).write(&[1; 4096]).is_ok() {}
    let mut read = pin!(source.io(Direction::Read, || (&near).read(&mut [0])));
    let mut write = pin!(source.io(Direction::Write, || (&near).write(&[2])));
    let [readers, writers] = [(); 2].map(|()| Arc::new(Woken::default()));
    let (read_waker, write_waker) = (readers.clone().into(), writers.clone().into());
    let mut read_context = Context::from_waker(&read_waker);
    let mut write_context = Context::from_waker(&write_waker);
    assert!(read.as_mut().poll(&mut read_context).is_pending());
    assert!(write.as_mut().poll(&mut write_context).is_pending());
    runtime.shut_down();
    for (woken, result) in [
        (readers, read.as_mut().poll(&mut read_context)),
        (writers, write.as_mut().poll(&mut write_context)),
    ] {
        assert!(woken.0.load(Ordering::SeqCst));
        let kind = result.map_err(|it| it.kind());
        assert_eq!(kind, Poll::Ready(Err(ErrorKind::BrokenPipe)));
    }
    Ok(())
}

/// A file is nothing that epoll waits for. What it had taken is free again, once.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_source_that_cannot_be_registered_leaves_its_place_to_one_other() -> std::io::Result<()> {
    let runtime = Runtime::builder().threads(1).build();
    let _entered = runtime.enter();
    for _ in 0..2 {
        let refused = Source::new(std::fs::File::open("/proc/self/exe")?);
        assert!(refused.is_err());
    }
    let mut pairs = [pair()?, pair()?, pair()?];
    let mut reads = Vec::new();
    for (n, (source, near, far)) in (0..).zip(&mut pairs) {
        let mut read = Box::pin(read_byte(source, near));
        let context = &mut Context::from_waker(Waker::noop());
        assert!(read.as_mut().poll(context).is_pending());
        reads.push((read, far, n));
    }
    for (read, far, n) in reads {
        far.write_all(&[n])?;
        // It waits already, and so looks again only if it is told to.
        assert_eq!(block_on(soon(read)).map(Result::ok), Some(Some(n)));
    }
    runtime.shut_down();
    Ok(())
}

#[test]
fn a_seeded_runtime_refuses_sockets() {
    let runtime = Runtime::builder().seeded(1).build();
    let _entered = runtime.enter();
    let refused = pair().map(drop).map_err(|it| it.kind());
    assert_eq!(refused, Err(ErrorKind::Unsupported));
}

#[test]
fn a_deadline_at_the_end_of_time_keeps_no_socket_waiting() -> std::io::Result<()> {
    let runtime = Runtime::builder().threads(1).build();
    let _entered = runtime.enter();
    let (source, near, mut far) = pair()?;
    block_on(async {
        // Known to the poller before it sleeps, and never due.
        let mut never = pin!(sleep(Duration::MAX));
        poll_fn(|cx| {
            assert!(never.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        std::thread::spawn(move || {
            // The poller's sleep is what this is about, and nothing shows it.
            std::thread::sleep(Duration::from_millis(20));
            far.write_all(&[7])
        });
        let mut byte = pin!(read_byte(&source, &near));
        let read = poll_fn(|cx| byte.as_mut().poll(cx)).await;
        assert_eq!(read.ok(), Some(7));
    });
    runtime.shut_down();
    Ok(())
}
