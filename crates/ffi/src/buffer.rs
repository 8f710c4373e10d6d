//! Bytes that the library holds for C, behind a handle, so that a second free is refused.

use std::sync::Arc;

use crate::abi::status::Status;
use crate::abi::types::Buffer;
use crate::handle::{Reservation, table};
use crate::object::{Kind, Object};
use crate::value::TypedData;

/// The bytes of a buffer.
pub(crate) type BufferObject = Arc<TypedData>;

/// Reserves a handle for bytes that are about to be taken out of a mailbox or rendezvous: nothing
/// may fail after that.
pub(crate) fn reserve() -> Result<Reservation<'static>, Status> {
    table().reserve(Kind::Buffer)
}

/// Gives bytes a handle. Fails only in a shutdown, which drops everything.
pub(crate) fn keep(reserved: Reservation<'_>, bytes: TypedData) -> Result<Buffer, Status> {
    let bytes = Arc::new(bytes);
    Ok(Buffer {
        handle: reserved.try_fill(Object::Buffer(bytes.clone()))?,
        length: bytes.len() as u64,
        // The table's reference keeps the bytes at this address until the handle is freed.
        bytes: bytes.as_ptr().cast(),
    })
}
