//! Risk: the end of an isolate removes a name that another port has taken over meanwhile.

use super::*;
use crate::{Isolate, ReceivePort, Runtime};

#[test]
fn an_end_that_comes_late_takes_no_name_from_another_port() {
    let runtime = Runtime::builder().seeded(1).build();
    let spawn = || {
        let builder = Isolate::builder().runtime(&runtime);
        builder.spawn_pair(|port: ReceivePort<u8>| port.listen(drop))
    };
    let ((ended, before), (_lives, port)) = (spawn(), spawn());
    let name = "taken over";
    assert_eq!(IsolateNameServer::register(name, &before), Ok(()));
    ended.kill();
    runtime.run_until_idle();
    assert_eq!(IsolateNameServer::register(name, &port), Ok(()));
    // As if the exit call of the first isolate ran only now.
    forget(name, before.id());
    assert_eq!(IsolateNameServer::look_up(name), Some(port.clone()));
    forget(name, port.id());
    assert_eq!(IsolateNameServer::look_up::<u8>(name), None);
    runtime.shut_down();
}
