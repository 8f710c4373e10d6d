//! Values that must not be sent do not compile: the counterpart of the cases in which the VM checks
//! a message when it is sent (70, 71, 77 and 78).
//!
//! A value that belongs to one thread:
//! ```compile_fail,E0277
//! fn send(port: insula_core::SendPort<std::rc::Rc<u8>>) {
//!     port.send(std::rc::Rc::new(1)).ok();
//! }
//! ```
//! The right to start work that is bound to its isolate's thread:
//! ```compile_fail,E0277
//! fn send(port: insula_core::SendPort<insula_core::Pinned>, pinned: insula_core::Pinned) {
//!     port.send(pinned).ok();
//! }
//! ```
//! A borrowed value:
//! ```compile_fail,E0521
//! fn send(port: insula_core::SendPort<&'static str>, text: &str) {
//!     port.send(text).ok();
//! }
//! ```
//! A value of the parent that an entry captures:
//! ```compile_fail,E0277
//! let local = std::rc::Rc::new(1);
//! insula_core::Isolate::spawn(move |()| drop(local), ());
//! ```
//! The result of a computation, and the answer to a ping:
//! ```compile_fail,E0277
//! insula_core::Isolate::run(|| std::rc::Rc::new(1)).wait().ok();
//! ```
//! ```compile_fail,E0277
//! fn ping(isolate: insula_core::Isolate, port: insula_core::SendPort<std::rc::Rc<u8>>) {
//!     isolate.ping_port(&port, std::rc::Rc::new(1), insula_core::Priority::Immediate);
//! }
//! ```
//! A message a second time:
//! ```compile_fail,E0382
//! fn send(port: insula_core::SendPort<Vec<u8>>, bytes: Vec<u8>) {
//!     port.send(bytes).ok();
//!     port.send(bytes).ok();
//! }
//! ```
//! A listener for a port that has one:
//! ```compile_fail,E0382
//! fn listen(port: insula_core::ReceivePort<u8>) {
//!     port.listen(drop);
//!     port.listen(drop);
//! }
//! ```
