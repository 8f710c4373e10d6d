//! Risk: an error without a listener vanishes. The hook belongs to the whole process, so its test
//! runs in a process of its own.

use insula_core::{
    ErrorPolicy, ExitReason, Isolate, ReceivePort, SendPort, block_on, set_error_hook,
};

#[test]
fn an_error_that_nobody_listens_for_reaches_the_hook() {
    let (tell, told) = std::sync::mpsc::channel();
    set_error_hook(move |error| drop(tell.send(error.clone())));
    let builder = || Isolate::builder().name("careless");
    let fatal = builder().spawn(|()| -> () { panic!("fatal, as expected") }, ());
    assert!(matches!(block_on(fatal.exited()), ExitReason::Panicked(_)));
    let failed = builder().spawn(|()| Err::<(), _>("no luck"), ());
    assert_eq!(
        block_on(failed.exited()),
        ExitReason::Failed("no luck".into())
    );
    let (isolate, port): (_, SendPort<()>) = builder()
        .error_policy(ErrorPolicy::Continue)
        .spawn_pair(|port: ReceivePort<()>| port.listen(|()| panic!("not fatal")));
    port.send(()).unwrap();
    drop(port);
    assert_eq!(block_on(isolate.exited()), ExitReason::Finished);
    let lines: Vec<_> = told.try_iter().map(|error| error.to_string()).collect();
    for (line, (message, is_fatal)) in lines.iter().zip([
        ("fatal, as expected", true),
        ("no luck", true),
        ("not fatal", false),
    ]) {
        assert!(line.starts_with("isolate 'careless' "), "{line}");
        assert!(line.contains(message), "{line}");
        assert_eq!(!line.contains("goes on"), is_fatal, "{line}");
    }
    assert_eq!(lines.len(), 3);
}
