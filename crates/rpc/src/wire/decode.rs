//! Decodes values from bytes that nothing is known about.
//!
//! The encoding is that of postcard, whose specification is stable: integers of variable length,
//! lengths before sequences, numbers for variants. The decoder of that crate trusts its input in two
//! points: it follows values nested in each other as deep as the bytes say, to the end of the stack,
//! and a sequence whose elements take no bytes for as long as its length says. This one limits both,
//! and says where in the bytes it has stopped.
//!
//! # Limits
//! - A length is compared with the bytes that are left before anything is allocated for it. For a
//!   sequence that is a hint only, since its elements may take no bytes: it is not larger than the
//!   bytes that are left. All hints of a message together are not larger than the message, or
//!   sequences in each other could have room made for all of its bytes at each level.
//! - All sequences and maps of a message together have as many elements as the message has bytes,
//!   and [`MOST_EMPTY`] more. Bytes that only lengthen a number do not count: so what was decoded can be
//!   decoded again once it is encoded anew.
//! - Values are nested at most [`MOST_NESTED`] deep.
//! - All bytes of a message are used; what follows the value is an error.

use std::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};

/// The most levels of values in values.
pub(super) const MOST_NESTED: u32 = 128;

/// The most elements beyond one for each byte.
pub(super) const MOST_EMPTY: usize = 1 << 16;

/// Why bytes could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Malformed(String);

type Result<T> = std::result::Result<T, Malformed>;

/// Decodes a value that takes all bytes.
pub(super) fn decode_all<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let (value, rest) = decode_some(bytes)?;
    match rest {
        [] => Ok(value),
        rest => Err(Malformed(format!(
            "{} bytes follow the value, which has {}",
            rest.len(),
            bytes.len() - rest.len()
        ))),
    }
}

/// Decodes a value. Returns it with the bytes that follow it.
pub(super) fn decode_some<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8])> {
    let mut decoder = Decoder {
        rest: bytes,
        hints: bytes.len(),
        elements: bytes.len().saturating_add(MOST_EMPTY),
        nested: 0,
    };
    let value = T::deserialize(&mut decoder).map_err(|Malformed(why)| {
        let at = bytes.len() - decoder.rest.len();
        Malformed(format!("{why}, at byte {at} of {}", bytes.len()))
    })?;
    Ok((value, decoder.rest))
}

struct Decoder<'de> {
    rest: &'de [u8],
    /// The elements that room may still be made for before they are read. As many as the message has
    /// bytes, since each element that takes any has one of its own: the first one that is no part of
    /// an element in it.
    hints: usize,
    /// The elements of sequences that it may still have.
    elements: usize,
    /// The values around the one that is decoded.
    nested: u32,
}

fn fault<T>(why: &str) -> Result<T> {
    Err(Malformed(why.to_owned()))
}

impl<'de> Decoder<'de> {
    fn byte(&mut self) -> Result<u8> {
        match self.rest {
            [byte, rest @ ..] => {
                self.rest = rest;
                Ok(*byte)
            }
            [] => fault("the bytes end within a value"),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'de [u8]> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => fault("a length is larger than the bytes that follow"),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// Reads an integer of at most so many bits: seven in each byte, the lowest ones first. The
    /// highest bit of a byte says that another one follows.
    fn integer(&mut self, bits: u32) -> Result<u128> {
        let (mut value, mut shift) = (0_u128, 0);
        // The last bytes, if the number is the same without them.
        let mut surplus = 0;
        loop {
            let byte = self.byte()?;
            let low = u128::from(byte & 0x7f);
            surplus = if low == 0 && shift > 0 {
                surplus + 1
            } else {
                0
            };
            if shift >= bits || (bits - shift < 7 && low >> (bits - shift) != 0) {
                return fault("an integer is too large for its type");
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                self.spend(surplus)?;
                return Ok(value);
            }
            shift += 7;
        }
    }

    /// Reads an integer whose lowest bit is its sign.
    fn signed(&mut self, bits: u32) -> Result<i128> {
        let value = self.integer(bits)?;
        let magnitude = (value >> 1).cast_signed();
        Ok(if value & 1 == 0 {
            magnitude
        } else {
            !magnitude
        })
    }

    fn length(&mut self) -> Result<usize> {
        match usize::try_from(self.integer(64)?) {
            Ok(length) => Ok(length),
            Err(_) => fault("a length is too large for this machine"),
        }
    }

    fn text(&mut self) -> Result<&'de str> {
        let length = self.length()?;
        let bytes = self.take(length)?;
        str::from_utf8(bytes).map_err(|_| Malformed("a text is not UTF-8".to_owned()))
    }

    fn bytes(&mut self) -> Result<&'de [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    /// Decodes a value inside of another one.
    fn nested<T>(&mut self, decode: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.nested >= MOST_NESTED {
            return fault("values are nested too deep");
        }
        self.nested += 1;
        let decoded = decode(self);
        self.nested -= 1;
        decoded
    }

    /// Decodes elements: those of a type that has as many, or of a sequence, which are counted.
    fn elements<V: Visitor<'de>>(
        &mut self,
        left: usize,
        is_counted: IsCounted,
        visitor: V,
    ) -> Result<V::Value> {
        self.nested(|decoder| {
            let hint = match is_counted {
                IsCounted::Yes => decoder.hint(left),
                IsCounted::No => left,
            };
            visitor.visit_seq(Elements {
                decoder,
                left,
                hint,
                is_counted,
            })
        })
    }

    fn count_element(&mut self) -> Result<()> {
        self.spend(1)
    }

    /// Lowers the number of elements that may follow.
    fn spend(&mut self, elements: usize) -> Result<()> {
        match self.elements.checked_sub(elements) {
            Some(left) => {
                self.elements = left;
                Ok(())
            }
            None => fault("a sequence has more elements than its bytes can be for"),
        }
    }

    /// Returns the elements to make room for, of a sequence that begins. A length that lies must not
    /// allocate.
    fn hint(&mut self, left: usize) -> usize {
        let hint = left.min(self.rest.len()).min(self.hints);
        self.hints -= hint;
        hint
    }
}

/// Says whether the elements are as many as the bytes say.
#[derive(Clone, Copy)]
enum IsCounted {
    Yes,
    /// The type says how many there are.
    No,
}

struct Elements<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    left: usize,
    hint: usize,
    is_counted: IsCounted,
}

impl<'de> de::SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Malformed;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        if let IsCounted::Yes = self.is_counted {
            self.decoder.count_element()?;
        }
        seed.deserialize(&mut *self.decoder).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.hint.min(self.left))
    }
}

struct Entries<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    left: usize,
    hint: usize,
}

impl<'de> de::MapAccess<'de> for Entries<'_, 'de> {
    type Error = Malformed;

    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        self.decoder.count_element()?;
        seed.deserialize(&mut *self.decoder).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        seed.deserialize(&mut *self.decoder)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.hint.min(self.left))
    }
}

/// A variant, and its content.
struct Variant<'a, 'de>(&'a mut Decoder<'de>);

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Malformed;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self)> {
        let number = self.0.integer(32)? as u32;
        let name = seed.deserialize(number.into_deserializer())?;
        Ok((name, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Malformed;

    fn unit_variant(self) -> Result<()> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value> {
        self.0.elements(count, IsCounted::No, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.0.elements(fields.len(), IsCounted::No, visitor)
    }
}

/// Integers that take as many bytes as they need.
macro_rules! integers {
    ($($deserialize:ident $visit:ident $read:ident $type:ident;)*) => {
        $(
            fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
                let value = $type::try_from(self.$read($type::BITS)?);
                // Never: no more bits were read.
                let too_large = |_| Malformed("an integer is too large for its type".to_owned());
                visitor.$visit(value.map_err(too_large)?)
            }
        )*
    };
}

impl<'de> de::Deserializer<'de> for &mut Decoder<'de> {
    type Error = Malformed;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value> {
        fault("its type can only be read from an encoding that names types")
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.byte()? {
            0 => visitor.visit_bool(false),
            1 => visitor.visit_bool(true),
            _ => fault("a `bool` is neither 0 nor 1"),
        }
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_u8(self.byte()?)
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_i8(self.byte()?.cast_signed())
    }

    integers! {
        deserialize_u16 visit_u16 integer u16;
        deserialize_u32 visit_u32 integer u32;
        deserialize_u64 visit_u64 integer u64;
        deserialize_u128 visit_u128 integer u128;
        deserialize_i16 visit_i16 signed i16;
        deserialize_i32 visit_i32 signed i32;
        deserialize_i64 visit_i64 signed i64;
        deserialize_i128 visit_i128 signed i128;
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_f32(f32::from_le_bytes(self.array()?))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_f64(f64::from_le_bytes(self.array()?))
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let text = self.text()?;
        let mut letters = text.chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) => visitor.visit_char(letter),
            _ => fault("a `char` is not one character"),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_borrowed_bytes(self.bytes()?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.byte()? {
            0 => visitor.visit_none(),
            1 => self.nested(|decoder| visitor.visit_some(decoder)),
            _ => fault("an `Option` is neither 0 nor 1"),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.nested(|decoder| visitor.visit_newtype_struct(decoder))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let left = self.length()?;
        self.elements(left, IsCounted::Yes, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value> {
        self.elements(count, IsCounted::No, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        count: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.elements(count, IsCounted::No, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let left = self.length()?;
        self.nested(|decoder| {
            let hint = decoder.hint(left);
            visitor.visit_map(Entries {
                decoder,
                left,
                hint,
            })
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.elements(fields.len(), IsCounted::No, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.nested(|decoder| visitor.visit_enum(Variant(decoder)))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value> {
        fault("its fields can only be read from an encoding that names fields")
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value> {
        fault("its type can only be read from an encoding that names types")
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

impl de::Error for Malformed {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self(why.to_string())
    }
}

#[cfg(test)]
mod tests;
