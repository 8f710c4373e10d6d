//! The risk: bytes that are lost or mixed up, and two operations of one file at a time.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use insula_core::{Isolate, Runtime, schedule_microtask, spawn_local};
use insula_io::{Directory, File, IoError, IoOp, IoService, LockMode, OpenMode, request};

use crate::{folder, isolated};

#[test]
fn what_is_written_is_read() {
    isolated(async |folder| {
        let path = folder.join("numbers");
        let file = File::open(&path, OpenMode::Write).await.unwrap();
        let bytes: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        let (written, bytes) = file.write_all(bytes).await;
        written.unwrap();
        assert_eq!(file.length().await.unwrap(), 400_000);
        assert_eq!(file.position().await.unwrap(), 400_000);
        file.set_position(4).await.unwrap();
        let (count, buffer) = file.read(vec![0; 16]).await;
        assert_eq!(&buffer[..count.unwrap()], &bytes[4..20]);
        assert_eq!(file.read_byte().await.unwrap(), Some(bytes[20]));
        file.write_byte(0xAB).await.unwrap();
        file.flush().await.unwrap();
        file.truncate(22).await.unwrap();
        assert_eq!(file.read_new(100).await.unwrap(), []);
        assert_eq!(file.read_byte().await.unwrap(), None);
        file.close().await.unwrap();
        let mut expected = bytes[..22].to_vec();
        expected[21] = 0xAB;
        assert_eq!(File::read_all(&path).await.unwrap(), expected);
    });
}

#[test]
fn every_mode_does_what_it_says() {
    isolated(async |folder| {
        let path = folder.join("text");
        let missing = File::open(&path, OpenMode::Read).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        File::write_whole(&path, b"one".to_vec()).await.unwrap();
        let end = File::open(&path, OpenMode::Append).await.unwrap();
        end.write_all(b" two".to_vec()).await.0.unwrap();
        let end = File::open(&path, OpenMode::WriteOnlyAppend).await.unwrap();
        end.write_part(b"[ three]".to_vec(), 1..7).await.0.unwrap();
        assert_eq!(File::read_all(&path).await.unwrap(), b"one two three");
        let update = File::open(&path, OpenMode::Update).await.unwrap();
        update.write_all(b"ONE".to_vec()).await.0.unwrap();
        assert_eq!(update.read_new(100).await.unwrap(), b" two three");
        let (beyond, buffer) = update.write_part(vec![1, 2], 1..3).await;
        assert!(matches!(beyond, Err(IoError::Argument(_))));
        assert_eq!(buffer, [1, 2]);
    });
}

/// Case 81 of the Dart VM's recorded behavior.
#[test]
fn a_busy_file_refuses_a_second_operation_and_a_closed_one_all() {
    isolated(async |folder| {
        let file = File::open(folder.join("busy"), OpenMode::Write);
        let file = file.await.unwrap();
        let (begun, has_begun) = insula_core::one_shot();
        spawn_local({
            let file = file.clone();
            async move {
                begun.send(());
                file.write_all(vec![7; 1 << 20]).await.0.unwrap();
            }
        });
        has_begun.await.unwrap();
        file_is_busy_or_done(&file).await;
        file.close().await.unwrap();
        assert!(matches!(file.length().await, Err(IoError::Closed)));
        let (result, buffer) = file.write_all(vec![1, 2, 3]).await;
        assert!(matches!(result, Err(IoError::Closed)));
        assert_eq!(buffer, [1, 2, 3]);
    });
}

async fn file_is_busy_or_done(file: &File) {
    loop {
        match file.length().await {
            Err(IoError::Pending) => insula_core::yield_now().await,
            length => return assert_eq!(length.unwrap(), 1 << 20),
        }
    }
}

#[test]
fn a_leased_file_is_busy_until_the_lease_goes() {
    isolated(async |folder| {
        let file = File::open(folder.join("leased"), OpenMode::Write);
        let file = file.await.unwrap();
        let lease = file.lease().unwrap();
        let refused = file.length().await.unwrap_err();
        assert_eq!(refused.to_string(), "an asynchronous operation is pending");
        let (refused, buffer) = file.read(vec![5; 3]).await;
        assert!(matches!(refused, Err(IoError::Pending)));
        assert_eq!(buffer, [5; 3]);
        drop(lease);
        assert_eq!(file.length().await.unwrap(), 0);
    });
}

#[test]
fn an_operation_that_was_given_up_is_carried_out() {
    isolated(async |folder| {
        let path = folder.join("given-up");
        let file = File::open(&path, OpenMode::Write).await.unwrap();
        {
            let mut write = Box::pin(file.write_all(vec![1; 4096]));
            std::future::poll_fn(|cx| {
                assert!(write.as_mut().poll(cx).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
        }
        while matches!(file.length().await, Err(IoError::Pending)) {
            insula_core::yield_now().await;
        }
        assert_eq!(file.length().await.unwrap(), 4096);
    });
}

#[test]
fn microtasks_come_before_a_result() {
    isolated(async |folder| {
        let order = Arc::new(Mutex::new(Vec::new()));
        let file = File::open(folder.join("order"), OpenMode::Write);
        let file = file.await.unwrap();
        let path = folder.join("order");
        let service = IoService::new(1);
        let request = service.request(request::FileExists { path });
        let (first, second) = (order.clone(), order.clone());
        spawn_local(async move { first.lock().unwrap().push("task") });
        schedule_microtask(move || second.lock().unwrap().push("microtask"));
        // The result is there long before, and still has to wait for its turn.
        while service.waiting() + service.running() != 0 {
            std::thread::yield_now();
        }
        assert!(request.await.unwrap());
        order.lock().unwrap().push("result");
        assert_eq!(*order.lock().unwrap(), ["task", "microtask", "result"]);
        drop(file);
    });
}

#[test]
fn pending_io_keeps_its_isolate_alive() {
    let folder = folder();
    let path = folder.path().join("alive");
    let (done, answer) = insula_core::one_shot();
    let entry = move |path| {
        spawn_local(async move {
            File::write_whole(path, vec![1; 100]).await.unwrap();
            done.send(true);
        });
    };
    let isolate = Isolate::spawn(entry, path.clone());
    assert_eq!(answer.wait(), Ok(true));
    drop(isolate);
    assert_eq!(std::fs::read(path).unwrap(), [1; 100]);
}

#[test]
fn errors_keep_code_text_operation_and_path() {
    isolated(async |folder| {
        let path = folder.join("nowhere");
        let error = File::open(&path, OpenMode::Read).await.unwrap_err();
        let os = error.os_error().unwrap();
        assert_eq!(os.operation(), Some(IoOp::FileOpen));
        assert_eq!(os.path(), Some(path.as_path()));
        assert_eq!(
            os.code(),
            std::fs::File::open(&path).unwrap_err().raw_os_error()
        );
        let text = error.to_string();
        assert!(text.starts_with("cannot open a file at '"), "{text}");
        assert!(std::error::Error::source(&error).is_some());
        let error = File::open("zero\0byte", OpenMode::Read).await.unwrap_err();
        assert!(matches!(error, IoError::Argument(_)));
    });
}

#[test]
fn errors_of_reads_and_writes_name_their_own_operation() {
    isolated(async |folder| {
        let path = folder.join("file");
        let write_only = File::open(&path, OpenMode::WriteOnly).await.unwrap();
        let read_only = File::open(&path, OpenMode::Read).await.unwrap();
        let operation = |error: IoError| error.os_error().and_then(|it| it.operation());
        let byte = write_only.read_byte().await.unwrap_err();
        assert_eq!(operation(byte), Some(IoOp::FileReadByte));
        let (into, _) = write_only.read(vec![0; 4]).await;
        assert_eq!(operation(into.unwrap_err()), Some(IoOp::FileReadInto));
        let byte = read_only.write_byte(1).await.unwrap_err();
        assert_eq!(operation(byte), Some(IoOp::FileWriteByte));
        let list = Directory::list(folder.join("nowhere")).await.unwrap_err();
        assert_eq!(operation(list), Some(IoOp::DirectoryListStart));
    });
}

#[test]
fn locks_bind_other_open_files() {
    isolated(async |folder| {
        let path = folder.join("lock");
        let one = File::open(&path, OpenMode::Write).await.unwrap();
        let other = File::open(&path, OpenMode::Update).await.unwrap();
        one.lock(LockMode::Exclusive).await.unwrap();
        let refused = other.lock(LockMode::Shared).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::WouldBlock);
        let (begun, has_begun) = insula_core::one_shot();
        spawn_local({
            let other = other.clone();
            async move {
                begun.send(());
                other.lock(LockMode::BlockingExclusive).await.unwrap();
            }
        });
        has_begun.await.unwrap();
        one.lock(LockMode::Unlock).await.unwrap();
        while matches!(other.length().await, Err(IoError::Pending)) {
            insula_core::yield_now().await;
        }
        let refused = one.lock(LockMode::Shared).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::WouldBlock);
        other.close().await.unwrap();
        one.lock(LockMode::Shared).await.unwrap();
    });
}

#[test]
fn a_pipe_carries_bytes_and_its_end() {
    isolated(async |_| {
        let (reader, writer) = File::create_pipe().await.unwrap();
        spawn_local(async move {
            writer
                .write_all(b"through a pipe".to_vec())
                .await
                .0
                .unwrap();
            writer.close().await.unwrap();
        });
        let mut all = Vec::new();
        loop {
            let part = reader.read_new(5).await.unwrap();
            if part.is_empty() {
                break;
            }
            all.extend(part);
        }
        assert_eq!(all, b"through a pipe");
    });
}

#[test]
fn a_seeded_runtime_does_files_where_it_is_driven() {
    let folder = folder();
    let mut traces = Vec::new();
    for _ in 0..2 {
        let runtime = Runtime::builder().seeded(11).build();
        let path = folder.path().join("seeded");
        let trace = runtime.block_on(async move {
            let here = std::thread::current().id();
            let run = Isolate::run_async(async move || {
                let mut trace = Vec::new();
                for n in 0..10 {
                    let before = insula_core::Instant::now();
                    File::write_whole(&path, vec![n]).await.unwrap();
                    trace.extend(File::read_all(&path).await.unwrap());
                    assert_eq!(insula_core::Instant::now(), before);
                    insula_core::sleep(std::time::Duration::from_secs(60)).await;
                }
                assert_eq!(std::thread::current().id(), here);
                trace
            });
            run.await.unwrap()
        });
        traces.push(trace);
    }
    assert_eq!(traces[0], (0..10).collect::<Vec<u8>>());
    assert_eq!(traces[0], traces[1]);
}
