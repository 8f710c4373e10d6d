import 'dart:convert';
import 'dart:ffi';
import 'dart:typed_data';

import 'native.dart';

/// Memory for the time of one call.
final class Memory {
  /// Nothing yet.
  Memory(this._functions);

  final Functions _functions;
  final List<Pointer<Void>> _blocks = [];

  /// So many bytes, all zero, at an address that is a multiple of 16.
  Pointer<Uint8> bytes(int length) {
    final block = _functions.alloc(length);
    if (block == nullptr) throw OutOfMemoryError();
    _blocks.add(block);
    return _functions.data(block);
  }

  /// A copy of [bytes].
  Pointer<Uint8> copy(List<int> bytes) {
    final memory = this.bytes(bytes.length);
    setBytes(memory.asTypedList(bytes.length), bytes);
    return memory;
  }

  /// [text] in UTF-8, with a zero byte behind it.
  Pointer<Uint8> text(String text) {
    final encoded = utf8.encode(text);
    final memory = bytes(encoded.length + 1);
    memory.asTypedList(encoded.length).setAll(0, encoded);
    return memory;
  }

  /// A place for a handle.
  Pointer<Uint64> handle() => bytes(8).cast();

  /// A place for bytes that the library holds.
  Pointer<HeldBytes> held() => bytes(sizeOf<HeldBytes>()).cast();

  /// Gives everything back.
  void free() => _blocks.forEach(_functions.release);
}

/// Copies [bytes] to the beginning of [to].
///
/// Throws a [RangeError] if one of them has more than eight bits.
void setBytes(Uint8List to, List<int> bytes) {
  if (bytes is! Uint8List && bytes is! Uint8ClampedList) {
    for (var i = 0; i < bytes.length; i++) {
      RangeError.checkValueInInterval(bytes[i], 0, 255, 'bytes[$i]');
    }
  }
  to.setAll(0, bytes);
}

/// Copies what the library holds, and gives it back.
Uint8List takeHeld(Functions functions, Pointer<HeldBytes> held) {
  try {
    return Uint8List.fromList(held.ref.bytes.asTypedList(held.ref.length));
  } finally {
    functions.bufferFree(held.ref.handle);
  }
}
