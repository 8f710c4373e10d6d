/// Risk: a call that is no longer needed goes on, or ends twice; a service
/// sends faster than its reader consumes.
library;

import 'dart:async';
import 'dart:isolate';

import 'package:insula/insula.dart';

import 'harness.dart';
import 'sample.dart';

void define() {
  test('a cancelled call ends with an error, and its service learns of it',
      () async {
    final pool = openSample('cancelled', workers: 1);
    // With a deadline the call takes another path.
    for (final deadline in [null, const Duration(minutes: 1)]) {
      final call = pool.call(['work', 30000], deadline: deadline);
      await eventually(() => runningRequests() == 1, 'the work begins');
      expect(call.cancel(), true);
      final error = await errorOf(() => call);
      expect((error as InsulaException).status, Status.cancelled);
      expect(error.mayHaveRun, true);
      expect(call.cancel(), false);
      await eventually(() => runningRequests() == 0, 'the work ends');
      expect(await pool.call(['echo', 1]), 1);
    }
    pool.close();
  });

  test('a call is cancelled before it begins', () async {
    final pool = openSample('queued', workers: 1);
    final first = pool.call(['work', 30000]);
    await eventually(() => runningRequests() == 1, 'the work begins');
    final calls = [for (var i = 0; i < 20; i++) pool.call(['echo', i])];
    for (final call in calls) {
      expect(call.cancel(), true);
    }
    for (final call in calls) {
      final error = await errorOf(() => call);
      expect((error as InsulaException).status, Status.cancelled);
    }
    first.cancel();
    expect(await pool.call(['echo', 1]), 1);
    pool.close();
  });

  test('a call that has ended is not cancelled', () async {
    final pool = openSample('too late');
    final call = pool.call(['echo', 7]);
    expect(await call, 7);
    expect(call.cancel(), false);
    expect(await call, 7);
    pool.close();
  });

  test('a call and its cancellation end it once', () async {
    final pool = openSample('at once');
    var answered = 0;
    for (var i = 0; i < 500; i++) {
      final call = pool.call(['echo', i]);
      if (i.isOdd) await Future<void>.delayed(Duration.zero);
      call.cancel();
      try {
        expect(await call, i);
        answered++;
      } on InsulaException catch (error) {
        expect(error.status, Status.cancelled);
      }
    }
    expect(answered <= 500, true);
    expect(await pool.call(['echo', 1]), 1);
    pool.close();
  });

  test('a cancelled call that nobody waits for is no uncaught error', () async {
    final pool = openSample('unawaited');
    await Isolate.run(() async {
      final pool = WorkerPool.find('unawaited');
      unawaited(Future.sync(() => pool.call(['work', 30000]).cancel()));
      // The end of that call has arrived by then.
      await pool.call(['echo', 1]);
      await pool.call(['echo', 1]);
    });
    pool.close();
  });

  test('a deadline reaches the service', () async {
    final pool = openSample('deadline', workers: 1);
    const deadline = Duration(milliseconds: 20);
    final watch = Stopwatch()..start();
    try {
      // The service may see the deadline before the call does, and answer.
      expect(await pool.call(['work', 30000], deadline: deadline), 30000);
    } on InsulaException catch (error) {
      expect(error.status, Status.timedOut);
    }
    await eventually(() => runningRequests() == 0, 'the work ends');
    expect(watch.elapsed < const Duration(seconds: 25), true);
    pool.close();
  });

  test('a paused stream holds its service back', () async {
    final pool = openSample('paused', workers: 1);
    const window = 4;
    final before = sentItems();
    var taken = 0;
    late final StreamSubscription<Object?> subscription;
    subscription = pool.stream(['forever'], window: window).listen((item) {
      expect(item, taken);
      taken++;
      if (taken % 10 == 0) subscription.pause();
    });
    for (var pauses = 1; pauses <= 5; pauses++) {
      await eventually(() => subscription.isPaused, 'the stream goes on');
      // The service sends what its credits allow, and no more.
      for (var i = 0; i < 20; i++) {
        await Future<void>.delayed(const Duration(milliseconds: 2));
        expect(taken, pauses * 10);
        final ahead = sentItems() - before - taken;
        expect(ahead <= window, true, '$ahead items were sent ahead');
      }
      subscription.resume();
    }
    await subscription.cancel();
    await eventually(() => runningRequests() == 0, 'the service stops');
    pool.close();
  });

  test('a slow reader holds its service back', () async {
    final pool = openSample('slow', workers: 1);
    final before = sentItems();
    var taken = 0;
    await for (final item in pool.stream(['forever'], window: 2)) {
      expect(item, taken);
      taken++;
      await Future<void>.delayed(const Duration(milliseconds: 1));
      final ahead = sentItems() - before - taken;
      expect(ahead <= 2, true, '$ahead items were sent ahead');
      if (taken == 50) break;
    }
    await eventually(() => runningRequests() == 0, 'the service stops');
    pool.close();
  });

  test('a service that waits for its reader ends with the call', () async {
    final pool = openSample('waiting', workers: 1);
    final stream = pool.stream(
      ['forever'],
      window: 1,
      deadline: const Duration(milliseconds: 100),
    );
    final ended = Completer<Object>();
    late final StreamSubscription<Object?> subscription;
    subscription = stream.listen(
      (_) => subscription.pause(),
      onError: ended.complete,
    );
    await eventually(() => subscription.isPaused, 'the first item comes');
    // The reader is not ready, and the call ends at its deadline.
    await eventually(() => runningRequests() == 0, 'the service stops');
    subscription
      ..onData((_) {})
      ..resume();
    final error = await ended.future as InsulaException;
    expect(error.status, Status.timedOut);
    pool.close();
  });

  test('a stream that cannot begin ends with the error', () async {
    final pool = openSample('cannot');
    final unsendable = await errorOf(
      () => pool.stream(['echo', DateTime(2000)]).drain<void>(),
    );
    expect(unsendable is ArgumentError, true, '$unsendable');
    final other = WorkerPool.find('cannot');
    pool.close();
    final closed = await errorOf(() => other.stream([1]).drain<void>());
    expect(closed is InsulaException, true, '$closed');
  });

  test('a service in Rust answers, and streams', () async {
    expect(openCounter(), 0);
    final counter = WorkerPool.find('counter');
    expect(await counter.call(12), 144);
    final error = await errorOf(() => counter.call(1 << 40));
    expect((error as InsulaException).status, Status.failed);
    final items = await counter.stream(500, window: 3).toList();
    expect(items, List.generate(500, (i) => i));
    expect(await counter.stream(1 << 40).take(3).toList(), [0, 1, 2]);
    // The one worker is free again.
    expect(await counter.call(3), 9);
    counter.close();
  });
}
