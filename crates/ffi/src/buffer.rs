//! Bytes that we hold for C, behind a handle: so freeing them twice is refused.

use std::sync::Arc;

use crate::abi::status::Status;
use crate::abi::types::Buffer;
use crate::handle::table;
use crate::object::Object;
use crate::value::TypedData;

/// The bytes of a buffer.
pub(crate) type BufferObject = Arc<TypedData>;

/// Gives bytes a handle.
pub(crate) fn keep(bytes: TypedData) -> Result<Buffer, Status> {
    let bytes = Arc::new(bytes);
    Ok(Buffer {
        handle: table().insert(Object::Buffer(bytes.clone()))?,
        length: bytes.len() as u64,
        bytes: bytes.as_ptr().cast(),
    })
}
