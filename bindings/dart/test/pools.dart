/// Risk: an answer is lost, comes twice, belongs to another call, or an error
/// is reported as another one.
library;

import 'dart:async';
import 'dart:isolate';
import 'dart:typed_data';

import 'package:insula/insula.dart';

import 'harness.dart';
import 'sample.dart';

void define() {
  test('a pool answers with what it was asked', () async {
    final pool = openSample('values');
    final messages = [
      null,
      true,
      -1,
      1 << 52,
      1.5,
      'größer als ASCII',
      '',
      [
        1,
        ['two', null],
        <Object?>[],
      ],
      Uint8List.fromList([1, 2, 3]),
      Float64List.fromList([0.5, -2]),
    ];
    for (final message in messages) {
      expect(await pool.call(['echo', message]), message);
    }
    pool.close();
  });

  test('many calls at once each get their own answer', () async {
    final pool = openSample('many');
    final answers = await Future.wait([
      for (var i = 0; i < 2000; i++) pool.call(['echo', i]),
    ]);
    expect(answers, List.generate(2000, (i) => i));
    pool.close();
  });

  test('a pool is found by its name in every isolate', () async {
    final pool = openSample('everywhere');
    final answer = await Isolate.run(
      () => WorkerPool.find('everywhere').call(['echo', 7]),
    );
    expect(answer, 7);
    pool.close();
    final error = await errorOf(() => WorkerPool.find('everywhere'));
    expect((error as InsulaException).status, Status.notFound);
  });

  test('a failure of the service has its text', () async {
    final pool = openSample('failing');
    final error = await errorOf(() => pool.call(['fail', 'on purpose']));
    expect((error as InsulaException).status, Status.failed);
    expect(error.message.contains('on purpose'), true, error.message);
    expect(error.mayHaveRun, true);
    pool.close();
  });

  test('a deadline ends a call', () async {
    final pool = openSample('late', workers: 1);
    final error = await errorOf(
      () => pool.call(
        ['sleep', 200],
        deadline: const Duration(milliseconds: 10),
      ),
    );
    expect((error as InsulaException).status, Status.timedOut);
    pool.close(patience: const Duration(seconds: 1));
  });

  test('a closed pool refuses calls', () async {
    final pool = openSample('closed');
    final found = WorkerPool.find('closed');
    pool.close();
    final error = await errorOf(() => found.call(['echo', 1]));
    expect((error as InsulaException).status, Status.closed);
  });

  test('calls that wait or run end with their pool', () async {
    final pool = openSample('ending', workers: 1);
    Future<Object?> end(int number) async {
      try {
        return await pool.call(['sleep', number]);
      } on InsulaException catch (error) {
        return error.status;
      }
    }

    final ends = [for (var i = 0; i < 3; i++) end(50 + i)];
    pool.close();
    final [first, ...rest] = await Future.wait(ends);
    // It may have finished in the time that it is given to stop.
    expect(first == 50 || first is Status, true, '$first');
    for (final status in rest) {
      expect(status is Status, true, '$status');
    }
  });

  test('an isolate may end before its answer comes', () async {
    final pool = openSample('nobody', workers: 1);
    for (var i = 0; i < 20; i++) {
      final receive = ReceivePort();
      await Isolate.spawn(
        (_) {
          final pool = WorkerPool.find('nobody');
          unawaited(pool.call(['zeros', 2 << 20]));
          Isolate.exit();
        },
        null,
        onExit: receive.sendPort,
      );
      await receive.first;
    }
    expect(await pool.call(['echo', 1]), 1);
    pool.close();
  });

  test('what native code cannot have is refused at once', () async {
    final pool = openSample('refusing');
    final error = await errorOf(() => pool.call(['echo', DateTime(2000)]));
    expect(error is ArgumentError, true, '$error');
    pool.close();
  });

  test('lists are nested as deep as they may be, and no deeper', () async {
    final pool = openSample('deep');
    Object? nested(int depth) {
      Object? value = depth;
      for (var i = 0; i < depth; i++) {
        value = [value];
      }
      return value;
    }

    // The request itself is a list.
    expect(await pool.call(['echo', nested(63)]), nested(63));
    final circle = <Object?>[];
    circle.add(circle);
    for (final value in [nested(64), nested(10000), circle]) {
      final error = await errorOf(() => pool.call(['echo', value]));
      expect(error is ArgumentError, true, '$error');
      expect((error as ArgumentError).name, 'message');
    }
    pool.close();
  });

  test('a stream gives its items in order and then ends', () async {
    final pool = openSample('stream');
    final items = await pool.stream(['count', 1000]).toList();
    expect(items, List.generate(1000, (i) => i));
    expect(await pool.stream(['count', 0]).toList(), <Object?>[]);
    pool.close();
  });

  test('a stream that fails says why', () async {
    final pool = openSample('bad stream');
    final error = await errorOf(() => pool.stream(['nothing']).drain<void>());
    expect((error as InsulaException).status, Status.failed);
    pool.close();
  });

  test('a cancelled stream ends its call', () async {
    final pool = openSample('endless', workers: 1);
    final items = await pool.stream(['forever']).take(5).toList();
    expect(items, [0, 1, 2, 3, 4]);
    // The one worker is free again.
    expect(await pool.call(['echo', 1]), 1);
    pool.close();
  });
}
