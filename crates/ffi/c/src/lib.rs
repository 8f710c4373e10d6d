//! `libinsula`, for programs in C and C++. Everything is in `insula-ffi`; a package of its own
//! gives the library its name, which the façade has as well.
#![forbid(unsafe_code)]

pub use insula_ffi::ABI_VERSION;
