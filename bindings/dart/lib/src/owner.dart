import 'dart:ffi';

import 'library.dart';
import 'native.dart';

/// An object that owns a handle of the library.
///
/// The handle is given back by [release]; by the collector, if the object is
/// dropped without it; and by the VM when the isolate ends, however it ends. So
/// what waits for this isolate learns that it is gone.
///
/// A closure that is sent to another isolate takes along what other closures of
/// its function use, so an object may get there unintended. It is a copy then,
/// which owns nothing, and to use it throws a [StateError].
abstract base class Owner {
  /// Takes over [handle], which the function at [releaseFunction] gives back.
  /// The collector is told that it keeps about [weight] bytes.
  Owner(
    int handle,
    Pointer<ReleaseFunction> releaseFunction, {
    required int weight,
  }) {
    _leases[this] = _Lease(handle, releaseFunction, weight);
  }

  /// Those of this isolate. Not in fields, as they must not be sent.
  static final _leases = Expando<_Lease>('insula: leases');

  _Lease get _lease =>
      _leases[this] ??
      (throw StateError('this $runtimeType belongs to another isolate'));

  /// Whether it has been closed or released here.
  bool get isReleased => _lease.isEnded;

  /// The number that stands for it in the library, also for native code.
  ///
  /// Throws a [StateError] once it has been closed or released.
  int get handle => use((handle) => handle);

  /// Calls [body] with the handle, which stays until it returns.
  ///
  /// Throws as [handle] does.
  R use<R>(R Function(int handle) body) {
    // A local variable of this type is kept to its end, also if nothing uses it
    // any more: while a wait blocks, the object must not be collected.
    final lease = _lease;
    if (lease.isEnded) throw StateError('this $runtimeType has been closed');
    return body(lease.handle);
  }

  /// Gives the handle back. Doing so again does nothing.
  void release() {
    final lease = _lease;
    if (lease.end()) functions.leaseEnd(lease.token);
  }
}

/// Lets go of the handle of [owner], which another object has taken over.
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

  /// Detaches it, and tells whether it had not ended.
  bool end() {
    if (isEnded) return false;
    isEnded = true;
    _finalizer.detach(this);
    return true;
  }
}
