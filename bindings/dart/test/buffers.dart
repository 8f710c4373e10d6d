/// Risk: bytes are copied, freed while somebody sees them, or never.
library;

import 'dart:isolate';
import 'dart:typed_data';

import 'package:insula/insula.dart';

import 'harness.dart';
import 'sample.dart';

void define() {
  test('a buffer moves to Rust and back', () async {
    final pool = openSample('buffers');
    final buffer = TransferableBuffer.from([1, 2, 3]);
    final view = buffer.bytes;
    final answer = await pool.call(['echo', buffer]);
    expect(answer, [1, 2, 3]);
    expect(buffer.isGone, true);
    expect(await errorOf(() => buffer.bytes) is StateError, true);
    // The same memory: nobody copied it.
    (answer! as Uint8List)[0] = 9;
    expect(view, [9, 2, 3]);
    pool.close();
  });

  test('a buffer stays ours if it cannot be sent', () async {
    final buffer = TransferableBuffer.from([1]);
    const nowhere = InsulaPort(0);
    expect(await errorOf(() => nowhere.post(buffer)) is InsulaException, true);
    expect(buffer.isGone, false);
    expect(buffer.bytes, [1]);
  });

  test('a buffer moves between isolates', () async {
    final buffer = TransferableBuffer.from([1, 2, 3]);
    final sent = buffer.send();
    final back = await Isolate.run(() {
      final buffer = TransferableBuffer.receive(sent);
      buffer.bytes[1] = 7;
      return buffer.send();
    });
    expect(TransferableBuffer.receive(back).bytes, [1, 7, 3]);
  });

  test('what Rust made arrives whole', () async {
    final pool = openSample('zeros');
    final zeros = await pool.call(['zeros', 1 << 24]) as Uint8List;
    expect(zeros.length, 1 << 24);
    expect(zeros.every((byte) => byte == 0), true);
    pool.close();
  });

  test('many buffers come and go', () async {
    final pool = openSample('churn');
    for (var i = 0; i < 300; i++) {
      final buffer = TransferableBuffer(1 << 20)..bytes[i] = 1;
      final answer = await pool.call(['echo', buffer]) as Uint8List;
      expect(answer[i], 1);
    }
    pool.close();
  });
}
