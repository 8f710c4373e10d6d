/// Measures the cost of a call, compared with Dart's own means.
///
/// `dart benchmark/calls.dart`, with a release build of the library.
library;

import 'dart:isolate';
import 'dart:typed_data';

import 'package:insula/insula.dart';

import '../test/sample.dart';

const calls = 20000;
const size = 100 << 20;

Future<void> main() async {
  final pool = openSample('benchmark');
  await report('call into a pool and back', calls, () {
    return pool.call(['echo', 1]);
  });
  await report('Isolate.run', calls ~/ 20, () => Isolate.run(() => 1));
  await report('100 MiB to a pool and back, a buffer', 50, () async {
    final answer = await pool.call(['echo', _next()]);
    if ((answer! as Uint8List).length != size) throw StateError('lost');
  }, prepare: () => _buffer = TransferableBuffer(size));
  await report('100 MiB to an isolate, TransferableTypedData', 10, () async {
    final data = TransferableTypedData.fromList([_list]);
    final length = await Isolate.run(
      () => data.materialize().lengthInBytes,
    );
    if (length != size) throw StateError('lost');
  });
  final callback = BlockingCallback((n) => n);
  final receive = ReceivePort();
  final port = InsulaPort.to(receive.sendPort);
  startRoundTrips(callback.address, calls ~/ 4, -1, port.handle);
  final each = await receive.first as int;
  print('blocking callback, round trip: ${_micros(each / 1000)}');
  callback.close();
  port.close();
  pool.close();
}

TransferableBuffer? _buffer;
final _list = Uint8List(size);

TransferableBuffer _next() => _buffer!;

/// Prints the median time of [body].
Future<void> report(
  String name,
  int count,
  Future<void> Function() body, {
  void Function()? prepare,
}) async {
  final times = <int>[];
  final stopwatch = Stopwatch();
  for (var i = 0; i < count + count ~/ 10 + 1; i++) {
    prepare?.call();
    stopwatch
      ..reset()
      ..start();
    await body();
    stopwatch.stop();
    times.add(stopwatch.elapsedTicks * 1000000000 ~/ stopwatch.frequency);
  }
  // The first calls warm up.
  final rest = times.skip(count ~/ 10 + 1).toList()..sort();
  print('$name: ${_micros(rest[rest.length ~/ 2] / 1000)}');
}

String _micros(double micros) => '${micros.toStringAsFixed(1)} us';
