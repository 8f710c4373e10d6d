import 'dart:ffi';
import 'dart:typed_data';

import 'library.dart';
import 'memory.dart';

/// Bytes outside of Dart's heap, which move to Rust, to C and to other isolates
/// without a copy.
///
/// Sending a buffer gives it away: [bytes] throws from then on. A view that was
/// taken before stays readable, and its memory stays until the view is
/// collected too; the new owner may change the bytes.
///
/// An answer arrives as an ordinary [Uint8List] over the native memory. In
/// another isolate a sent buffer is received with [TransferableBuffer.receive].
final class TransferableBuffer implements Finalizable {
  /// Creates a buffer of [length] zero bytes.
  factory TransferableBuffer(int length) {
    RangeError.checkNotNegative(length, 'length');
    final block = functions.alloc(length);
    if (block == nullptr) throw OutOfMemoryError();
    return TransferableBuffer._(block, length);
  }

  /// Copies [bytes] into a new buffer, which is the last copy of them.
  factory TransferableBuffer.from(List<int> bytes) {
    final buffer = TransferableBuffer(bytes.length);
    setBytes(buffer.bytes, bytes);
    return buffer;
  }

  /// Takes over the buffer that [send] gave away in another isolate.
  ///
  /// Throws a [StateError] if it has been taken over before.
  factory TransferableBuffer.receive(int sent) {
    final block = functions.fetch(sent);
    if (block == nullptr) {
      throw StateError('there is no TransferableBuffer $sent, or no more');
    }
    return TransferableBuffer._(block, functions.length(block));
  }

  TransferableBuffer._(this._block, this.length) {
    _attach();
  }

  static final _finalizer = NativeFinalizer(functions.releaseAddress);

  void _attach() => _finalizer.attach(
        this,
        _block,
        detach: this,
        externalSize: functions.weight(length),
      );

  final Pointer<Void> _block;
  Uint8List? _bytes;
  bool _isGone = false;

  /// The number of bytes.
  final int length;

  /// Whether the buffer has been given away.
  bool get isGone => _isGone;

  /// The bytes, to read and to write. Every access returns the same view.
  ///
  /// Throws a [StateError] once the buffer has been given away.
  Uint8List get bytes {
    _checkOwned();
    return _bytes ??= _view();
  }

  Uint8List _view() =>
      listOver(functions.data(_block), length, _Reference(_block));

  /// The address of the bytes, for native code that is called while this
  /// isolate has the buffer.
  ///
  /// Throws a [StateError] once the buffer has been given away.
  Pointer<Uint8> get address {
    _checkOwned();
    return functions.data(_block);
  }

  /// Frees the memory now, and not when the collector finds the buffer. A view
  /// that was taken keeps the memory. The buffer is gone after this, as if it
  /// had been sent. If it is gone already, this does nothing.
  void release() {
    if (!_isGone) functions.release(giveAway());
  }

  /// Gives the buffer away and returns a number, with which another Dart
  /// isolate takes it over by [TransferableBuffer.receive]. If none does, it
  /// leaks.
  int send() => functions.leave(giveAway());

  /// Gives the reference away: the new owner has to release it.
  Pointer<Void> giveAway() {
    _checkOwned();
    _isGone = true;
    _bytes = null;
    _finalizer.detach(this);
    return _block;
  }

  /// Takes the reference back, because giving it away failed.
  void takeBack() {
    _isGone = false;
    _attach();
  }

  void _checkOwned() {
    if (_isGone) {
      throw StateError('this TransferableBuffer has been given away');
    }
  }
}

/// A view's own reference to a buffer.
final class _Reference implements Finalizable {
  _Reference(Pointer<Void> block) {
    functions.retain(block);
    TransferableBuffer._finalizer.attach(this, block);
  }
}

final _keepers = Expando<Object>('insula: what keeps the memory of lists');

/// Returns the [length] bytes at [bytes] as a list. The list keeps [keeper],
/// which keeps the memory. Views of the list keep the list.
///
/// No size is reported to the VM, so a large list triggers no collection.
Uint8List listOver(Pointer<Uint8> bytes, int length, Object keeper) {
  final list = bytes.asTypedList(length);
  _keepers[list] = keeper;
  return list;
}
