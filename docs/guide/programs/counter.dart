/// The program of the guide's chapter on Dart: calls a service that is written
/// in Rust.
///
/// `dart counter.dart`, with the package `insula` and its library of samples.
library;

// ANCHOR: program
import 'dart:ffi';

import 'package:insula/insula.dart';

/// Opens the service `counter`, which the library of this program brings.
final openCounter = Insula.library.lookupFunction<Int32 Function(),
    int Function()>('insula_dart_sample_counter_open');

Future<void> main() async {
  openCounter();
  final pool = WorkerPool.find('counter');

  // A call is a future of its answer.
  print('12 squared is ${await pool.call(12)}');

  // A stream: the service sends no faster than this loop takes.
  var sum = 0;
  await for (final number in pool.stream(1000000)) {
    sum += number! as int;
    // The end of the loop cancels the call, and the service stops.
    if (number == 4) break;
  }
  print('the sum is $sum');

  // An error of the service arrives with its text.
  try {
    await pool.call('twelve');
  } on InsulaException catch (error) {
    print('${error.status.name}: ${error.message}');
  }
  pool.close();
}
// ANCHOR_END: program
