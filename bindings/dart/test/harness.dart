/// A few lines in place of a test framework, so that the tests need nothing but
/// a VM.
library;

import 'dart:async';
import 'dart:io';

final _tests = <(String, FutureOr<void> Function())>[];

/// Adds a test.
void test(String name, FutureOr<void> Function() body) =>
    _tests.add((name, body));

/// Runs all tests in their order, those whose name contains [only] if given,
/// and ends the process with their number of failures.
Future<void> runTests({String only = ''}) async {
  var failed = 0;
  var run = 0;
  for (final (name, body) in _tests) {
    if (!name.contains(only)) continue;
    run++;
    try {
      await Future.sync(body).timeout(const Duration(seconds: 60));
      print('ok    $name');
    } catch (error, stack) {
      failed++;
      print('FAIL  $name: $error\n$stack');
    }
  }
  print('$run tests, $failed failed');
  await stdout.flush();
  exit(failed == 0 ? 0 : 1);
}

/// Fails unless both are equal; lists by their items.
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

/// The error that [body] throws, or its future ends with.
Future<Object> errorOf(FutureOr<void> Function() body) async {
  try {
    await body();
  } catch (error) {
    return error;
  }
  throw StateError('no error');
}
