//! Segments in values that are serialized: as their bytes, or beside them.
//!
//! serde has no place for what is no text and no bytes. So the two functions here lend a list to the
//! thread for as long as one value is written or read: a segment that finds it there goes into the list,
//! or comes out of it, and the value has its index only.

use std::cell::RefCell;
use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Segment, SegmentPool};

/// The length from which a segment that is read from bytes has a mapping of its own.
const THRESHOLD: usize = 1 << 20;

/// The most memory that is allocated for a segment because something claims its length.
const TRUSTED: usize = 1 << 16;

thread_local! {
    static LIST: RefCell<List> = const { RefCell::new(List::None) };
}

enum List {
    None,
    /// The segments of a value that is written, and how many more there may be, and of how many bytes.
    Out(Vec<Segment>, Room),
    /// Those of a value that is read.
    In(Vec<Segment>),
}

/// The segments that a list has room for, and their bytes.
type Room = (usize, u64);

/// Calls `write`, which serializes a value. Segments of it that are mapped are put into `segments`, as
/// far as there is room for them: for so many more, of so many bytes together. The value has their
/// indices in place of their bytes.
pub fn write_beside<R>(
    segments: &mut Vec<Segment>,
    room: (usize, u64),
    write: impl FnOnce() -> R,
) -> R {
    let list = List::Out(std::mem::take(segments), room);
    let lent = match Lent::new(list) {
        Ok(lent) => lent,
        Err(list) => {
            list.put_back(segments);
            return write();
        }
    };
    let result = write();
    lent.end().put_back(segments);
    result
}

/// Calls `read`, which deserializes a value whose segments are in this list.
pub fn read_beside<R>(segments: &[Segment], read: impl FnOnce() -> R) -> R {
    let _lent = Lent::new(List::In(segments.to_vec()));
    read()
}

impl List {
    fn put_back(self, segments: &mut Vec<Segment>) {
        if let Self::Out(list, _) = self {
            *segments = list;
        }
    }
}

/// Keeps the list that this thread had before, and gives it back at its end.
struct Lent(Option<List>);

impl Lent {
    /// Gives the list back if the thread is about to end, and has no place for it any more.
    fn new(list: List) -> Result<Self, List> {
        let mut list = Some(list);
        let mut replace = |place: &RefCell<List>| Some(place.replace(list.take()?));
        match LIST.try_with(&mut replace) {
            Ok(before) => Ok(Self(before)),
            Err(_) => Err(list.unwrap_or(List::None)),
        }
    }

    /// Returns the list that was lent.
    fn end(mut self) -> List {
        LIST.replace(self.0.take().unwrap_or(List::None))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Otherwise it has been given back.
        if let Some(before) = self.0.take() {
            let list = LIST.replace(before);
            drop(list);
        }
    }
}

/// The form of a segment.
#[derive(Serialize)]
#[serde(rename = "Segment")]
enum Written<'a> {
    Beside(u32),
    Here(Bytes<'a>),
}

#[derive(Deserialize)]
#[serde(rename = "Segment")]
enum Read {
    Beside(u32),
    Here(Copied),
}

struct Bytes<'a>(&'a [u8]);

struct Copied(Segment);

impl Serialize for Segment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let index = if self.is_mapped() { list(self) } else { None };
        match index {
            Some(index) => Written::Beside(index).serialize(serializer),
            None => Written::Here(Bytes(self)).serialize(serializer),
        }
    }
}

/// Puts a segment into the list of this thread, if there is one with room.
fn list(segment: &Segment) -> Option<u32> {
    let list = |list: &RefCell<List>| {
        let List::Out(segments, room) = &mut *list.borrow_mut() else {
            return None;
        };
        let (count, bytes) = *room;
        let left = (
            count.checked_sub(1)?,
            bytes.checked_sub(segment.len() as u64)?,
        );
        let index = u32::try_from(segments.len()).ok()?;
        segments.push(segment.clone());
        *room = left;
        Some(index)
    };
    LIST.try_with(list).ok().flatten()
}

impl<'de> Deserialize<'de> for Segment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Read::deserialize(deserializer)? {
            Read::Here(Copied(segment)) => Ok(segment),
            Read::Beside(index) => {
                let segment = LIST.try_with(|list| match &*list.borrow() {
                    List::In(segments) => segments.get(index as usize).cloned(),
                    _ => None,
                });
                let segment = segment.ok().flatten();
                segment.ok_or_else(|| D::Error::custom(format!("there is no segment {index}")))
            }
        }
    }
}

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de> Deserialize<'de> for Copied {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Copy;
        impl<'de> Visitor<'de> for Copy {
            type Value = Copied;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a segment")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Copied, E> {
                SegmentPool::new(THRESHOLD)
                    .copy_of(bytes)
                    .map(Copied)
                    .map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Copied, A::Error> {
                let claimed = seq.size_hint().unwrap_or(0);
                let mut bytes = Vec::with_capacity(claimed.min(TRUSTED));
                while let Some(byte) = seq.next_element::<u8>()? {
                    bytes.push(byte);
                }
                self.visit_bytes(&bytes)
            }
        }
        deserializer.deserialize_bytes(Copy)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use insula_sync::Mutex;

    use super::*;

    fn segment(len: usize, byte: u8) -> Segment {
        let mut segment = SegmentPool::new(1 << 12).allocate(len).unwrap();
        segment.fill(byte);
        segment.freeze().unwrap()
    }

    #[test]
    fn a_mapped_segment_goes_beside_as_far_as_there_is_room() {
        let values = [
            segment(1 << 13, 1),
            segment(10, 2),
            segment(1 << 13, 3),
            segment(1 << 13, 4),
        ];
        let mut beside = Vec::new();
        let bytes = write_beside(&mut beside, (2, u64::MAX), || {
            postcard::to_allocvec(&values).unwrap()
        });
        assert_eq!(beside.len(), 2);
        assert!(
            bytes.len() > 1 << 13 && bytes.len() < 1 << 14,
            "{}",
            bytes.len()
        );
        let read: [Segment; 4] = read_beside(&beside, || postcard::from_bytes(&bytes).unwrap());
        for (value, read) in values.iter().zip(&read) {
            assert_eq!(**value, **read);
        }
        assert_eq!(read[0].as_ptr(), values[0].as_ptr());
        let mut small = Vec::new();
        write_beside(&mut small, (9, 1 << 13), || {
            postcard::to_allocvec(&values).unwrap()
        });
        assert_eq!(small.len(), 1);
        // Outside of it there is no list.
        assert!(postcard::from_bytes::<[Segment; 4]>(&bytes).is_err());
        let alone = postcard::to_allocvec(&values[0]).unwrap();
        assert_eq!(
            *postcard::from_bytes::<Segment>(&alone).unwrap(),
            *values[0]
        );
    }

    #[test]
    fn an_index_that_is_not_in_the_list_is_an_error() {
        let bytes = postcard::to_allocvec(&Written::Beside(1)).unwrap();
        let one = [segment(1 << 13, 1)];
        let read = read_beside(&one, || postcard::from_bytes::<Segment>(&bytes));
        assert!(read.is_err());
    }

    /// The list of the thread may be gone before, or not.
    #[test]
    fn a_value_can_be_written_at_the_end_of_a_thread() {
        struct Late(Segment, Arc<Mutex<Vec<usize>>>);
        impl Drop for Late {
            fn drop(&mut self) {
                let mut beside = Vec::new();
                let write = || postcard::to_allocvec(&self.0).unwrap();
                let bytes = write_beside(&mut beside, (9, u64::MAX), write).len();
                let written = bytes + beside.len() * self.0.len();
                self.1.lock().push(written);
            }
        }
        thread_local! {
            static BEFORE: RefCell<Option<Late>> = const { RefCell::new(None) };
            static AFTER: RefCell<Option<Late>> = const { RefCell::new(None) };
        }
        let written = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&written);
        let late = move || Late(segment(1 << 13, 1), Arc::clone(&told));
        let thread = std::thread::spawn(move || {
            BEFORE.set(Some(late()));
            let mut beside = Vec::new();
            write_beside(&mut beside, (9, u64::MAX), || ());
            AFTER.set(Some(late()));
        });
        thread.join().unwrap();
        let written = written.lock();
        assert!(written.len() == 2 && written.iter().all(|&it| it >= 1 << 13));
    }

    /// A value whose `Serialize` panics, or serializes another value on the way.
    #[test]
    fn a_list_is_gone_after_a_panic_and_back_after_another_one() {
        let mut beside = Vec::new();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            write_beside(&mut beside, (9, u64::MAX), || panic!("as it is meant to"))
        }));
        assert!(panicked.is_err());
        let large = segment(1 << 13, 1);
        assert!(postcard::to_allocvec(&large).unwrap().len() > 1 << 13);
        let bytes = write_beside(&mut beside, (9, u64::MAX), || {
            let mut inner = Vec::new();
            let inner_bytes = write_beside(&mut inner, (0, 0), || {
                postcard::to_allocvec(&large).unwrap()
            });
            assert!(inner.is_empty() && inner_bytes.len() > 1 << 13);
            postcard::to_allocvec(&large).unwrap()
        });
        assert_eq!((beside.len(), bytes.len()), (1, 2));
    }
}
