/// Risk: an isolate waits forever, or gets a message that was not for it.
library;

import 'dart:isolate';

import 'package:insula/insula.dart';

import 'harness.dart';

void _answerWithLength(int side) {
  final responder = Responder.fromHandle(side);
  responder.messageLoop((request) {
    if (request.isEmpty) responder.stop();
    return [...request, request.length];
  });
  responder.release();
}

List<int> _answerLate(List<int> parties) {
  final [side, first, second] = parties;
  final started = Mailbox.fromHandle(first);
  final goOn = Mailbox.fromHandle(second);
  final seen = <int>[];
  Responder.fromHandle(side).messageLoop((request) {
    seen.add(request[0]);
    if (request[0] == 1) {
      started.put([]);
      // Until the requester has given up.
      goOn.take();
    }
    return request;
  });
  return seen;
}

String? _answerWithNoBytes(int side) {
  try {
    Responder.fromHandle(side).messageLoop((_) => [1000]);
  } on RangeError catch (error) {
    return error.name;
  }
  return null;
}

String? _throwAtRequest(int side) {
  try {
    Responder.fromHandle(side).messageLoop((request) {
      throw StateError('on purpose');
    });
  } on StateError catch (error) {
    return error.message;
  }
  return null;
}

void define() {
  test('a mailbox holds one message, which may be empty', () {
    final mailbox = Mailbox();
    expect(mailbox.tryTake(), null);
    mailbox.put([1, 2]);
    expect(mailbox.tryPut([3]), false);
    expect(mailbox.take(), [1, 2]);
    mailbox.put([]);
    expect(mailbox.take(), <int>[]);
    mailbox.release();
  });

  test('a mailbox has time-outs', () async {
    final mailbox = Mailbox();
    const short = Duration(milliseconds: 5);
    final empty = await errorOf(() => mailbox.take(timeout: short));
    expect((empty as InsulaException).status, Status.timedOut);
    mailbox.put([1]);
    final full = await errorOf(() => mailbox.put([2], timeout: short));
    expect((full as InsulaException).status, Status.timedOut);
    mailbox.release();
  });

  test('two isolates hand messages over', () async {
    final there = Mailbox();
    final back = Mailbox();
    final (a, b) = (there.share(), back.share());
    final other = Isolate.run(() {
      final (requests, answers) = (
        Mailbox.fromHandle(a),
        Mailbox.fromHandle(b),
      );
      for (var i = 0; i < 500; i++) {
        final request = requests.take();
        answers.put([for (final byte in request) byte + 1]);
      }
      requests.release();
      answers.release();
    });
    for (var i = 0; i < 500; i++) {
      there.put([i & 127, 1]);
      expect(back.take(), [(i & 127) + 1, 2]);
    }
    await other;
    there.release();
    back.release();
  });

  test('closing wakes whoever waits', () async {
    final mailbox = Mailbox();
    final other = mailbox.share();
    final waits = Isolate.run(() {
      try {
        Mailbox.fromHandle(other).take();
      } on InsulaException catch (error) {
        return error.status;
      }
      return Status.ok;
    });
    await Future<void>.delayed(const Duration(milliseconds: 20));
    mailbox.close();
    expect(await waits, Status.closed);
    mailbox.release();
  });

  test('a party that gives its handle back wakes the other', () async {
    final mailbox = Mailbox();
    final other = mailbox.share();
    final waits = Isolate.run(() {
      try {
        Mailbox.fromHandle(other).take();
      } on InsulaException catch (error) {
        return error.status;
      }
      return Status.ok;
    });
    await Future<void>.delayed(const Duration(milliseconds: 20));
    mailbox.release();
    expect(await waits, Status.peerDied);
  });

  test('a rendezvous asks and answers', () async {
    final (requester, side) = Requester.open();
    final done = Insula.run(_answerWithLength, side, parties: [side]);
    expect(requester.state, RendezvousState.none);
    expect(requester.request([5, 6]), [5, 6, 2]);
    expect(requester.request([]), [0]);
    await done;
    final error = await errorOf(() => requester.request([1]));
    expect((error as InsulaException).status, Status.peerDied);
    requester.release();
  });

  test('a requester that gave up does not end the message loop', () async {
    final (requester, side) = Requester.open();
    final started = Mailbox();
    final goOn = Mailbox();
    final parties = [side, started.share(), goOn.share()];
    final done = Insula.run(_answerLate, parties, parties: parties);
    final late = errorOf(() {
      requester.request([1], timeout: const Duration(milliseconds: 30));
    });
    expect((await late as InsulaException).status, Status.timedOut);
    started.take();
    goOn.put([]);
    expect(requester.request([2]), [2]);
    requester.release();
    expect(await done, [1, 2]);
  });

  test('a response that is no response declines the request', () async {
    final (requester, side) = Requester.open();
    final failed = Insula.run(_answerWithNoBytes, side, parties: [side]);
    final error = await errorOf(() => requester.request([1]));
    expect((error as InsulaException).status, Status.failed);
    expect(await failed, 'bytes[0]');
    requester.release();
  });

  test('a request that throws is declined', () async {
    final (requester, side) = Requester.open();
    final failed = Insula.run(_throwAtRequest, side, parties: [side]);
    final error = await errorOf(() => requester.request([1]));
    expect((error as InsulaException).status, Status.failed);
    expect(await failed, 'on purpose');
    requester.release();
  });
}
