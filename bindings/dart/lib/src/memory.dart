import 'dart:convert';
import 'dart:ffi';
import 'dart:typed_data';

import 'native.dart';

/// Memory for the duration of one call.
///
/// It is taken from the isolate's arena after a mark, so that it is freed even
/// if the isolate is killed during the call.
final class Memory {
  /// Creates an empty memory, and marks the arena.
  Memory(this._functions) : _arena = _Arena.of(_functions) {
    _mark = _functions.arenaMark(_arena.token);
  }

  final Functions _functions;
  final _Arena _arena;
  late final int _mark;

  /// Allocates [length] zero bytes at an address that is a multiple of 16.
  Pointer<Uint8> bytes(int length) {
    final memory = _functions.arenaBytes(_arena.token, length);
    if (memory == nullptr) throw OutOfMemoryError();
    return memory;
  }

  /// Copies [bytes].
  Pointer<Uint8> copy(List<int> bytes) {
    final memory = this.bytes(bytes.length);
    setBytes(memory.asTypedList(bytes.length), bytes);
    return memory;
  }

  /// Encodes [text] in UTF-8, followed by a zero byte.
  Pointer<Uint8> text(String text) {
    final encoded = utf8.encode(text);
    final memory = bytes(encoded.length + 1);
    memory.asTypedList(encoded.length).setAll(0, encoded);
    return memory;
  }

  /// Allocates the place for a handle.
  Pointer<Uint64> handle() => bytes(8).cast();

  /// Allocates the place for bytes that the library holds until [free].
  Pointer<HeldBytes> held() {
    final memory = _functions.arenaHeld(_arena.token);
    if (memory == nullptr) throw OutOfMemoryError();
    return memory.cast();
  }

  /// Frees everything.
  void free() => _functions.arenaGoBack(_arena.token, _mark);
}

/// The scratch memory of this isolate, which exists until the isolate ends.
final class _Arena implements Finalizable {
  _Arena(Functions functions) : token = functions.arenaNew() {
    (_finalizer ??= NativeFinalizer(functions.arenaGone)).attach(this, token);
  }

  factory _Arena.of(Functions functions) => _current ??= _Arena(functions);

  static _Arena? _current;
  static NativeFinalizer? _finalizer;

  final Pointer<Void> token;
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

/// Copies bytes that the library holds.
Uint8List copyHeld(Pointer<HeldBytes> held) =>
    Uint8List.fromList(held.ref.bytes.asTypedList(held.ref.length));
