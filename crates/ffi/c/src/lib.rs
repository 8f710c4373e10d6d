//! `libinsula`, for programs in C and C++. All code is in `insula-ffi`; this separate package gives
//! the library its name, which the façade has as well.
#![forbid(unsafe_code)]

pub use insula_ffi::ABI_VERSION;
