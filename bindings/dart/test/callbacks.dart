/// Risk: a native thread waits forever, is answered twice, or gets the answer
/// of another call; or a callback runs after its end.
library;

import 'dart:async';
import 'dart:isolate';

import 'package:insula/insula.dart';

import 'harness.dart';
import 'sample.dart';

/// What a native thread that calls [callback] `count` times reports.
Future<int> roundTrips(int callback, int count, {int timeoutMs = 5000}) async {
  final receive = ReceivePort();
  final port = InsulaPort.to(receive.sendPort);
  startRoundTrips(callback, count, timeoutMs * 1000000, port.handle);
  final result = await receive.first as int;
  port.close();
  return result;
}

/// An error that cannot even describe itself.
final class _Mute extends Error {
  @override
  String toString() => throw StateError('on purpose');
}

void define() {
  test('native threads wait for the answers of an isolate', () async {
    final called = <int>[];
    final callback = BlockingCallback((argument) {
      called.add(argument! as int);
      return argument as int;
    });
    expect(await roundTrips(callback.address, 200) > 0, true);
    expect(called, List.generate(200, (i) => i));
    callback.close();
  });

  test('blocking and not, by two threads', () async {
    final noted = <int>[];
    final done = Completer<void>();
    final blocking = BlockingCallback((n) => (n! as int) + 3);
    final listener = ListenerCallback((n) {
      noted.add(n! as int);
      if (noted.length == 2) done.complete();
    });
    startCallbacks(blocking.address, listener.address);
    await done.future;
    expect(noted..sort(), [5, 7]);
    blocking.close();
    listener.close();
  });

  test('an answer may take its time', () async {
    final callback = BlockingCallback((n) async {
      await Future<void>.delayed(const Duration(milliseconds: 10));
      return n;
    });
    expect(await roundTrips(callback.address, 3) > 10000000, true);
    callback.close();
  });

  test('an error goes to the caller', () async {
    final callback = BlockingCallback((n) => throw StateError('on purpose'));
    final status = -await roundTrips(callback.address, 1);
    expect(Status.of(status), Status.failed);
    callback.close();
  });

  test('an answer that cannot be sent goes to the caller as an error',
      () async {
    final gone = TransferableBuffer(1)..release();
    final circle = <Object?>[];
    circle.add(circle);
    for (final answer in <Object? Function()>[
      () => DateTime(2000),
      () => gone,
      () => circle,
      () => throw _Mute(),
      () => Future<void>.error(_Mute()),
    ]) {
      final callback = BlockingCallback((_) => answer());
      final status = -await roundTrips(callback.address, 1);
      expect(Status.of(status), Status.failed, '$answer');
      callback.close();
    }
  });

  test('a caller has a time-out', () async {
    final callback = BlockingCallback((n) => Completer<void>().future);
    final status = -await roundTrips(callback.address, 1, timeoutMs: 10);
    expect(Status.of(status), Status.timedOut);
    callback.close();
  });

  test('closing ends calls that wait', () async {
    final called = Completer<void>();
    final callback = BlockingCallback((n) {
      called.complete();
      return Completer<void>().future;
    });
    final result = roundTrips(callback.address, 1);
    await called.future;
    callback.close();
    expect(Status.of(-await result), Status.closed);
    // Later calls are refused.
    expect(await roundTrips(callback.address, 1), -2);
  });

  test('a call from the own isolate is a deadlock', () {
    final callback = BlockingCallback((n) => n);
    expect(Status.of(callHere(callback.address, 1)), Status.deadlock);
    callback.close();
  });

  test('the end of the isolate ends calls that wait', () async {
    final receive = ReceivePort();
    final result = ReceivePort();
    final port = InsulaPort.to(result.sendPort);
    final isolate = await Isolate.spawn((SendPort ready) {
      final callback = BlockingCallback((n) {
        ready.send(null);
        return Completer<void>().future;
      });
      ready.send(callback.address);
    }, receive.sendPort);
    final messages = StreamIterator(receive);
    await messages.moveNext();
    startRoundTrips(messages.current as int, 1, -1, port.handle);
    await messages.moveNext();
    isolate.kill(priority: Isolate.immediate);
    expect(Status.of(-(await result.first as int)), Status.peerDied);
    port.close();
    await messages.cancel();
  });

  test('a worker that waits for an answer ends with its pool', () async {
    final pool = openSample('waits for Dart', workers: 1);
    final called = Completer<void>();
    final callback = BlockingCallback((n) {
      called.complete();
      return Completer<void>().future;
    });
    pool.call(['callback', callback.address]).ignore();
    await called.future;
    // This isolate cannot answer meanwhile.
    pool.close();
    expect(Status.of(calledStatus()), Status.ending);
    callback.close();
  });

  test('a callback keeps its isolate alive unless told not to', () async {
    final exit = ReceivePort();
    await Isolate.spawn((_) {
      ListenerCallback((_) {}).keepIsolateAlive = false;
    }, null, onExit: exit.sendPort);
    expect(await exit.first, null);
  });
}
