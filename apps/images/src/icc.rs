//! Color profiles, copied from input to output.

use image::DynamicImage;

/// An ICC profile, which defines the colors of a picture's values.
///
/// Pixels are never converted from one profile to another; the profile of the input is copied to
/// the output. It is dropped when it would be wrong, because the pixels are no longer of the kind
/// that it describes. That is so for the profile of a CMYK JPEG, whose pixels become RGB by the
/// plain formula, and for a gray profile in WebP, which stores gray pictures as RGB.
#[derive(Clone, PartialEq, Eq)]
pub struct IccProfile(Vec<u8>);

impl IccProfile {
    /// Creates a profile from its content. Returns `None` if that is too short for a profile's
    /// header.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() >= 128).then_some(Self(bytes))
    }

    /// Returns the content of the profile.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns whether this profile describes pixels of the kind that `picture` has.
    pub(crate) fn describes(&self, picture: &DynamicImage) -> bool {
        let kind: &[u8] = if picture.color().has_color() {
            b"RGB "
        } else {
            b"GRAY"
        };
        // The header's "data color space" field, ICC.1:2022 section 7.2.6.
        &self.0[16..20] == kind
    }

    /// Returns whether this profile describes gray pictures.
    pub(crate) fn is_gray(&self) -> bool {
        // Inside of the header, whose length `new` has checked.
        &self.0[16..20] == b"GRAY"
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl std::fmt::Debug for IccProfile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IccProfile({} bytes)", self.0.len())
    }
}
