import 'dart:async';
import 'dart:ffi';
import 'dart:isolate';

import 'codec.dart';
import 'library.dart';
import 'native.dart';
import 'status.dart';

/// A call that is under way, or has ended: the future of its answer, which can
/// be cancelled.
final class Call implements Future<Object?> {
  /// Creates the call with the given number.
  Call(this._calls, this._id, this._answer);

  final Calls _calls;
  final int _id;
  final Future<Object?> _answer;

  /// Cancels the call: the future ends with [Status.cancelled], and the service
  /// is notified, or never begins. Returns false if the call has ended.
  ///
  /// A cancelled call whose future is not awaited is not an uncaught error.
  bool cancel() {
    _answer.ignore();
    return _calls.cancel(_id);
  }

  @override
  Stream<Object?> asStream() => _answer.asStream();

  @override
  Future<Object?> catchError(
    Function onError, {
    bool Function(Object error)? test,
  }) =>
      _answer.catchError(onError, test: test);

  @override
  Future<R> then<R>(
    FutureOr<R> Function(Object? value) onValue, {
    Function? onError,
  }) =>
      _answer.then(onValue, onError: onError);

  @override
  Future<Object?> timeout(
    Duration timeLimit, {
    FutureOr<Object?> Function()? onTimeout,
  }) =>
      _answer.timeout(timeLimit, onTimeout: onTimeout);

  @override
  Future<Object?> whenComplete(FutureOr<void> Function() action) =>
      _answer.whenComplete(action);
}

/// Creates the exception for a call that failed.
InsulaException failure(int status, bool mayHaveRun, Object? answer) =>
    InsulaException(
      status,
      message: answer is String && answer.isNotEmpty ? answer : null,
      mayHaveRun: mayHaveRun,
    );

/// The handlers of a call's messages.
final class Pending {
  /// Creates the handlers of items and of the end.
  Pending({required this.onEnd, this.onItem});

  /// Called for each item of a stream.
  final void Function(Object? item)? onItem;

  /// Called at the end, once.
  final void Function(int status, bool mayHaveRun, Object? answer) onEnd;
}

/// The calls of this isolate that are under way.
///
/// They share one port of the isolate, and have numbers. The port keeps the
/// isolate alive while there are any. When the isolate ends, a finalizer
/// cancels them.
final class Calls implements Finalizable {
  Calls._() {
    // First, because nothing may be left open if there is no library.
    final native = functions;
    _receive = RawReceivePort(_handle, 'insula calls');
    _receive.keepIsolateAlive = false;
    token = native.callsNew(_receive.sendPort.nativePort);
    _finalizer.attach(this, token);
  }

  /// The calls of the current isolate.
  static final current = Calls._();
  static final _finalizer = NativeFinalizer(functions.callsGone);

  late final RawReceivePort _receive;
  final _pending = <int, Pending>{};
  bool _keepsAlive = false;
  int _last = 0;

  /// The address of the library's table of these calls.
  late final Pointer<Void> token;

  /// Returns the number for a new call.
  int nextId() => ++_last;

  /// Begins the call with the given number, by [call].
  void begin(
    int id,
    Object? request,
    int Function(Pointer<Value> value) call,
    Pending pending,
  ) {
    sendValue(request, call);
    _pending[id] = pending;
    _keepAlive(true);
  }

  /// Cancels a call, and returns whether it was under way.
  bool cancel(int id) =>
      _pending.containsKey(id) && functions.callCancel(token, id) == 0;

  /// Grants credits for more items of a stream.
  void grant(int id, int items) {
    if (_pending.containsKey(id)) functions.streamGrant(token, id, items);
  }

  /// Checks first, because setting it costs more.
  void _keepAlive(bool keeps) {
    if (keeps == _keepsAlive) return;
    _keepsAlive = keeps;
    _receive.keepIsolateAlive = keeps;
  }

  void _handle(List<Object?> message) {
    final id = message[0]! as int;
    if (message[1] == 0) {
      _pending[id]?.onItem?.call(withLight(message[2], message[3]));
      return;
    }
    // Removed first, because the code that receives the answer may make the
    // next call at once.
    _pending.remove(id)?.onEnd(
          message[2]! as int,
          message[3] == 1,
          withLight(message[4], message[5]),
        );
    _keepAlive(_pending.isNotEmpty);
  }
}
