import 'dart:ffi';

import 'library.dart';
import 'native.dart';

/// An object that owns a handle of the library.
///
/// The handle is given back by [release]; by the collector, if the object is
/// dropped without it; and by the VM when the isolate ends, however it ends. So
/// what waits for this isolate learns that it is gone.
abstract base class Owner implements Finalizable {
  /// Takes over [handle], which the function at [releaseFunction] gives back.
  /// The collector is told that it keeps about [weight] bytes.
  Owner(
    this._handle,
    Pointer<ReleaseFunction> releaseFunction, {
    required int weight,
  }) {
    _lease = functions.leaseNew(_handle, releaseFunction);
    _finalizer.attach(this, _lease, detach: this, externalSize: weight);
  }

  static final _finalizer = NativeFinalizer(functions.leaseGone);

  final int _handle;
  late final Pointer<Void> _lease;
  bool _isReleased = false;

  /// Whether it has been closed or released here.
  bool get isReleased => _isReleased;

  /// The number that stands for it in the library, also for native code.
  ///
  /// Throws a [StateError] once it has been closed or released.
  int get handle {
    if (_isReleased) throw StateError('this $runtimeType has been closed');
    return _handle;
  }

  /// Gives the handle back. Doing so again does nothing.
  void release() {
    if (_detach()) functions.leaseEnd(_lease);
  }

  bool _detach() {
    if (_isReleased) return false;
    _isReleased = true;
    _finalizer.detach(this);
    return true;
  }
}

/// Lets go of the handle of [owner], which another object has taken over.
void forget(Owner owner) {
  if (owner._detach()) functions.leaseForget(owner._lease);
}
