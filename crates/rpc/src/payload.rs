//! Counting the bytes that a call moves.
//!
//! In one process a request and a response change their owner and nothing else: whatever hangs
//! on them stays where it is. The counters prove it: [`Traffic::bytes_moved`] grows with the
//! size of the values, [`Traffic::bytes_copied`] counts bytes that some transport wrote a
//! second time, which only a call does that crosses a wire.

use std::mem::size_of_val;

use insula_memory::{Segment, SegmentMut};

/// The size of a value in bytes, for the counts of moved bytes and the
/// [credits](crate::WINDOW_BYTES) of streams.
///
/// A request, response or item whose type has no implementation counts with [`size_of`], which
/// leaves out what the value owns on the heap. Derive it, with
/// [`#[derive(Payload)]`](macro@crate::Payload), for types that own much: the derived size is that
/// of the value and of what its fields own, each as its own `Payload` says. Implement it by hand
/// for a type that owns memory which its fields do not show.
///
/// ```
/// use insula_rpc::Payload;
///
/// #[derive(Payload)]
/// #[payload(crate = insula_rpc)]
/// struct Photo {
///     name: String,
///     pixels: Vec<[u8; 4]>,
/// }
///
/// let photo = Photo { name: "fig".into(), pixels: vec![[0; 4]; 1000] };
/// assert_eq!(photo.size_hint(), size_of::<Photo>() as u64 + 3 + 4000);
/// ```
pub trait Payload {
    /// Returns the bytes that move with this value: its own and those that it owns on the heap. An
    /// estimate that must be cheap, since it is asked for once per value.
    fn size_hint(&self) -> u64;
}

/// Bytes that one call, one stream or one pool has handled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes that changed their owner without being written again.
    pub bytes_moved: u64,
    /// Bytes that were written a second time on their way; zero unless the call crosses a wire.
    pub bytes_copied: u64,
}

impl Traffic {
    /// Returns the traffic of one moved value.
    pub fn moved(bytes: u64) -> Self {
        Self {
            bytes_moved: bytes,
            bytes_copied: 0,
        }
    }

    /// Adds other traffic to this.
    pub fn add(&mut self, other: Self) {
        // Wrapping, since sizes are the user's, and one that is wrong must not panic where a call
        // ends.
        self.bytes_moved = self.bytes_moved.wrapping_add(other.bytes_moved);
        self.bytes_copied = self.bytes_copied.wrapping_add(other.bytes_copied);
    }
}

fn own<T: ?Sized>(value: &T) -> u64 {
    size_of_val(value) as u64
}

/// Its elements are counted with their own size, without what they own in turn.
impl<T> Payload for Vec<T> {
    fn size_hint(&self) -> u64 {
        own(self) + own(self.as_slice())
    }
}

/// Its elements are counted with their own size, without what they own in turn.
impl<T> Payload for Box<[T]> {
    fn size_hint(&self) -> u64 {
        own(self) + own(&**self)
    }
}

impl Payload for Box<str> {
    fn size_hint(&self) -> u64 {
        own(self) + own(&**self)
    }
}

impl Payload for String {
    fn size_hint(&self) -> u64 {
        own(self) + own(self.as_str())
    }
}

/// All its bytes, also if other owners share them.
impl Payload for Segment {
    fn size_hint(&self) -> u64 {
        own(self) + own(&**self)
    }
}

impl Payload for SegmentMut {
    fn size_hint(&self) -> u64 {
        own(self) + own(&**self)
    }
}

impl<T: Payload> Payload for Option<T> {
    fn size_hint(&self) -> u64 {
        match self {
            // The value counts its own place, so that only what the option adds to it is left.
            Some(value) => (own(self) - own(value)) + value.size_hint(),
            None => own(self),
        }
    }
}

/// A value about to be measured by generated code.
#[doc(hidden)]
#[derive(Debug)]
pub struct Measured<'a, T>(pub &'a T);

/// Picked by method resolution when the type has a [`Payload`].
#[doc(hidden)]
pub trait ByPayload {
    fn bytes(&self) -> u64;
}

/// Picked by method resolution otherwise: it needs one more reference.
#[doc(hidden)]
pub trait BySize {
    fn bytes(&self) -> u64;
}

impl<T: Payload> ByPayload for Measured<'_, T> {
    fn bytes(&self) -> u64 {
        self.0.size_hint()
    }
}

impl<T> BySize for &Measured<'_, T> {
    fn bytes(&self) -> u64 {
        own(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{ByPayload as _, BySize as _, Measured, Payload as _};

    #[test]
    #[expect(clippy::needless_borrow, reason = "as the generated code writes it")]
    fn a_payload_counts_its_heap_and_any_other_type_its_size() {
        struct Plain(#[expect(dead_code, reason = "only its size matters")] [u64; 4]);
        assert_eq!((&Measured(&Plain([0; 4]))).bytes(), 32);
        assert_eq!((&Measured(&vec![0_u8; 1000])).bytes(), 1000 + 24);
        assert_eq!((&Measured(&String::from("four"))).bytes(), 4 + 24);
        assert_eq!((&Measured(&())).bytes(), 0);
    }

    #[test]
    fn options_count_the_inner_value_once() {
        assert_eq!(Some(vec![0_u32; 10]).size_hint(), 40 + 24);
        assert_eq!(None::<Vec<u8>>.size_hint(), 24);
    }
}
