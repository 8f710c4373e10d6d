import 'dart:ffi';
import 'dart:typed_data';

import 'library.dart';
import 'memory.dart';

/// Bytes outside of Dart's heap, which move to Rust, to C and to other
/// isolates without a copy.
///
/// Who sends a buffer gives it away: [bytes] throws from then on. A view that
/// was taken before stays readable, and its memory stays until it is collected
/// too; what it shows is up to the new owner.
///
/// What comes back is an ordinary [Uint8List] over the native memory, or, in
/// another isolate, a buffer made with [TransferableBuffer.receive].
final class TransferableBuffer implements Finalizable {
  /// [length] bytes, all zero.
  factory TransferableBuffer(int length) {
    RangeError.checkNotNegative(length, 'length');
    final block = functions.alloc(length);
    if (block == nullptr) throw OutOfMemoryError();
    return TransferableBuffer._(block, length);
  }

  /// A copy of [bytes]: the last one that is made of them.
  factory TransferableBuffer.from(List<int> bytes) {
    final buffer = TransferableBuffer(bytes.length);
    setBytes(buffer.bytes, bytes);
    return buffer;
  }

  /// Takes over what [send] returned in another isolate.
  ///
  /// Throws a [StateError] if that has been done before.
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

  /// How many bytes there are.
  final int length;

  /// Whether the buffer has been given away.
  bool get isGone => _isGone;

  /// The bytes, to read and to write. Every call returns the same view.
  ///
  /// Throws a [StateError] once the buffer has been given away.
  Uint8List get bytes {
    _checkOwned();
    return _bytes ??= _view();
  }

  Uint8List _view() =>
      listOver(functions.data(_block), length, _Reference(_block));

  /// Where the bytes are, for native code that is called while the buffer is
  /// here.
  ///
  /// Throws a [StateError] once the buffer has been given away.
  Pointer<Uint8> get address {
    _checkOwned();
    return functions.data(_block);
  }

  /// Gives the memory back now, and not when the collector finds the buffer;
  /// a view that was taken keeps it. The buffer is gone then, as if it had been
  /// sent. If it is gone already, this does nothing.
  void release() {
    if (!_isGone) functions.release(giveAway());
  }

  /// Gives the buffer away, as a number for another Dart isolate, which takes
  /// it over with [TransferableBuffer.receive]. If none does so, it is leaked.
  int send() => functions.leave(giveAway());

  /// Gives the reference away: whoever gets it has to release it.
  Pointer<Void> giveAway() {
    _checkOwned();
    _isGone = true;
    _bytes = null;
    _finalizer.detach(this);
    return _block;
  }

  /// Takes the reference back, if giving it away failed.
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

/// A reference of its own to a buffer.
final class _Reference implements Finalizable {
  _Reference(Pointer<Void> block) {
    functions.retain(block);
    TransferableBuffer._finalizer.attach(this, block);
  }
}

final _keepers = Expando<Object>('insula: what keeps the memory of lists');

/// The [length] bytes at [bytes] as a list, which keeps [keeper], which keeps
/// the memory. Views of the list keep the list.
///
/// The VM is told of no size, so a large list brings no collection with it.
Uint8List listOver(Pointer<Uint8> bytes, int length, Object keeper) {
  final list = bytes.asTypedList(length);
  _keepers[list] = keeper;
  return list;
}
