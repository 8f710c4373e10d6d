import 'buffers.dart' as buffers;
import 'callbacks.dart' as callbacks;
import 'harness.dart';
import 'mailboxes.dart' as mailboxes;
import 'pools.dart' as pools;
import 'ports.dart' as ports;

Future<void> main(List<String> arguments) {
  pools.define();
  buffers.define();
  ports.define();
  mailboxes.define();
  callbacks.define();
  return runTests(only: arguments.firstOrNull ?? '');
}
