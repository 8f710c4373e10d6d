import 'dart:async';
import 'dart:ffi';
import 'dart:isolate';

import 'codec.dart';
import 'library.dart';
import 'status.dart';

/// The common part of both kinds of callbacks: a number for native code, and a
/// port.
///
/// Native code has the number, so a callback stays until it is closed, or until
/// its isolate ends: the handler of its port keeps it.
abstract base class _Callback implements Finalizable {
  _Callback(String debugName) {
    // First, because nothing may be left open if there is no library.
    final native = functions;
    _receive = RawReceivePort(null, debugName);
    address = native.callbackNew(_receive.sendPort.nativePort);
    _finalizer.attach(this, Pointer.fromAddress(address), detach: this);
  }

  static final _finalizer = NativeFinalizer(functions.callbackGone.cast());

  late final RawReceivePort _receive;
  bool _isClosed = false;

  /// The number of the callback in native code: the first argument of
  /// `insula_dart_callback_call` and `insula_dart_callback_notify`.
  late final int address;

  /// Whether the callback is closed, so that calls are refused.
  bool get isClosed => _isClosed;

  /// Whether the open callback keeps its isolate alive; initially it does.
  bool get keepIsolateAlive => _receive.keepIsolateAlive;
  set keepIsolateAlive(bool keep) => _receive.keepIsolateAlive = keep;

  /// Closes the callback: later calls are refused, and calls without an answer
  /// end with [Status.closed]. Closing it again does nothing.
  void close() {
    if (_isClosed) return;
    _isClosed = true;
    _finalizer.detach(this);
    _receive.close();
    functions.callbackClose(address);
  }
}

/// A function of this isolate that native threads call, and whose answer they
/// wait for.
///
/// Each call is an event of the isolate, ordered with its messages and timers.
/// The function may return a [Future]: the caller waits for it. If it throws,
/// or the future ends with an error, the caller gets `INSULA_ERROR_FAILED` and
/// the text.
///
/// A call on the isolate's own thread would wait for itself, and gets
/// `INSULA_ERROR_DEADLOCK`. If the isolate ends, its callers get
/// `INSULA_ERROR_PEER_DIED`.
final class BlockingCallback extends _Callback {
  /// Creates a callback of the current isolate. Close it with [close].
  BlockingCallback(FutureOr<Object?> Function(Object? argument) function)
      : super('insula blocking callback') {
    _receive.handler = (List<Object?> message) {
      final call = message[0]! as int;
      Future.sync(() => function(message[1])).then(
        (answer) => _answer(call, answer),
        onError: (Object error) => _fail(call, error),
      );
    };
  }

  void _answer(int call, Object? answer) {
    try {
      _send(call, Status.ok, answer);
      // The caller waits, whatever is wrong with the answer.
      // ignore: avoid_catches_without_on_clauses
    } catch (error) {
      _fail(call, error);
    }
  }

  void _fail(int call, Object error) {
    var text = 'an error without a text';
    try {
      text = error.toString();
      // The text is made by the program's own code, and the caller waits.
      // ignore: avoid_catches_without_on_clauses
    } catch (_) {}
    _send(call, Status.failed, text);
  }

  /// Sends an answer, which is dropped if the caller has stopped waiting.
  void _send(int call, Status status, Object? answer) {
    if (_isClosed) return;
    trySendValue(
      answer,
      (value) => functions.callbackAnswer(address, call, status.code, value),
    );
  }
}

/// A function of this isolate that native threads call without waiting.
///
/// Each call is an event of the isolate. Errors are uncaught errors of the zone
/// in which the callback was created.
final class ListenerCallback extends _Callback {
  /// Creates a callback of the current isolate. Close it with [close].
  ListenerCallback(void Function(Object? argument) function)
      : super('insula listener callback') {
    final bound = Zone.current.bindUnaryCallbackGuarded(function);
    _receive.handler = (List<Object?> message) {
      if (!_isClosed) bound(message[1]);
    };
  }
}
