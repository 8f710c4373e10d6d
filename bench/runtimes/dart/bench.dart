// The cases of the bench that Dart's isolates can answer.
//
// usage: dart run bench.dart CASE DIVISOR
// Prints case<TAB>value<TAB>unit, or case/metric<TAB>value<TAB>unit where there are several.

import 'dart:async';
import 'dart:io';
import 'dart:isolate';

void check(bool ok, String what) {
  if (!ok) throw StateError('check failed: $what');
}

double nsEach(Stopwatch watch, int count) => watch.elapsedMicroseconds * 1e3 / count;
double rate(Stopwatch watch, int count) => count / watch.elapsedMicroseconds;

void line(String name, double value, String unit) => print('$name\t$value\t$unit');

/// Answers each number with the next one; ends with the first null.
void echo(SendPort back) {
  final port = ReceivePort();
  port.listen((message) {
    if (message == null) {
      port.close();
      back.send(null);
    } else {
      back.send((message as int) + 1);
    }
  });
  back.send(port.sendPort);
}

/// Sends 0 up to a number, once told to go.
void sender((SendPort, int) start) {
  final (to, count) = start;
  final go = ReceivePort();
  go.listen((_) {
    for (var i = 0; i < count; i++) {
      to.send(i);
    }
    go.close();
  });
  to.send(go.sendPort);
}

/// Isolates send to this one.
Future<double> manyToOne(int senders, int count) async {
  final each = count ~/ senders;
  final port = ReceivePort();
  final ready = <SendPort>[];
  final allReady = Completer<void>();
  final allReceived = Completer<void>();
  var left = each * senders;
  var sum = 0;
  port.listen((message) {
    if (message is SendPort) {
      ready.add(message);
      if (ready.length == senders) allReady.complete();
      return;
    }
    sum += message as int;
    if (--left == 0) allReceived.complete();
  });
  for (var i = 0; i < senders; i++) {
    await Isolate.spawn(sender, (port.sendPort, each));
  }
  await allReady.future;
  final watch = Stopwatch()..start();
  for (final go in ready) {
    go.send(null);
  }
  await allReceived.future;
  watch.stop();
  port.close();
  check(sum == senders * (each * (each - 1) ~/ 2), 'sum');
  return rate(watch, each * senders);
}

/// Questions to another isolate, a number of them outstanding.
Future<Stopwatch> ask(int outstanding, int count) async {
  final port = ReceivePort();
  final peer = Completer<SendPort>();
  final ended = Completer<void>();
  final watch = Stopwatch();
  var asked = 0;
  var answered = 0;
  var sum = 0;
  port.listen((message) async {
    if (message is SendPort) {
      peer.complete(message);
    } else if (message == null) {
      ended.complete();
    } else {
      sum += message as int;
      final to = await peer.future;
      if (++answered == count) {
        watch.stop();
        to.send(null);
      } else if (asked < count) {
        to.send(asked++);
      }
    }
  });
  await Isolate.spawn(echo, port.sendPort);
  final to = await peer.future;
  watch.start();
  while (asked < outstanding) {
    to.send(asked++);
  }
  await ended.future;
  port.close();
  check(sum == count * (count + 1) ~/ 2, 'answers');
  return watch;
}

/// A token to another isolate and back.
Future<double> pingPong(int count) async {
  final port = ReceivePort();
  final ended = Completer<void>();
  final watch = Stopwatch();
  SendPort? peer;
  var left = count;
  port.listen((message) {
    if (message is SendPort) {
      peer = message;
      watch.start();
      message.send(0);
    } else if (message == null) {
      ended.complete();
    } else if (--left == 0) {
      watch.stop();
      check(message == count, 'round trips');
      peer!.send(null);
    } else {
      peer!.send(message);
    }
  });
  await Isolate.spawn(echo, port.sendPort);
  await ended.future;
  port.close();
  return nsEach(watch, count);
}

/// Isolates alive at once.
Future<void> lives(int count) async {
  final port = ReceivePort();
  final alive = <SendPort>[];
  var stage = Completer<void>();
  var left = count;
  port.listen((message) {
    if (message is SendPort) alive.add(message);
    if (--left == 0) stage.complete();
  });
  Future<void> next(void Function() start) async {
    left = count;
    stage = Completer<void>();
    start();
    await stage.future;
  }

  final before = ProcessInfo.currentRss;
  final spawned = Stopwatch()..start();
  for (var i = 0; i < count; i++) {
    await Isolate.spawn(echo, port.sendPort);
  }
  if (left > 0) await stage.future;
  spawned.stop();
  final idle = ProcessInfo.currentRss - before;
  final pinged = Stopwatch()..start();
  await next(() {
    for (final peer in alive) {
      peer.send(1);
    }
  });
  pinged.stop();
  final used = ProcessInfo.currentRss - before;
  final ended = Stopwatch()..start();
  await next(() {
    for (final peer in alive) {
      peer.send(null);
    }
  });
  ended.stop();
  port.close();
  line('spawn/spawned', nsEach(spawned, count), 'ns each');
  line('spawn/first message', nsEach(pinged, count), 'ns each');
  line('spawn/ended', nsEach(ended, count), 'ns each');
  line('spawn/memory idle', idle / count, 'B each');
  line('spawn/memory used', used / count, 'B each');
}

/// Each is scheduled by the one before, through `schedule`.
Future<double> chain(void Function(void Function()) schedule, int count) async {
  final ended = Completer<void>();
  final watch = Stopwatch()..start();
  var left = count;
  void link() {
    if (--left == 0) {
      watch.stop();
      ended.complete();
    } else {
      schedule(link);
    }
  }

  schedule(link);
  await ended.future;
  return rate(watch, count);
}

/// Timers of zero delay, made at once.
Future<double> zeroTimers(int count) async {
  final ended = Completer<void>();
  final watch = Stopwatch()..start();
  var fired = 0;
  for (var i = 0; i < count; i++) {
    Timer.run(() => fired++);
  }
  Timer.run(ended.complete);
  await ended.future;
  watch.stop();
  check(fired == count, 'timers');
  return rate(watch, count);
}

/// A warm-up of a tenth, then the case.
Future<void> value(
  String name,
  String unit,
  Future<double> Function(int) run,
  int count,
) async {
  await run(count ~/ 10);
  line(name, await run(count), unit);
}

Future<void> main(List<String> arguments) async {
  check(arguments.length == 2, 'usage: bench.dart CASE DIVISOR');
  final name = arguments[0];
  int of(int count) => count ~/ int.parse(arguments[1]);
  switch (name) {
    case 'one-way':
      await value(name, 'M/s', (n) => manyToOne(1, n), of(1000000));
    case 'fan-in':
      await value(name, 'M/s', (n) => manyToOne(100, n), of(1000000));
    case 'ping-pong':
      await value(name, 'ns', pingPong, of(50000));
    case 'ask':
      await value(name, 'ns', (n) async => nsEach(await ask(1, n), n), of(50000));
    case 'ask-futures':
      await value(name, 'M/s', (n) async => rate(await ask(1000, n), n), of(200000));
    case 'zero-timers-chain':
      await value(name, 'M/s', (n) => chain(Timer.run, n), of(100000));
    case 'zero-timers':
      await value(name, 'M/s', zeroTimers, of(100000));
    case 'microtasks':
      await value(name, 'M/s', (n) => chain(scheduleMicrotask, n), of(10000000));
    case 'spawn':
      await lives(of(2000));
    default:
      throw ArgumentError('no such case: $name');
  }
}
