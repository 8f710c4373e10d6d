//! The risk: bytes that are lost or wait for ever, and a writer that nothing holds back.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use insula_core::{Isolate, Runtime, block_on, sleep, spawn_local};
use insula_io::{IoError, TcpListener, TcpStream, UdpSocket};

use crate::isolated;

fn local() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// Gives every connection back what it sends.
fn echo(listener: TcpListener) -> Isolate {
    let serve = async move |listener: TcpListener| {
        while let Ok((stream, _)) = listener.accept().await {
            spawn_local(async move {
                let mut buffer = vec![0; 16 * 1024];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    if stream.write_all(&buffer[..count]).await.is_err() {
                        return;
                    }
                }
            });
        }
    };
    Isolate::spawn(serve, listener)
}

#[test]
fn many_connections_get_their_own_bytes_back() {
    let listener = TcpListener::bind(local()).unwrap();
    let address = listener.local_address().unwrap();
    let server = echo(listener);
    isolated(async move |_| {
        let (done, mut all_done) = {
            let port = insula_core::ReceivePort::new();
            (port.send_port(), port)
        };
        for n in 0..64u32 {
            let done = done.clone();
            spawn_local(async move {
                let stream = TcpStream::connect(address).await.unwrap();
                for round in 0..20 {
                    let sent = (n * 1_000 + round).to_le_bytes().repeat(50);
                    stream.write_all(&sent).await.unwrap();
                    let mut back = vec![0; sent.len()];
                    stream.read_exact(&mut back).await.unwrap();
                    assert_eq!(back, sent);
                }
                done.send(n).unwrap();
            });
        }
        drop(done);
        let mut count = 0;
        while all_done.recv().await.is_some() {
            count += 1;
        }
        assert_eq!(count, 64);
    });
    server.kill();
}

#[test]
fn who_does_not_read_makes_the_writer_wait() {
    let listener = TcpListener::bind(local()).unwrap();
    let address = listener.local_address().unwrap();
    let written = Arc::new(AtomicUsize::new(0));
    let total = written.clone();
    let writer = Isolate::run_async(async move || {
        let (stream, _) = listener.accept().await.unwrap();
        let chunk = vec![1; 64 * 1024];
        for _ in 0..512 {
            stream.write_all(&chunk).await.unwrap();
            total.fetch_add(chunk.len(), Ordering::SeqCst);
        }
    });
    let reader = block_on(TcpStream::connect(address)).unwrap();
    // Nothing is read: after a while nothing is written either.
    let mut before = usize::MAX;
    while before != written.load(Ordering::SeqCst) || before == 0 {
        before = written.load(Ordering::SeqCst);
        block_on(sleep(Duration::from_millis(50)));
    }
    assert!(before < 32 << 20, "{before} bytes were taken in");
    let mut buffer = vec![0; 1 << 20];
    let mut read = 0;
    while let count @ 1.. = block_on(reader.read(&mut buffer)).unwrap() {
        read += count;
    }
    assert_eq!(read, 32 << 20);
    assert!(writer.wait().is_ok());
}

#[test]
fn one_reads_while_another_writes() {
    let listener = TcpListener::bind(local()).unwrap();
    let address = listener.local_address().unwrap();
    let server = echo(listener);
    isolated(async move |_| {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_no_delay(true).unwrap();
        let writer = stream.clone();
        spawn_local(async move {
            for n in 0..200u8 {
                writer.write_all(&[n; 5_000]).await.unwrap();
            }
            writer.shut_down(Shutdown::Write).unwrap();
        });
        for n in 0..200u8 {
            let mut back = [0; 5_000];
            stream.read_exact(&mut back).await.unwrap();
            assert_eq!(back, [n; 5_000]);
        }
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    });
    server.kill();
}

#[test]
fn refusals_ends_and_broken_connections_are_errors() {
    isolated(async |_| {
        let listener = TcpListener::bind(local()).unwrap();
        let address = listener.local_address().unwrap();
        let near = TcpStream::connect(address).await.unwrap();
        let (far, peer) = listener.accept().await.unwrap();
        assert_eq!(near.local_address().unwrap(), peer);
        assert_eq!(near.peer_address().unwrap(), address);
        far.write_all(b"abc").await.unwrap();
        drop(far);
        let error = near.read_exact(&mut [0; 10]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert_eq!(error.os_error().unwrap().transferred(), 3);
        // Writing to a peer that has gone is an error, and no signal.
        let error = loop {
            if let Err(error) = near.write_all(&[0; 1024]).await {
                break error;
            }
        };
        let kinds = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
        assert!(kinds.contains(&error.kind()), "{error}");
        drop(listener);
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(error.code().is_some());
    });
}

#[test]
fn a_host_is_looked_up_and_connected_to() {
    let listener = TcpListener::bind(local()).unwrap();
    let port = listener.local_address().unwrap().port();
    let server = echo(listener);
    isolated(async move |_| {
        let stream = TcpStream::connect_host("localhost", port).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        let mut back = [0];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"x");
    });
    server.kill();
}

#[test]
fn a_connection_of_std_is_taken_over() {
    let listener = TcpListener::bind(local()).unwrap();
    let address = listener.local_address().unwrap();
    let server = echo(listener);
    isolated(async move |_| {
        let stream = std::net::TcpStream::connect(address).unwrap();
        let stream = TcpStream::try_from(stream).unwrap();
        stream.write_all(b"std").await.unwrap();
        let mut back = [0; 3];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"std");
    });
    server.kill();
}

#[test]
fn datagrams_arrive_whole() {
    isolated(async |_| {
        let one = UdpSocket::bind(local()).unwrap();
        let two = UdpSocket::bind(local()).unwrap();
        let (first, second) = (one.local_address().unwrap(), two.local_address().unwrap());
        let receiver = two.clone();
        spawn_local(async move {
            let mut buffer = [0; 100];
            for _ in 0..20 {
                let (count, from) = receiver.receive_from(&mut buffer).await.unwrap();
                receiver.send_to(&buffer[..count], from).await.unwrap();
            }
        });
        one.connect(second).unwrap();
        for n in 0..20u8 {
            assert_eq!(one.send(&vec![n; usize::from(n)]).await.unwrap(), n.into());
            let mut buffer = [0; 100];
            let count = one.receive(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..count], vec![n; usize::from(n)]);
        }
        let _ = first;
        let error = one.send(&vec![0; 70_000]).await.unwrap_err();
        assert!(matches!(error, IoError::Os(_)));
    });
}

#[cfg(unix)]
#[test]
fn sockets_of_the_file_system_carry_bytes() {
    use insula_io::{UnixListener, UnixStream};
    isolated(async |folder| {
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        spawn_local(async move {
            let stream = listener.accept().await.unwrap();
            let mut buffer = [0; 5];
            stream.read_exact(&mut buffer).await.unwrap();
            buffer.reverse();
            stream.write_all(&buffer).await.unwrap();
        });
        let stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(b"abcde").await.unwrap();
        let mut back = [0; 5];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"edcba");
        assert_eq!(stream.read(&mut back).await.unwrap(), 0);
        let nobody = UnixStream::connect(folder.join("nobody"))
            .await
            .unwrap_err();
        assert_eq!(nobody.kind(), ErrorKind::NotFound);
        let (one, other) = UnixStream::pair().unwrap();
        one.write_all(b"pair").await.unwrap();
        one.shut_down(Shutdown::Both).unwrap();
        let mut back = [0; 4];
        other.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"pair");
    });
}

#[test]
fn a_seeded_runtime_has_no_sockets() {
    let runtime = Runtime::builder().seeded(3).build();
    let refused = runtime.block_on(async { TcpListener::bind(local()).map(drop) });
    assert_eq!(
        refused.map_err(|error| error.kind()),
        Err(ErrorKind::Unsupported)
    );
}

#[test]
fn a_busy_connection_lets_the_isolate_s_other_tasks_run() {
    let listener = TcpListener::bind(local()).unwrap();
    let address = listener.local_address().unwrap();
    let source = std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        // Ends when the other side has had enough.
        while std::io::Write::write_all(&mut stream, &[0; 64 * 1024]).is_ok() {}
    });
    isolated(async move |_| {
        let (stream, _) = listener.accept().await.unwrap();
        let enough = Arc::new(AtomicUsize::new(0));
        let count = enough.clone();
        spawn_local(async move {
            while count.fetch_add(1, Ordering::SeqCst) < 5 {
                sleep(Duration::from_millis(1)).await;
            }
        });
        let mut byte = [0];
        while enough.load(Ordering::SeqCst) < 5 {
            stream.read(&mut byte).await.unwrap();
        }
    });
    source.join().unwrap();
}
