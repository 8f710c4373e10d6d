/// Two native threads call functions of this isolate. They wait for the answer
/// of one of them, and not for the other's.
///
/// `dart example/callbacks.dart`
library;

import 'dart:async';
import 'dart:ffi';

import 'package:insula/insula.dart';

/// Starts the threads, which get only two numbers.
final startThreads = Insula.library.lookupFunction<
    Void Function(UintPtr, UintPtr),
    void Function(int, int)>('insula_dart_sample_callbacks');

Future<void> main() async {
  print('isolate: registers its callbacks');
  final noted = <int>[];
  final bothCalled = Completer<void>();
  final blocking = BlockingCallback((argument) {
    final n = argument! as int;
    print('isolate:     blocking($n)');
    return n + 3;
  });
  final nonBlocking = ListenerCallback((argument) {
    final n = argument! as int;
    print('isolate:     nonBlocking($n)');
    noted.add(n);
    if (noted.length == 2) bothCalled.complete();
  });
  print('isolate: starts two threads');
  startThreads(blocking.address, nonBlocking.address);
  // The event loop continues, so the isolate can be called.
  await bothCalled.future;
  print('isolate: closes its callbacks');
  blocking.close();
  nonBlocking.close();
  noted.sort();
  print('isolate: noted $noted');
}
