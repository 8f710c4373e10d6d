/// Risk: a message is lost or out of order on its way through native code.
library;

import 'dart:isolate';

import 'package:insula/insula.dart';

import 'harness.dart';

void define() {
  test('a port passes messages on in their order', () async {
    final receive = ReceivePort();
    final port = InsulaPort.to(receive.sendPort);
    for (var i = 0; i < 1000; i++) {
      port.post([i, 'message $i', TransferableBuffer.from([i & 255])]);
    }
    expect(port.close(), true);
    expect(port.close(), false);
    final messages = await receive.take(1000).toList();
    for (var i = 0; i < 1000; i++) {
      expect(messages[i], [
        i,
        'message $i',
        [i & 255],
      ]);
    }
    final error = await errorOf(() => port.post(1));
    expect(error is InsulaException, true, '$error');
  });

  test('a port is reached from every isolate', () async {
    final receive = ReceivePort();
    final port = InsulaPort.to(receive.sendPort);
    final handle = port.handle;
    await Isolate.run(() => InsulaPort(handle).post('from elsewhere'));
    expect(await receive.first, 'from elsewhere');
    port.close();
  });
}
