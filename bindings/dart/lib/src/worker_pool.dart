import 'dart:async';
import 'dart:ffi';

import 'call.dart';
import 'codec.dart';
import 'library.dart';
import 'native.dart';
import 'owner.dart';
import 'status.dart';

/// A service on a pool of Rust workers.
///
/// [call] lists the types of requests and answers. While calls are under way
/// they keep the isolate alive; if it ends nevertheless, they are cancelled.
final class WorkerPool extends Owner {
  /// Finds the pool that native code opened with that name.
  ///
  /// Throws an [InsulaException] with [Status.notFound] if there is none.
  factory WorkerPool.find(String name) => withMemory((memory) {
        final handle = memory.handle();
        check(functions.serviceFind(memory.text(name), handle));
        return WorkerPool.fromHandle(handle.value);
      });

  /// Takes over a handle from native code. Call this once for each handle.
  WorkerPool.fromHandle(int handle)
      : super(handle, functions.serviceReleaseAddress, weight: 1024);

  /// Sends a request, and returns the call, which is the future of its answer.
  ///
  /// Requests are `null`, [bool], [int], [double], [String], lists of such
  /// values, typed data (copied) and buffers (moved). Answers have the same
  /// types, with buffers as lists over native memory that is not copied.
  ///
  /// If the call fails, the future ends with an [InsulaException]:
  /// [Status.failed] with the text of the service, [Status.timedOut] after
  /// [deadline], [Status.cancelled] after [Call.cancel], or the reason why the
  /// pool refused or lost the call. In all of these cases a service that has
  /// begun is notified that its answer is no longer needed.
  ///
  /// Throws an [ArgumentError] if [deadline] is negative or [request] cannot be
  /// sent, and a [StateError] if the pool has been closed in this isolate.
  Call call(Object? request, {Duration? deadline}) {
    final time = nanoseconds(deadline, 'deadline');
    final calls = Calls.current;
    final end = Completer<Object?>.sync();
    final id = calls.nextId();
    try {
      calls.begin(
        id,
        request,
        (value) => use(
          (handle) =>
              functions.callBegin(calls.token, id, handle, value, time, 0),
        ),
        Pending(
          onEnd: (status, mayHaveRun, answer) {
            if (status == 0) {
              end.complete(answer);
            } else {
              end.completeError(failure(status, mayHaveRun, answer));
            }
          },
        ),
      );
    } on InsulaException catch (error, stack) {
      return Call(calls, id, Future.error(error, stack));
    }
    return Call(calls, id, end.future);
  }

  /// Sends a request whose answer is a stream: the service receives
  /// `[stream, request]`, sends items to the stream, and ends.
  ///
  /// The call begins when the stream is listened to, and is cancelled with the
  /// subscription. The service sends no faster than the listener consumes: no
  /// more than [window] items are in transit, also while the subscription is
  /// paused. The service waits until some of them have been consumed.
  ///
  /// Errors are the same as for [call], and are events of the stream. Throws an
  /// [ArgumentError] if [deadline] is negative or [window] is less than 1.
  Stream<Object?> stream(
    Object? request, {
    Duration? deadline,
    int window = 32,
  }) {
    final time = nanoseconds(deadline, 'deadline');
    unsigned32(window, 'window', least: 1);
    final calls = Calls.current;
    final id = calls.nextId();
    late final StreamController<Object?> items;

    void begin() {
      try {
        calls.begin(
          id,
          request,
          (value) => use(
            (handle) => functions.callBegin(
                calls.token, id, handle, value, time, window),
          ),
          Pending(
            onItem: items.add,
            onEnd: (status, mayHaveRun, answer) {
              if (status != 0) {
                items.addError(failure(status, mayHaveRun, answer));
              }
              unawaited(items.close());
            },
          ),
        );
        // Every error is passed to the listener, which has no other way to
        // learn of it.
        // ignore: avoid_catches_without_on_clauses
      } catch (error, stack) {
        items.addError(error, stack);
        unawaited(items.close());
      }
    }

    items = StreamController<Object?>(
      onListen: begin,
      onCancel: () {
        calls.cancel(id);
      },
    );
    // Half of the window is granted at a time, as items are consumed.
    final batch = (window + 1) ~/ 2;
    var taken = 0;
    return items.stream.map((item) {
      if (++taken == batch) {
        taken = 0;
        calls.grant(id, batch);
      }
      return item;
    });
  }

  /// Ends the pool for all of its users: calls under way have [patience] to
  /// end. Closing it again does nothing.
  ///
  /// Blocks the isolate meanwhile.
  void close({Duration patience = Duration.zero}) {
    final time = nanoseconds(patience, 'patience');
    if (isReleased) return;
    final code = use((handle) => functions.serviceClose(handle, time));
    switch (Status.of(code)) {
      // It was closed through another handle, or by a shutdown.
      case Status.ok || Status.staleHandle || Status.shutDown:
        release();
      case _:
        check(code);
    }
  }
}
