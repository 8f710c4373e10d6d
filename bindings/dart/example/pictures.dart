/// The Dart side of a program's own service: here the picture service of the
/// library `libinsula_dart_samples`.
library;

import 'dart:convert';
import 'dart:ffi';
import 'dart:typed_data';

import 'package:insula/insula.dart';

final _open = Insula.library.lookupFunction<
    Int32 Function(Pointer<Uint8>, Uint32, Pointer<Uint64>),
    int Function(
        Pointer<Uint8>, int, Pointer<Uint64>)>('insula_dart_pictures_open');

/// A pool of Rust workers that make pictures.
final class PicturePool {
  PicturePool._(this._pool);

  /// Opens a service called [name] with [workers] workers (0: one per core).
  factory PicturePool.open(String name, {int workers = 0}) {
    RangeError.checkValueInInterval(workers, 0, 1 << 16, 'workers');
    final text = TransferableBuffer.from([...utf8.encode(name), 0]);
    final handle = TransferableBuffer(8);
    final status =
        _open(text.address.cast(), workers, handle.address.cast<Uint64>());
    if (status != 0) throw InsulaException(status);
    final service = handle.address.cast<Uint64>().value;
    text.release();
    handle.release();
    return PicturePool._(WorkerPool.fromHandle(service));
  }

  final WorkerPool _pool;

  /// Makes a picture. [file] is the content of a file: a buffer is moved, any
  /// other value is copied.
  Future<Picture> picture(
    Object file, {
    String name = '',
    (int, int)? size,
    ResizeMode mode = ResizeMode.fit,
    double sharpen = 0,
    PictureFormat? format,
    int quality = 85,
  }) async {
    final (width, height) = size ?? (0, 0);
    if (size != null) {
      RangeError.checkValueInInterval(width, 1, 65535, 'size.width');
      RangeError.checkValueInInterval(height, 1, 65535, 'size.height');
    }
    RangeError.checkValueInInterval(quality, 1, 100, 'quality');
    if (!(sharpen >= 0 && sharpen.isFinite)) {
      throw ArgumentError.value(sharpen, 'sharpen', 'must be 0 or more');
    }
    final answer = await _pool.call([
      name,
      file,
      width,
      height,
      mode.index,
      sharpen,
      format?.index ?? -1,
      quality,
    ]);
    return switch (answer) {
      [
        final Uint8List bytes,
        final int format,
        final int width,
        final int height,
        final int sourceWidth,
        final int sourceHeight,
        final int micros,
      ] =>
        Picture._(
          bytes,
          PictureFormat.values[format],
          (width, height),
          (sourceWidth, sourceHeight),
          Duration(microseconds: micros),
        ),
      _ => throw StateError('this pool makes no pictures'),
    };
  }

  /// Ends the pool.
  void close() => _pool.close();
}

/// The treatment of pictures of another shape.
enum ResizeMode {
  /// Stretch to the size.
  exact,

  /// Keep inside the size.
  fit,

  /// Cover the size, and cut.
  fill,
}

/// The format of a picture.
enum PictureFormat {
  /// JPEG.
  jpeg,

  /// PNG.
  png,

  /// WebP.
  webp,
}

/// A picture that [PicturePool.picture] made.
final class Picture {
  Picture._(
    this.bytes,
    this.format,
    this.size,
    this.sourceSize,
    this.elapsed,
  );

  /// The content of the picture's file.
  final Uint8List bytes;

  /// Its format.
  final PictureFormat format;

  /// Width and height.
  final (int, int) size;

  /// Width and height of the original.
  final (int, int) sourceSize;

  /// The time that a worker took.
  final Duration elapsed;
}
