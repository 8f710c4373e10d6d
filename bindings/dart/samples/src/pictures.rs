//! The picture service of the program `images`, for Dart.
//!
//! A request is `[name, bytes, width, height, mode, sharpen, format, quality]`: `mode` is 0 to
//! stretch, 1 to keep inside, 2 to cover and cut; `format` is 0 for JPEG, 1 for PNG, 2 for WebP, -1
//! for that of the input; a width of 0 keeps the size. The answer is `[bytes, format, width,
//! height, source width, source height, microseconds]`; its bytes are external and not copied.

use std::cell::RefCell;
use std::ffi::{c_char, c_void};
use std::path::PathBuf;

use images::{
    ImageFormat, Operation, Pipeline, ProcessImage, ProcessedImage, RawImage, ResizeMode, Size,
};
use insula_ffi::abi::service::{insula_fail, insula_reply, insula_service_open};
use insula_ffi::abi::status::StatusCode;
use insula_ffi::abi::types as c;
use insula_ffi::abi::types::{RawValue, ServiceHandle, ServiceOptions};

insula::isolate::isolate_local! {
    /// One for each worker.
    static PIPELINE: RefCell<Pipeline> = RefCell::default();
}

/// Opens the service on a pool of `workers` workers (0: one per core), under `name`, which may be
/// null.
///
/// # Safety
/// The pointers are valid as `insula.h` requires.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_pictures_open(
    name: *const c_char,
    workers: u32,
    service: *mut ServiceHandle,
) -> StatusCode {
    let options = options(name, workers);
    let null = std::ptr::null_mut();
    // SAFETY: promised by the caller; `process` needs nothing of its own.
    unsafe { insula_service_open(&raw const options, Some(process), null, None, service) }
}

/// Returns the settings of a service with a name and a number of workers.
pub(crate) fn options(name: *const c_char, workers: u32) -> ServiceOptions {
    ServiceOptions {
        size: size_of::<ServiceOptions>() as u32,
        flags: 0,
        workers,
        queue: 0,
        name,
    }
}

extern "C" fn process(_user: *mut c_void, request: *const RawValue) {
    // SAFETY: valid during this call.
    let request = unsafe { read_request(request) };
    let made = request.and_then(|request| {
        let made = PIPELINE.with(|pipeline| pipeline.borrow_mut().process(request));
        made.map_err(|error| error.to_string())
    });
    match made {
        Ok(picture) => reply(picture),
        Err(text) => fail(text),
    }
}

/// Answers with a failure.
pub(crate) fn fail(text: String) {
    let text = std::ffi::CString::new(text.replace('\0', " ")).unwrap_or_default();
    // SAFETY: a C string.
    let _ = unsafe { insula_fail(text.as_ptr()) };
}

/// # Safety
/// `request` is a value as `insula.h` requires.
unsafe fn read_request(request: *const RawValue) -> Result<ProcessImage, String> {
    // SAFETY: promised by the caller.
    let items = unsafe { items(request) };
    let [name, bytes, width, height, mode, sharpen, format, quality] = items else {
        return Err("a request has eight parts".to_owned());
    };
    let mut operations = Vec::new();
    if width.integer > 0 {
        operations.push(Operation::Resize {
            size: Size::new(side(width)?, side(height)?),
            mode: match mode.integer {
                0 => ResizeMode::Exact,
                1 => ResizeMode::Fit,
                _ => ResizeMode::Fill,
            },
        });
    }
    if sharpen.real > 0.0 {
        operations.push(Operation::Sharpen {
            amount: sharpen.real as f32,
        });
    }
    Ok(ProcessImage {
        image: RawImage {
            // SAFETY: promised by the caller.
            path: PathBuf::from(String::from_utf8_lossy(unsafe { bytes_of(name) }).as_ref()),
            // SAFETY: promised by the caller.
            bytes: unsafe { bytes_of(bytes) }.to_vec().into(),
        },
        operations,
        format: match format.integer {
            0 => Some(ImageFormat::Jpeg),
            1 => Some(ImageFormat::Png),
            2 => Some(ImageFormat::WebP),
            _ => None,
        },
        quality: quality.integer.clamp(1, 100) as u8,
    })
}

fn side(value: &RawValue) -> Result<u32, String> {
    match u32::try_from(value.integer) {
        Ok(side @ 1..=65_535) => Ok(side),
        _ => Err(format!("{} is no length of a side", value.integer)),
    }
}

/// Returns the parts of an array, and no parts for other kinds.
///
/// # Safety
/// `value` is null or a value as `insula.h` requires, for as long as `'a`.
pub(crate) unsafe fn items<'a>(value: *const RawValue) -> &'a [RawValue] {
    if value.is_null() {
        return &[];
    }
    // SAFETY: promised by the caller.
    let value = unsafe { &*value };
    if value.kind != c::INSULA_KIND_ARRAY || value.length == 0 {
        return &[];
    }
    // SAFETY: the array of a value, valid as the caller promised.
    unsafe { std::slice::from_raw_parts(value.data.cast(), value.length as usize) }
}

/// Returns the bytes of a text or of typed data, and no bytes for other kinds.
///
/// # Safety
/// `value` is valid as `insula.h` requires.
pub(crate) unsafe fn bytes_of(value: &RawValue) -> &[u8] {
    let has_bytes = matches!(
        value.kind,
        c::INSULA_KIND_STRING
            | c::INSULA_KIND_TYPED_DATA
            | c::INSULA_KIND_EXTERNAL_TYPED_DATA
            | c::INSULA_KIND_UNMODIFIABLE_EXTERNAL_TYPED_DATA
    );
    if !has_bytes || value.length == 0 {
        return &[];
    }
    // SAFETY: the bytes of a value, valid as the caller promised.
    unsafe { std::slice::from_raw_parts(value.data.cast(), value.length as usize) }
}

fn reply(picture: ProcessedImage) {
    let numbers = [
        format_number(picture.format),
        i64::from(picture.size.width),
        i64::from(picture.size.height),
        i64::from(picture.source_size.width),
        i64::from(picture.source_size.height),
        i64::try_from(picture.timings.total().as_micros()).unwrap_or(i64::MAX),
    ];
    // A copy, since Dart may write to it, and a segment is for reading.
    let mut parts = vec![external(picture.bytes.to_vec())];
    parts.extend(numbers.map(integer));
    reply_array(&parts);
}

/// Answers with an array, whose external data moves.
pub(crate) fn reply_array(parts: &[RawValue]) {
    let answer = array(parts);
    // SAFETY: the parts exist during the call.
    let replied = unsafe { insula_reply(&raw const answer) };
    if replied != 0 {
        // The parts are still ours.
        for part in parts {
            if let Some(finalizer) = part.finalizer {
                finalizer(part.peer);
            }
        }
    }
}

pub(crate) fn array(parts: &[RawValue]) -> RawValue {
    RawValue {
        kind: c::INSULA_KIND_ARRAY,
        length: parts.len() as u64,
        data: parts.as_ptr().cast(),
        ..RawValue::default()
    }
}

pub(crate) fn integer(integer: i64) -> RawValue {
    RawValue {
        kind: c::INSULA_KIND_INT64,
        integer,
        ..RawValue::default()
    }
}

/// Makes a value of bytes that move, and are freed when they are no longer needed.
pub(crate) fn external(bytes: Vec<u8>) -> RawValue {
    let bytes = Box::new(bytes);
    let (data, length) = (bytes.as_ptr(), bytes.len());
    RawValue {
        kind: c::INSULA_KIND_EXTERNAL_TYPED_DATA,
        element: c::INSULA_ELEMENT_UINT8,
        length: length as u64,
        data: data.cast(),
        peer: Box::into_raw(bytes).cast(),
        finalizer: Some(free_bytes),
        ..RawValue::default()
    }
}

extern "C" fn free_bytes(peer: *mut c_void) {
    // SAFETY: made by `external`, and called once.
    drop(unsafe { Box::from_raw(peer.cast::<Vec<u8>>()) });
}

fn format_number(format: ImageFormat) -> i64 {
    match format {
        ImageFormat::Jpeg => 0,
        ImageFormat::Png => 1,
        ImageFormat::WebP => 2,
    }
}
