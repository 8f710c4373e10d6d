import 'buffers.dart' as buffers;
import 'callbacks.dart' as callbacks;
import 'calls.dart' as calls;
import 'harness.dart';
import 'lifetimes.dart' as lifetimes;
import 'mailboxes.dart' as mailboxes;
import 'numbers.dart' as numbers;
import 'pools.dart' as pools;
import 'ports.dart' as ports;

Future<void> main(List<String> arguments) {
  numbers.define();
  pools.define();
  calls.define();
  buffers.define();
  ports.define();
  mailboxes.define();
  callbacks.define();
  lifetimes.define();
  return runTests(only: arguments.firstOrNull ?? '');
}
