// The cases of the bench that need the package `insula`, and what Dart itself
// has beside it.
//
// usage: dart --packages=CONFIG package.dart LIBRARY CASE DIVISOR
// Prints case<TAB>value<TAB>unit. The services are those of the package's own
// tests (`insula_dart_sample_...`).

import 'dart:async';
import 'dart:convert';
import 'dart:ffi';
import 'dart:isolate';
import 'dart:typed_data';

import 'package:insula/insula.dart';

const megabytes = 100;
const size = megabytes << 20;

final _open = Insula.library.lookupFunction<
    Int32 Function(Pointer<Void>, Uint32, Pointer<Void>),
    int Function(Pointer<Void>, int, Pointer<Void>)>('insula_dart_sample_open');
final _posts = Insula.library.lookupFunction<Void Function(Int64, Uint32),
    void Function(int, int)>('insula_dart_sample_posts');
final _listener = Insula.library.lookupFunction<
    Void Function(Pointer<NativeFunction<Void Function(Int64)>>, Uint32),
    void Function(Pointer<NativeFunction<Void Function(Int64)>>,
        int)>('insula_dart_sample_listener');

void check(bool ok, String what) {
  if (!ok) throw StateError('check failed: $what');
}

/// The service that answers with what it is asked.
WorkerPool openEcho() {
  const name = 'bench';
  final text = TransferableBuffer.from([...utf8.encode(name), 0]);
  final place = TransferableBuffer(8);
  final opened = _open(text.address.cast(), 2, place.address.cast());
  check(opened == 0, 'a service');
  return WorkerPool.find(name);
}

/// The median time of [body] in microseconds, after a tenth to warm up.
Future<double> median(
  int count,
  Future<void> Function() body, {
  void Function()? before,
}) async {
  final times = <int>[];
  final watch = Stopwatch();
  for (var i = 0; i < count + count ~/ 10; i++) {
    before?.call();
    watch
      ..reset()
      ..start();
    await body();
    watch.stop();
    if (i >= count ~/ 10) times.add(watch.elapsedTicks);
  }
  times.sort();
  return times[times.length ~/ 2] * 1e6 / watch.frequency;
}

Future<double> call(int count) {
  final pool = openEcho();
  return median(count, () async {
    check(await pool.call(['echo', 1]) == 1, 'an answer');
  });
}

Future<double> run(int count) => median(count, () async {
      check(await Isolate.run(() => 1) == 1, 'an answer');
    });

Future<double> buffer(int count) {
  final pool = openEcho();
  late TransferableBuffer buffer;
  return median(count, before: () {
    buffer = TransferableBuffer(size);
    for (var i = 0; i < size; i += 4096) {
      buffer.bytes[i] = 1;
    }
  }, () async {
    final answer = await pool.call(['echo', buffer]) as Uint8List;
    check(answer.length == size && answer[4096] == 1, 'the bytes');
  });
}

Future<double> transferable(int count) {
  final bytes = Uint8List(size)..fillRange(0, size, 1);
  return median(count, () async {
    final there = TransferableTypedData.fromList([bytes]);
    final back = await Isolate.run(
      () => TransferableTypedData.fromList([
        there.materialize().asUint8List(),
      ]),
    );
    final answer = back.materialize().asUint8List();
    check(answer.length == size && answer[4096] == 1, 'the bytes');
  });
}

/// Numbers from a native thread, a million a second, until the last one is in.
Future<double> numbers(
  int count,
  void Function() Function(void Function(int) handle) start,
) async {
  final done = Completer<void>();
  var (left, sum) = (count, 0);
  final watch = Stopwatch()..start();
  final close = start((number) {
    sum += number;
    if (--left == 0) done.complete();
  });
  await done.future;
  watch.stop();
  close();
  check(sum == count * (count - 1) ~/ 2, 'the sum');
  return count / watch.elapsedMicroseconds;
}

Future<double> port(int count) => numbers(count, (handle) {
      final port = RawReceivePort((int number) => handle(number));
      _posts(port.sendPort.nativePort, count);
      return port.close;
    });

Future<double> listener(int count) => numbers(count, (handle) {
      final listener =
          NativeCallable<Void Function(Int64)>.listener(handle);
      _listener(listener.nativeFunction, count);
      return listener.close;
    });

Future<void> main(List<String> arguments) async {
  check(arguments.length == 3, 'usage: package.dart LIBRARY CASE DIVISOR');
  final [library, name, divisor] = arguments;
  if (name == 'word') {
    print('$name\t${sizeOf<IntPtr>()}\tB');
    return;
  }
  Insula.open(path: library);
  int of(int count) => count ~/ int.parse(divisor);
  void line(double value, String unit) => print('$name\t$value\t$unit');
  switch (name) {
    case 'call':
      line(await call(of(20000)), 'us');
    case 'run':
      line(await run(of(2000)), 'us');
    case 'buffer':
      line(await buffer(of(50)), 'us');
    case 'transferable':
      line(await transferable(of(20)), 'us');
    case 'port':
      await port(of(50000));
      line(await port(of(500000)), 'M/s');
    case 'listener':
      await listener(of(50000));
      line(await listener(of(500000)), 'M/s');
    default:
      throw ArgumentError('no such case: $name');
  }
}
