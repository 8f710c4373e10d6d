//! The request about TLS connections.

use super::request;
use crate::Lease;
use crate::tls::{TlsBytes, TlsState};

request! {
    /// Encrypts and decrypts what a TLS connection has in both directions, which takes long
    /// enough during its handshake to be done away from the isolates.
    TlsProcessFilter {
        /// Of which connection.
        filter: Lease<TlsState>,
        /// What goes in.
        input: TlsBytes,
    } -> TlsBytes;
    |mut it| it.filter.process(&it.input)
}
