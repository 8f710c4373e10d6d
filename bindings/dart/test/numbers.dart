/// Risk: a number changes its meaning: a negative time waits forever, a large
/// one is truncated.
library;

import 'dart:async';

import 'package:insula/insula.dart';

import 'harness.dart';
import 'sample.dart';

const _negative = [
  Duration(microseconds: -1),
  Duration(hours: -1),
  Duration(microseconds: -0x8000000000000000),
];

const _huge = [
  Duration(days: 100000),
  Duration(days: 200000),
  Duration(microseconds: 0x7fffffffffffffff),
];

void define() {
  test('a negative time is refused, by the name of its parameter', () async {
    final mailbox = Mailbox()..put([1]);
    final (requester, side) = Requester.open();
    final responder = Responder.fromHandle(side);
    final pool = openSample('negative');
    for (final time in _negative) {
      for (final (name, use) in <(String, FutureOr<void> Function())>[
        ('timeout', () => mailbox.put([1], timeout: time)),
        ('timeout', () => mailbox.take(timeout: time)),
        ('timeout', () => requester.request([1], timeout: time)),
        ('timeout', () => responder.receive(timeout: time)),
        ('deadline', () => pool.call(['echo', 1], deadline: time)),
        ('deadline', () => pool.stream(['forever'], deadline: time)),
        ('patience', () => pool.close(patience: time)),
      ]) {
        final error = await errorOf(use);
        expect(error is ArgumentError, true, '$error');
        expect((error as ArgumentError).name, name);
        expect(error.invalidValue, time);
      }
    }
    // Nothing has happened.
    expect(mailbox.take(), [1]);
    expect(await pool.call(['echo', 1]), 1);
    pool.close();
    mailbox.close();
    requester.close();
  });

  test('no time at all is a try', () async {
    final mailbox = Mailbox();
    final (requester, side) = Requester.open();
    final responder = Responder.fromHandle(side);
    final pool = openSample('no time');
    const none = Duration.zero;
    final waits = <FutureOr<void> Function()>[
      () => mailbox.take(timeout: none),
      () => (mailbox..put([1], timeout: none)).put([2], timeout: none),
      () => responder.receive(timeout: none),
      () => requester.request([1], timeout: none),
      () => pool.call(['sleep', 100], deadline: none),
    ];
    for (final (index, wait) in waits.indexed) {
      final error = await errorOf(wait);
      expect((error as InsulaException).status, Status.timedOut, '$index');
    }
    mailbox.close();
    requester.close();
    pool.close();
  });

  test('a huge time is a long one', () async {
    final mailbox = Mailbox();
    final pool = openSample('huge');
    for (final time in _huge) {
      mailbox.put([1], timeout: time);
      expect(mailbox.take(timeout: time), [1]);
      expect(await pool.call(['echo', 2], deadline: time), 2);
      final items = pool.stream(['count', 3], deadline: time);
      expect(await items.toList(), [0, 1, 2]);
    }
    pool.close(patience: _huge.last);
    mailbox.close();
  });

  test('a window is checked, and its extremes do', () async {
    final pool = openSample('windows');
    for (final window in [0, -1, 1 << 32, 1 << 62]) {
      final error = await errorOf(() => pool.stream(1, window: window));
      expect((error as RangeError).name, 'window');
      expect(error.invalidValue, window);
    }
    for (final window in [1, 2, 3, 0xffffffff]) {
      final items = await pool.stream(['count', 200], window: window).toList();
      expect(items, List.generate(200, (i) => i), '$window');
    }
    pool.close();
  });

  test('a number of threads is checked', () async {
    for (final threads in [-1, 1 << 32, 1 << 62]) {
      final error = await errorOf(() => Insula.open(threads: threads));
      expect((error as RangeError).name, 'threads');
      expect(error.invalidValue, threads);
    }
  });

  test('what is no byte is in no message', () async {
    final mailbox = Mailbox();
    for (final byte in [-1, 256, 1 << 40]) {
      final error = await errorOf(() => mailbox.put([0, byte]));
      expect((error as RangeError).name, 'bytes[1]');
      expect(error.invalidValue, byte);
    }
    expect(mailbox.tryTake(), null);
    mailbox.close();
  });

  test('what is no handle is none', () async {
    for (final handle in [0, -1, 1, 0x7fffffffffffffff]) {
      for (final use in <void Function()>[
        () => Mailbox.fromHandle(handle).take(),
        () => Requester.fromHandle(handle).request([1]),
        () => Responder.fromHandle(handle).receive(),
        () => InsulaPort(handle).post(1),
      ]) {
        final error = await errorOf(use);
        expect((error as InsulaException).status, Status.badHandle);
      }
      final call = WorkerPool.fromHandle(handle).call(1);
      final error = await errorOf(() => call);
      expect((error as InsulaException).status, Status.badHandle);
    }
    final mailbox = Mailbox();
    final requester = Requester.fromHandle(mailbox.handle);
    final error = await errorOf(() => requester.request([1]));
    expect((error as InsulaException).status, Status.wrongType);
    // The wrong object does not release the handle either.
    requester.release();
    expect(mailbox.tryTake(), null);
    mailbox.close();
  });
}
