//! Risk: a contract compiles at the top of a file only.

use insula_core::{Isolate, block_on};
use insula_rpc::{Context, Respond, contract, serve};

#[test]
fn a_contract_can_be_local_to_a_function() {
    struct Local(u8);
    #[contract(crate = ::insula_rpc)]
    trait Opener {
        async fn open(&self, cx: &Context, local: Local) -> Result<u8, Local>;
    }
    impl Opener for Local {
        async fn open(&self, _cx: &Context, local: Local) -> Result<u8, Local> {
            Ok(self.0 + local.0)
        }
    }
    let port = Isolate::spawn_with_port(|port| serve(port, OpenerResponder::new(Local(1))));
    let caller = OpenerCaller::over(port);
    assert_eq!(block_on(caller.open(Local(2))).ok(), Some(3));
}

macro_rules! storage {
    ($name:ident, $value:ty, $error:ty) => {
        #[contract(crate = insula_rpc)]
        trait $name {
            async fn get(&self, cx: &Context, at: u8) -> Result<$value, $error>;
            async fn put(&self, cx: &Context, value: $value) -> Result<(), $error>;
        }
    };
}

storage!(Texts, String, std::convert::Infallible);

#[test]
fn a_contract_can_come_from_a_macro() {
    struct Nothing;
    impl Texts for Nothing {
        async fn get(&self, _: &Context, at: u8) -> Result<String, std::convert::Infallible> {
            Ok(at.to_string())
        }
        async fn put(&self, _: &Context, _: String) -> Result<(), std::convert::Infallible> {
            Ok(())
        }
    }
    let port = Isolate::spawn_with_port(|port| serve(port, TextsResponder::new(Nothing)));
    let caller = TextsCaller::over(port);
    assert_eq!(block_on(caller.get(2)).ok(), Some("2".to_owned()));
    assert_eq!(block_on(caller.put("3".to_owned())).ok(), Some(()));
}
