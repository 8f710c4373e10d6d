import 'dart:async';
import 'dart:isolate';

import 'library.dart';
import 'owner.dart';

/// A party that was given to this isolate, until an object takes it over.
final class _Given extends Owner {
  _Given(int handle)
      : super(handle, functions.partyReleaseAddress, weight: 512);
}

final _given = <int, _Given>{};

/// Makes this isolate the owner of [parties].
void give(List<int> parties) {
  for (final party in parties) {
    _given[party] = _Given(party);
  }
}

/// Leaves a party to the object that has just taken it over.
void takeOver(int party) {
  final given = _given.remove(party);
  if (given != null) forget(given);
}

/// Runs a function with its argument as [Isolate.run] does; see `Insula.run`.
Future<R> runWith<M, R>(
  FutureOr<R> Function(M message) body,
  M message,
  List<int> parties,
  String? debugName,
) async {
  try {
    _requireSendable(body, message, parties);
    return await Isolate.run(_Body(body, message, parties).run,
        debugName: debugName);
  } finally {
    // The isolate has ended, or never began: the parties are stale, or lost.
    parties.forEach(functions.partyRelease);
  }
}

/// Spawns an isolate as [Isolate.spawn] does; see `Insula.spawn`.
Future<Isolate> spawnWith<M>(
  void Function(M message) entry,
  M message,
  List<int> parties, {
  required bool errorsAreFatal,
  SendPort? onExit,
  SendPort? onError,
  String? debugName,
}) async {
  final ready = ReceivePort();
  var isSpawned = false;
  try {
    _requireSendable(entry, message, parties);
    final isolate = await Isolate.spawn(
      _enter<M>,
      (_Body<M, void>(entry, message, parties), ready.sendPort),
      errorsAreFatal: errorsAreFatal,
      onExit: onExit,
      onError: onError,
      debugName: debugName,
    );
    isSpawned = true;
    // The caller may kill the isolate at once: it has its parties by then.
    await ready.first;
    return isolate;
  } finally {
    ready.close();
    if (!isSpawned) parties.forEach(functions.partyRelease);
  }
}

void _enter<M>((_Body<M, void>, SendPort) start) {
  final (body, ready) = start;
  give(body._parties);
  ready.send(null);
  body._body(body._message);
}

/// The function, the message and the parties of a new isolate.
final class _Body<M, R> {
  _Body(this._body, this._message, this._parties);

  final FutureOr<R> Function(M message) _body;
  final M _message;
  final List<int> _parties;

  FutureOr<R> run() {
    give(_parties);
    return _body(_message);
  }
}

/// Throws an [ArgumentError] if one of them cannot be sent to an isolate.
///
/// The VM reports that as well, but with an event of this isolate, which may be
/// waiting for the new one by then.
void _requireSendable(Function body, Object? message, List<int> parties) {
  if (parties.isEmpty) return;
  final port = RawReceivePort();
  try {
    port.sendPort.send((body, message));
  } finally {
    port.close();
  }
}
