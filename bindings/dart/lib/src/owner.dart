import 'dart:ffi';

import 'library.dart';
import 'native.dart';

/// An object that owns a handle of the library.
///
/// The handle is released by [release]; by the collector, if the object is
/// collected before that; and by the VM when the isolate ends, however it ends.
/// So the peers that wait for this isolate learn that it is gone.
///
/// A closure that is sent to another isolate carries the variables that other
/// closures of its function use, so an object may be sent unintentionally. It
/// is a copy then, which owns nothing, and its use throws a [StateError].
abstract base class Owner {
  /// Takes over [handle], which the function at [releaseFunction] releases. The
  /// VM is told that the object keeps about [weight] bytes.
  Owner(
    int handle,
    Pointer<ReleaseFunction> releaseFunction, {
    required int weight,
  }) {
    _leases[this] = _Lease(handle, releaseFunction, weight);
  }

  /// The leases of this isolate's objects. Not fields, because they must not be
  /// sent.
  static final _leases = Expando<_Lease>('insula: leases');

  _Lease get _lease =>
      _leases[this] ??
      (throw StateError('this $runtimeType belongs to another isolate'));

  /// Whether it has been closed or released in this isolate.
  bool get isReleased => _lease.isEnded;

  /// The number of the handle in the library and in native code.
  ///
  /// Throws a [StateError] once it has been closed or released.
  int get handle => use((handle) => handle);

  /// Calls [body] with the handle, which is not released by the collector
  /// before it returns.
  ///
  /// Throws the same as [handle].
  R use<R>(R Function(int handle) body) {
    // A local variable of this type is kept alive to the end of its scope, even
    // if it is no longer used: the object must not be collected while a wait
    // blocks.
    final lease = _lease;
    if (lease.isEnded) throw StateError('this $runtimeType has been closed');
    return body(lease.handle);
  }

  /// Releases the handle. Releasing it again does nothing.
  void release() {
    final lease = _lease;
    if (lease.end()) functions.leaseEnd(lease.token);
  }
}

/// Detaches the handle of [owner], which another object has taken over.
void forget(Owner owner) {
  final lease = owner._lease;
  if (lease.end()) functions.leaseForget(lease.token);
}

final class _Lease implements Finalizable {
  _Lease(this.handle, Pointer<ReleaseFunction> releaseFunction, int weight)
      : token = functions.leaseNew(handle, releaseFunction) {
    _finalizer.attach(this, token, detach: this, externalSize: weight);
  }

  static final _finalizer = NativeFinalizer(functions.leaseGone);

  final int handle;
  final Pointer<Void> token;
  bool isEnded = false;

  /// Detaches it, and returns whether it had not ended.
  bool end() {
    if (isEnded) return false;
    isEnded = true;
    _finalizer.detach(this);
    return true;
  }
}
