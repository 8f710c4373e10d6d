//! The supported picture formats.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A picture format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ImageFormat {
    /// JPEG: lossy, no alpha; gray, RGB and CMYK are read, gray and RGB are written.
    Jpeg,
    /// PNG: lossless, with alpha.
    Png,
    /// WebP, with alpha: lossy and lossless are read, lossless is written.
    WebP,
}

impl ImageFormat {
    /// Returns the format for the extension of a file name (`.jpg`, `.jpeg`, `.png`, `.webp`, in
    /// any case).
    ///
    /// ```
    /// use images::ImageFormat;
    /// use std::path::Path;
    /// assert_eq!(ImageFormat::of_path(Path::new("a/B.JPEG")), Some(ImageFormat::Jpeg));
    /// assert_eq!(ImageFormat::of_path(Path::new("a/B.tiff")), None);
    /// ```
    pub fn of_path(path: &Path) -> Option<Self> {
        let extension = path.extension().and_then(OsStr::to_str)?;
        match extension.to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "png" => Some(Self::Png),
            "webp" => Some(Self::WebP),
            _ => None,
        }
    }

    /// Returns the format that the first bytes of a file show, whatever its name.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
            Some(Self::Jpeg)
        } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Some(Self::WebP)
        } else {
            None
        }
    }

    /// Returns the extension for output files, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::WebP => "webp",
        }
    }
}

impl fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
        })
    }
}
