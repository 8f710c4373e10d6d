//! smoke
use insula_core::*;
use std::time::Duration;

#[test]
fn run_returns() {
    assert_eq!(Isolate::run(|| 1 + 1).wait(), Ok(2));
}

#[test]
fn ping_pong() {
    let n = 100_000u64;
    let r = block_on(Isolate::run_async(move || async move {
        let mut port = ReceivePort::<u64>::new();
        let home = port.send_port();
        let echo = Isolate::spawn_with_port(move |port: ReceivePort<u64>| {
            port.listen(move |x| home.send(x + 1).unwrap());
        });
        let mut x = 0;
        for _ in 0..n {
            echo.send(x).unwrap();
            x = port.recv().await.unwrap();
        }
        x
    }));
    assert_eq!(r, Ok(n));
}

#[test]
fn asks() {
    struct Q(u64, ReplyTo<u64>);
    let p = Isolate::spawn_with_port(|port: ReceivePort<Q>| {
        port.listen(|Q(n, r)| r.send(n * 2));
    });
    assert_eq!(block_on(p.ask(|r| Q(4, r))), Ok(8));
    let p2 = p.clone();
    let s = Isolate::run_async(move || async move {
        let mut s = 0;
        for i in 0..1000 { s += p2.ask(|r| Q(i, r)).await.unwrap(); }
        s
    }).wait();
    assert_eq!(s, Ok(999000));
    drop(p);
}

#[test]
fn panics_reported() {
    let r = Isolate::run(|| { if true { panic!("boom") } 3 }).wait();
    let Err(RunError::Panicked(p)) = r else { panic!("{r:?}") };
    assert_eq!(p.message(), "boom");
    assert!(p.location().unwrap().contains("main.rs"));
}

#[test]
fn sleeps() {
    let t = std::time::Instant::now();
    block_on(sleep(Duration::from_millis(20)));
    assert!(t.elapsed() >= Duration::from_millis(20));
    Isolate::run_async(|| async { sleep(Duration::from_millis(20)).await }).wait().unwrap();
    assert!(t.elapsed() >= Duration::from_millis(40));
}

#[test]
fn shutdown() {
    let rt = Runtime::builder().threads(2).build();
    let _e = rt.enter();
    let ps: Vec<_> = (0..1000).map(|_| Isolate::spawn_with_port(|p: ReceivePort<u8>| { p.listen(|_| ()); })).collect();
    assert_eq!(rt.isolate_count(), 1000);
    for p in &ps { p.send(1).unwrap(); }
    drop(ps);
    rt.shut_down();
    assert_eq!(rt.isolate_count(), 0);
}

#[test]
fn seeded() {
    let rt = Runtime::builder().seeded(3).build();
    let t = rt.block_on(async {
        Isolate::run_async(|| async { let a = Instant::now(); sleep(Duration::from_secs(3600)).await; Instant::now() - a }).await
    });
    assert_eq!(t, Ok(Duration::from_secs(3600)));
    rt.shut_down();
}

#[test]
fn bounded() {
    let r = Isolate::run_async(|| async {
        let mut port = ReceivePort::bounded(16);
        let s = port.send_port();
        Isolate::spawn(move |()| async move { for i in 0..100_000u64 { s.send_wait(i).await.unwrap(); } }, ());
        let mut n = 0;
        while let Some(i) = port.recv().await { assert_eq!(i, n); n += 1; }
        n
    }).wait();
    assert_eq!(r, Ok(100_000));
}

#[test]
fn heavy_isolates_do_not_starve() {
    let rt = Runtime::builder().threads(2).build();
    let _e = rt.enter();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    for _ in 0..4 { let stop = stop.clone(); Isolate::spawn(move |()| { while !stop.load(std::sync::atomic::Ordering::Relaxed) {} }, ()); }
    struct Q(ReplyTo<u64>);
    let p = Isolate::spawn_with_port(|port: ReceivePort<Q>| { port.listen(|Q(r)| r.send(1)); });
    let mut worst = Duration::ZERO;
    for _ in 0..50 { let t = std::time::Instant::now(); assert_eq!(block_on(p.ask(Q)), Ok(1)); worst = worst.max(t.elapsed()); }
    eprintln!("worst {worst:?}");
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    drop(p);
    rt.shut_down();
}

#[test]
fn pinned() {
    let (tx, rx) = one_shot();
    let i = Isolate::builder().spawn_pinned(|_p, ()| async move {
        let rc = std::rc::Rc::new(5);
        yield_now().await;
        tx.send(*rc);
    }, ()).unwrap();
    assert_eq!(rx.wait(), Ok(5));
    assert_eq!(block_on(i.exited()), ExitReason::Finished);
}
