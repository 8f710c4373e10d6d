//! The request for TLS connections.

use super::request;
use crate::Lease;
use crate::tls::{TlsBytes, TlsState};

request! {
    /// Encrypts and decrypts the bytes of a TLS connection in both directions. The handshake takes
    /// long enough that this is not done on the threads of the isolates.
    TlsProcessFilter {
        /// The filter of the connection.
        filter: Lease<TlsState>,
        /// The bytes to pass through the filter.
        input: TlsBytes,
    } -> TlsBytes;
    |mut it| it.filter.process(&it.input)
}
