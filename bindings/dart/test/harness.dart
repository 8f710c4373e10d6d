/// A few lines in place of a test framework, so that the tests need nothing but
/// a VM.
library;

import 'dart:async';
import 'dart:io';
import 'dart:isolate';

final _tests = <(String, FutureOr<void> Function())>[];

/// The time after which a test is taken to hang, and all of them are ended.
const _limit = Duration(seconds: 60);

/// Adds a test.
void test(String name, FutureOr<void> Function() body) =>
    _tests.add((name, body));

/// Runs all tests in order, only those whose name contains [only] if it is
/// given, and exits with the number of failures.
Future<void> runTests({String only = ''}) async {
  final watchdog = await _startWatchdog();
  var failed = 0;
  var run = 0;
  for (final (name, body) in _tests) {
    if (!name.contains(only)) continue;
    run++;
    watchdog.send(name);
    final watch = Stopwatch()..start();
    try {
      await Future.sync(body).timeout(_limit);
      final seconds = (watch.elapsedMilliseconds / 1000).toStringAsFixed(1);
      print('ok    $name ($seconds s)');
    } catch (error, stack) {
      failed++;
      print('FAIL  $name: $error\n$stack');
    }
  }
  print('$run tests, $failed failed');
  await stdout.flush();
  exit(failed == 0 ? 0 : 1);
}

/// Starts an isolate that ends the process if a test hangs, even if the test
/// blocks its isolate. It is sent the name of each test.
Future<SendPort> _startWatchdog() async {
  final ready = ReceivePort();
  await Isolate.spawn(_watch, ready.sendPort);
  return await ready.first as SendPort;
}

void _watch(SendPort ready) {
  final names = RawReceivePort();
  Timer? timer;
  names.handler = (String name) {
    timer?.cancel();
    timer = Timer(_limit + const Duration(seconds: 5), () {
      stdout.writeln('FAIL  $name: does not end');
      unawaited(
        stdout.flush().then((_) => Process.killPid(pid, ProcessSignal.sigkill)),
      );
    });
  };
  ready.send(names.sendPort);
}

/// Fails unless both are equal; compares lists by their items.
void expect(Object? actual, Object? expected, [String what = '']) {
  if (!_equal(actual, expected)) {
    throw StateError('$what: expected $expected, got $actual');
  }
}

bool _equal(Object? a, Object? b) {
  if (a is List && b is List) {
    if (a.length != b.length) return false;
    for (var i = 0; i < a.length; i++) {
      if (!_equal(a[i], b[i])) return false;
    }
    return true;
  }
  return a == b;
}

/// Returns the error that [body] throws, or that its future ends with.
Future<Object> errorOf(FutureOr<void> Function() body) async {
  try {
    await body();
  } catch (error) {
    return error;
  }
  throw StateError('no error');
}

/// Waits until [condition] holds, and fails if it takes too long.
Future<void> eventually(bool Function() condition, String what) async {
  final watch = Stopwatch()..start();
  while (!condition()) {
    if (watch.elapsed > const Duration(seconds: 20)) {
      throw StateError('never: $what');
    }
    await Future<void>.delayed(const Duration(milliseconds: 2));
  }
}
