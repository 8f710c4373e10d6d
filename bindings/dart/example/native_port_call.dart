/// Two native threads call methods of this isolate by name: requests arrive at
/// its port, and answers are posted to ports of the threads.
///
/// `dart example/native_port_call.dart`
library;

import 'dart:ffi';
import 'dart:isolate';

import 'package:insula/insula.dart';

/// Starts the threads, which get only a port.
final startThreads = Insula.library
    .lookupFunction<Void Function(Uint64), void Function(int)>(
        'insula_dart_sample_requests');

Future<void> main() async {
  print('isolate: opens its port and starts two threads');
  final requests = ReceivePort();
  final port = InsulaPort.to(requests.sendPort);
  startThreads(port.handle);
  final noted = <int>[];
  await for (final request in requests) {
    final [_, reply as int, method as String, argument as int] =
        request as List<Object?>;
    print('isolate:     $method($argument)');
    switch (method) {
      case 'addThree':
        InsulaPort(reply).post(argument + 3);
      case 'note':
        noted.add(argument);
    }
    if (noted.length == 2) break;
  }
  port.close();
  noted.sort();
  print('isolate: noted $noted');
}
