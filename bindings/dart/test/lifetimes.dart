/// Risk: an isolate waits for a dead one; an object without references stays;
/// or a released object is used.
library;

import 'dart:async';
import 'dart:ffi';
import 'dart:io';
import 'dart:isolate';
import 'dart:typed_data';

import 'package:insula/insula.dart';

import 'harness.dart';
import 'sample.dart';

/// Longer than a peer takes to die.
const _long = Duration(seconds: 30);

/// The ways in which an isolate may end.
enum End {
  returns,
  throws,
  exits,
  kills;

  void now() {
    switch (this) {
      case returns:
        return;
      case throws:
        throw StateError('on purpose');
      case exits:
        Isolate.exit();
      case kills:
        Isolate.current.kill(priority: Isolate.immediate);
        // The VM checks for interrupts here.
        for (;;) {
          _ignore();
        }
    }
  }
}

@pragma('vm:never-inline')
void _ignore() {}

/// Spawns an isolate whose errors reach no listener.
Future<void> spawnQuietly<M>(
  void Function(M message) entry,
  M message, {
  List<int> parties = const [],
}) async {
  final errors = RawReceivePort((_) {})..keepIsolateAlive = false;
  final onError = errors.sendPort;
  await Insula.spawn(entry, message, parties: parties, onError: onError);
}

/// Returns the status that [wait] ends with.
Status statusOf(void Function() wait) {
  try {
    wait();
  } on InsulaException catch (error) {
    return error.status;
  }
  return Status.ok;
}

// Kept by each isolate until its end.
Object? _kept;

void _endWithMailbox((int, End) start) {
  _kept = Mailbox.fromHandle(start.$1);
  start.$2.now();
}

void _endWithResponder((int, End) start) {
  final responder = Responder.fromHandle(start.$1);
  _kept = responder;
  responder.receive();
  start.$2.now();
}

void _endWithRequester((int, End) start) {
  _kept = Requester.fromHandle(start.$1);
  start.$2.now();
}

void _endAtOnce(End end) => end.now();

Status _takeOnce(int party) => statusOf(
      () => Mailbox.fromHandle(party).take(timeout: _long),
    );

void _putForEver(SendPort ready) {
  final mailbox = Mailbox();
  final message = Uint8List(1 << 20);
  ready.send(null);
  for (;;) {
    mailbox.tryPut(message);
  }
}

void define() {
  for (final end in End.values) {
    test('a mailbox learns of an isolate that ${end.name}', () async {
      final mailbox = Mailbox();
      await spawnQuietly(_endWithMailbox, (mailbox.share(), end));
      expect(statusOf(() => mailbox.take(timeout: _long)), Status.peerDied);
      expect(statusOf(() => mailbox.put([1], timeout: _long)), Status.peerDied);
    });

    test('a requester learns of an isolate that ${end.name}', () async {
      final (requester, side) = Requester.open();
      await spawnQuietly(_endWithResponder, (side, end));
      final status = statusOf(() => requester.request([1], timeout: _long));
      expect(status, Status.peerDied);
    });

    test('a responder learns of an isolate that ${end.name}', () async {
      final (requester, side) = Requester.open();
      final responder = Responder.fromHandle(side);
      final handle = requester.handle;
      // This isolate drops the requester only once the new one has it.
      await spawnQuietly(_endWithRequester, (handle, end));
      final status = statusOf(() => responder.receive(timeout: _long));
      expect(status, Status.peerDied);
      // The peer did not die because the requester was collected here.
      expect(requester.isReleased, false);
    });

    test('a party belongs to its isolate before it ${end.name}', () async {
      final mailbox = Mailbox();
      final party = mailbox.share();
      await spawnQuietly(_endAtOnce, end, parties: [party]);
      expect(statusOf(() => mailbox.take(timeout: _long)), Status.peerDied);
      final (requester, side) = Requester.open();
      await spawnQuietly(_endAtOnce, end, parties: [side]);
      final status = statusOf(() => requester.request([1], timeout: _long));
      expect(status, Status.peerDied);
    });
  }

  test('a party is gone if its isolate cannot be spawned', () async {
    final unsendable = ReceivePort();
    final mailbox = Mailbox();
    final failed = [
      Insula.run((_) {}, unsendable, parties: [mailbox.share()]),
      Insula.spawn((_) {}, unsendable, parties: [mailbox.share()]),
    ];
    // Without an event in between: the isolate waits at once.
    expect(statusOf(() => mailbox.take(timeout: _long)), Status.peerDied);
    for (final future in failed) {
      final error = await errorOf(() => future);
      expect(error is ArgumentError, true, '$error');
    }
    unsendable.close();
  });

  test('a party is gone with the computation that it was for', () async {
    final mailbox = Mailbox();
    final error = await errorOf(
      () => Insula.run(_endAtOnce, End.throws, parties: [mailbox.share()]),
    );
    expect((error as StateError).message, 'on purpose');
    expect(statusOf(() => mailbox.take(timeout: _long)), Status.peerDied);
  });

  test('two that wait for each other both learn of a third', () async {
    // Each of the isolates has a mailbox with the one that dies.
    final a = Mailbox();
    final b = Mailbox();
    final waits = [
      for (final party in [a.share(), b.share()])
        Insula.run(
          (int party) =>
              statusOf(() => Mailbox.fromHandle(party).take(timeout: _long)),
          party,
          parties: [party],
        ),
    ];
    a.release();
    b.release();
    expect(await Future.wait(waits), [Status.peerDied, Status.peerDied]);
  });

  test('a port of a dead isolate refuses messages', () async {
    final handles = ReceivePort();
    await Isolate.spawn((SendPort to) {
      final mine = ReceivePort();
      to.send(InsulaPort.to(mine.sendPort).handle);
      Isolate.exit();
    }, handles.sendPort);
    final port = InsulaPort(await handles.first as int);
    await eventually(
      () => statusOf(() => port.post(1)) != Status.ok,
      'the port of the dead isolate is closed',
    );
  });

  test('a port whose receiver has closed refuses messages', () async {
    final receive = ReceivePort();
    final port = InsulaPort.to(receive.sendPort);
    receive.close();
    await eventually(
      () => statusOf(() => port.post(1)) != Status.ok,
      'the port is closed',
    );
    expect(port.close(), false);
  });

  test('calls end with their isolate', () async {
    final pool = openSample('left alone', workers: 1);
    final exit = ReceivePort();
    await Isolate.spawn((_) {
      unawaited(WorkerPool.find('left alone').call(['work', 30000]));
      // So that the worker has it.
      while (runningRequests() == 0) {}
      Isolate.exit();
    }, null, onExit: exit.sendPort);
    await exit.first;
    await eventually(() => runningRequests() == 0, 'the work ends');
    pool.close();
  });

  test('streams end with their isolate, also paused ones', () async {
    final pool = openSample('left streaming', workers: 2);
    for (final pauses in [false, true]) {
      final exit = ReceivePort();
      await Isolate.spawn((bool pauses) {
        final stream = WorkerPool.find('left streaming').stream(['forever']);
        late final StreamSubscription<Object?> subscription;
        subscription = stream.listen((item) {
          if (pauses) subscription.pause();
          if (item == 0) Timer(const Duration(milliseconds: 20), Isolate.exit);
        });
      }, pauses, onExit: exit.sendPort);
      await exit.first;
      await eventually(() => runningRequests() == 0, 'the stream ends');
    }
    pool.close();
  });

  test('what is dropped is given back', () async {
    final pool = openSample('dropped');
    final before = liveHandles();
    for (var i = 0; i < 60000; i++) {
      Mailbox().tryTake();
    }
    for (var i = 0; i < 3000; i++) {
      final (requester, side) = Requester.open();
      if (requester.state != Responder.fromHandle(side).state) break;
      if (WorkerPool.find('dropped').isReleased) break;
    }
    var garbage = 0;
    await eventually(() {
      garbage += List.filled(200000, garbage).length;
      return liveHandles() < before + 1000;
    }, 'the handles are given back');
    expect(garbage > 0, true);
    expect(await pool.call(['echo', 1]), 1);
    pool.close();
  });

  test('an isolate that is killed in a call leaves no memory', () async {
    final before = aliveBytes();
    for (var i = 0; i < 20; i++) {
      final ready = ReceivePort();
      final exit = ReceivePort();
      final isolate = await Isolate.spawn(_putForEver, ready.sendPort,
          onExit: exit.sendPort);
      await ready.first;
      isolate.kill(priority: Isolate.immediate);
      await exit.first;
    }
    await eventually(() => aliveBytes() <= before, 'the memory is freed');
  });

  test('a callback and a port stay though Dart forgets them', () async {
    final noted = <Object?>[];
    final receive = ReceivePort();
    final arrived = StreamIterator(receive);
    final address = _forgotten(noted.add);
    final handle = InsulaPort.to(receive.sendPort).handle;
    var garbage = 0;
    for (var i = 0; i < 200; i++) {
      garbage += List.filled(200000, i).length;
      if (i % 20 == 0) await Future<void>.delayed(Duration.zero);
    }
    expect(garbage > 0, true);
    startCallbacks(address.$1, address.$2);
    await eventually(() => noted.length == 2, 'the callback is called');
    InsulaPort(handle).post('there');
    await arrived.moveNext();
    expect(arrived.current, 'there');
    InsulaPort(handle).close();
    await arrived.cancel();
  });

  test('to close twice is no error, and to use what is closed is one',
      () async {
    final (requester, side) = Requester.open();
    final responder = Responder.fromHandle(side);
    final pool = openSample('twice');
    final mailbox = Mailbox();
    final released = Mailbox()..release();
    final blocking = BlockingCallback((n) => n);
    for (var i = 0; i < 2; i++) {
      requester.close();
      responder.close();
      pool.close();
      mailbox.close();
      blocking.close();
      released.close();
      for (final it in [requester, responder, pool, mailbox, released]) {
        (it as dynamic).release();
        expect((it as dynamic).isReleased, true);
      }
    }
    for (final (name, use) in <(String, FutureOr<void> Function())>[
      ('Mailbox', () => mailbox.put([1])),
      ('Mailbox', () => mailbox.take()),
      ('Mailbox', () => mailbox.tryTake()),
      ('Mailbox', () => mailbox.share()),
      ('Mailbox', () => released.take()),
      ('Requester', () => requester.request([1])),
      ('Requester', () => requester.state),
      ('Responder', () => responder.receive()),
      ('Responder', () => responder.respond([1])),
      ('Responder', () => responder.decline()),
      ('WorkerPool', () => pool.call(1)),
      ('WorkerPool', () => pool.stream(1).drain<void>()),
      ('WorkerPool', () => pool.handle),
    ]) {
      final error = await errorOf(use);
      expect(error is StateError, true, '$name: $error');
      expect('$error'.contains('this $name has been closed'), true, '$error');
    }
  });

  test('what a closure takes to another isolate by chance is of no use there',
      () async {
    final pool = openSample('by chance');
    final mailbox = Mailbox();
    final (requester, side) = Requester.open();
    // These use all of the objects, so the closure below carries all of them.
    Future<Object?> ask() => pool.call(['echo', 1]);
    void put() => mailbox.put([1]);
    RendezvousState look() => requester.state;
    final errors = await Isolate.run(() async => [
          for (final use in [ask, put, look, mailbox.release, pool.close])
            '${await errorOf(use)}',
        ]);
    for (final (index, name)
        in ['WorkerPool', 'Mailbox', 'Requester', 'Mailbox', 'WorkerPool']
            .indexed) {
      final text = 'this $name belongs to another isolate';
      expect(errors[index].contains(text), true, errors[index]);
    }
    // The isolate's end has not affected the originals.
    expect(await ask(), 1);
    put();
    expect(mailbox.take(), [1]);
    expect(look(), RendezvousState.none);
    Responder.fromHandle(side).close();
    mailbox.close();
    pool.close();
  });

  test('a wait keeps what it waits at', () async {
    final mailbox = Mailbox();
    final party = mailbox.share();
    final waits = Insula.run(_takeOnce, party, parties: [party]);
    // Collections in all isolates: only the wait refers to the party.
    var garbage = 0;
    for (var i = 0; i < 100; i++) {
      garbage += List.filled(200000, i).length;
      if (i % 10 == 0) await Future<void>.delayed(Duration.zero);
    }
    expect(garbage > 0, true);
    mailbox.put([1], timeout: _long);
    expect(await waits, Status.ok);
    mailbox.close();
  });

  test('to close what others have closed is no error', () async {
    final mailbox = Mailbox();
    final other = Mailbox.fromHandle(mailbox.share());
    other.close();
    expect(statusOf(() => mailbox.take()), Status.closed);
    mailbox.close();
    final pool = openSample('closed by another');
    final found = WorkerPool.find('closed by another');
    pool.close();
    final error = await errorOf(() => found.call(['echo', 1]));
    expect(error is InsulaException, true, '$error');
    found.close();
  });

  test('the library without samples has none', () {
    final path = Platform.environment['INSULA_PRODUCTION'];
    if (path == null) return print('INSULA_PRODUCTION is not set');
    final library = DynamicLibrary.open(path);
    expect(library.providesSymbol('insula_dart_call_begin'), true);
    expect(library.providesSymbol('insula_mailbox_take'), true);
    for (final name in ['sample_open', 'pictures_open', 'sample_sent']) {
      expect(library.providesSymbol('insula_dart_$name'), false, name);
      expect(Insula.library.providesSymbol('insula_dart_$name'), true, name);
    }
  });
}

/// Returns the addresses of two callbacks, and keeps no reference to them.
@pragma('vm:never-inline')
(int, int) _forgotten(void Function(Object?) note) {
  final blocking = BlockingCallback((n) => n)..keepIsolateAlive = false;
  final listener = ListenerCallback(note)..keepIsolateAlive = false;
  return (blocking.address, listener.address);
}
