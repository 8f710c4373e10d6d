//! What the library generates without its feature `wire`.

use insula_rpc::{Context, contract};

mod without {
    pub mod __private {
        pub use insula_rpc::__private::*;
        pub use insula_rpc::__without_wire as if_wire;
    }
}

#[contract(version = 1, wire, crate = without)]
trait Greeter {
    async fn greet(&self, cx: &Context, name: String) -> Result<String, String>;
}

fn main() {}
