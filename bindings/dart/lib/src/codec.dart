import 'dart:convert';
import 'dart:ffi';
import 'dart:typed_data';

import 'buffer.dart';
import 'library.dart';
import 'memory.dart';
import 'native.dart';
import 'port.dart';
import 'status.dart';

/// Runs [body] with [message] as a value of the C ABI, which is valid until
/// [body] returns.
///
/// Buffers in the message are given away. If [body] returns anything but 0,
/// they are taken back, as the C ABI promises, and this throws.
int sendValue(Object? message, int Function(Pointer<Value> value) body) {
  final code = trySendValue(message, body);
  check(code);
  return code;
}

/// Does the same as [sendValue], but returns the code.
int trySendValue(Object? message, int Function(Pointer<Value> value) body) {
  return withMemory((memory) {
    final encoder = _Encoder(memory);
    var code = -1;
    try {
      final value = memory.bytes(sizeOf<Value>()).cast<Value>();
      encoder.write(value.ref, message);
      code = body(value);
    } finally {
      if (code != 0) encoder.takeBack();
    }
    return code;
  });
}

/// Returns [value] with its light data as lists. [light] describes that data;
/// see `letter.rs` for the format. Nothing is copied.
Object? withLight(Object? value, Object? light) {
  if (light is! List<Object?>) return value;
  var result = value;
  var at = 0;
  int next() => light[at++]! as int;
  while (at < light.length) {
    final bytes = Pointer<Uint8>.fromAddress(next());
    final length = next();
    var keeper = value;
    List<Object?>? holder;
    var index = 0;
    for (var depth = next(); depth > 0; depth--) {
      holder = keeper! as List<Object?>;
      index = next();
      keeper = holder[index];
    }
    final list = listOver(bytes, length, keeper!);
    if (holder == null) {
      result = list;
    } else {
      holder[index] = list;
    }
  }
  return result;
}

final class _Encoder {
  _Encoder(this._memory);

  final Memory _memory;
  final List<TransferableBuffer> _given = [];

  void takeBack() {
    for (final buffer in _given) {
      buffer.takeBack();
    }
  }

  /// The depth to which lists may be nested, which is that of the C ABI.
  static const _deepest = 64;

  void write(Value to, Object? message, [int depth = 0]) {
    switch (message) {
      case null:
        to.kind = Kind.none;
      case bool():
        to.kind = Kind.truth;
        to.integer = message ? 1 : 0;
      case int():
        to.kind = Kind.int64;
        to.integer = message;
      case double():
        to.kind = Kind.real;
        to.real = message;
      case String():
        final encoded = utf8.encode(message);
        to.kind = Kind.string;
        to.length = encoded.length;
        to.data = _memory.copy(encoded).cast();
      case InsulaPort():
        to.kind = Kind.sendPort;
        to.integer = message.handle;
      case TransferableBuffer():
        _writeBuffer(to, message);
      case TypedData():
        _writeTypedData(to, message);
      case List():
        if (depth == _deepest) {
          throw ArgumentError.value(
            '(a list)',
            'message',
            'lists are nested more than $_deepest deep',
          );
        }
        final items = _memory.bytes(message.length * sizeOf<Value>());
        final first = items.cast<Value>();
        to.kind = Kind.array;
        to.length = message.length;
        to.data = items.cast();
        for (var i = 0; i < message.length; i++) {
          write((first + i).ref, message[i], depth + 1);
        }
      default:
        throw ArgumentError.value(
          message,
          'message',
          'a ${message.runtimeType} cannot be sent to native code',
        );
    }
  }

  void _writeBuffer(Value to, TransferableBuffer buffer) {
    final block = buffer.giveAway();
    _given.add(buffer);
    to.kind = Kind.external;
    to.element = 2;
    to.length = buffer.length;
    to.data = functions.data(block).cast();
    to.peer = block;
    to.finalizer = functions.releaseAddress;
  }

  void _writeTypedData(Value to, TypedData data) {
    final bytes = Uint8List.sublistView(data);
    to.kind = Kind.typedData;
    to.element = _elementOf(data);
    to.length = bytes.length;
    to.data = _memory.copy(bytes).cast();
  }

  static int _elementOf(TypedData data) => switch (data) {
        ByteData() => 0,
        Int8List() => 1,
        Uint8List() => 2,
        Uint8ClampedList() => 3,
        Int16List() => 4,
        Uint16List() => 5,
        Int32List() => 6,
        Uint32List() => 7,
        Int64List() => 8,
        Uint64List() => 9,
        Float32List() => 10,
        Float64List() => 11,
        Int32x4List() => 12,
        Float32x4List() => 13,
        Float64x2List() => 14,
        _ => 0,
      };
}
