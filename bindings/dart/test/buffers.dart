/// Risk: bytes are copied, freed while a view shows them, or never freed.
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
    // The same memory: it was not copied.
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

  test('a buffer is received once', () async {
    final sent = TransferableBuffer.from([1]).send();
    expect(TransferableBuffer.receive(sent).bytes, [1]);
    for (final number in [sent, 0, -1, sent + 1000]) {
      final error = await errorOf(() => TransferableBuffer.receive(number));
      expect(error is StateError, true, '$error');
    }
  });

  test('what is no byte is refused', () async {
    for (final byte in [-1, 256]) {
      final error = await errorOf(() => TransferableBuffer.from([0, byte]));
      expect(error is RangeError, true, '$error');
      expect((error as RangeError).invalidValue, byte);
      expect(error.name, 'bytes[1]');
    }
  });

  test('a length that no memory has is refused', () async {
    final negative = await errorOf(() => TransferableBuffer(-1));
    expect((negative as RangeError).name, 'length');
    final huge = await errorOf(() => TransferableBuffer(1 << 62));
    expect(huge is OutOfMemoryError, true, '$huge');
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

  test('large data arrives in its place, small data too', () async {
    final pool = openSample('nested');
    for (final length in [0, 1, 1000, 1 << 20, 3 << 20]) {
      final answer = await pool.call(['nested', length]) as List<Object?>;
      final inner = answer[1]! as List<Object?>;
      expect(inner[0], 7);
      for (final (list, byte) in [(answer[0], 1), (inner[1], 2)]) {
        final bytes = list! as Uint8List;
        expect(bytes.length, length);
        expect(bytes.every((it) => it == byte), true);
      }
    }
    pool.close();
  });

  test('large buffers that nobody wants any more are freed', () async {
    final pool = openSample('large');
    // Larger than the address space of a 32-bit program.
    for (var i = 0; i < 60; i++) {
      final buffer = TransferableBuffer(100 << 20)..bytes[i] = 1;
      final answer = await pool.call(['echo', buffer]) as Uint8List;
      expect(answer.length, 100 << 20);
      expect(answer[i], 1);
    }
    pool.close();
  });

  test('a view keeps the memory of a buffer that was given back', () async {
    final views = <Uint8List>[];
    for (var i = 0; i < 100; i++) {
      final buffer = TransferableBuffer(2 << 20)..bytes[i] = i;
      views.add(Uint8List.sublistView(buffer.bytes, i, i + 10));
      buffer.release();
      expect(buffer.isGone, true);
    }
    // Memory that was freed would be reused by these.
    for (var i = 0; i < 200; i++) {
      TransferableBuffer(2 << 20)
        ..bytes.fillRange(0, 1000, 255)
        ..release();
    }
    final garbage = [for (var i = 0; i < 200; i++) List.filled(100000, i)];
    expect(garbage.length, 200);
    for (var i = 0; i < 100; i++) {
      expect(views[i], [i, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    final error = await errorOf(() => (TransferableBuffer(1)
          ..release()
          ..release())
        .bytes);
    expect(error.toString().contains('TransferableBuffer'), true, '$error');
  });
}
