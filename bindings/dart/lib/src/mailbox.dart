import 'dart:ffi';
import 'dart:typed_data';

import 'library.dart';
import 'memory.dart';
import 'native.dart';
import 'owner.dart';
import 'party.dart';
import 'status.dart';

/// A place for one message, at which isolates and native threads wait for each
/// other without their event loops.
///
/// Waiting blocks the isolate: nothing else of it runs meanwhile. So a mailbox
/// is for isolates that have nothing else to do, such as a worker.
///
/// Each party has a handle of its own: see [share]. A party that is released,
/// or dropped, or whose isolate ends, is gone, and waiting for a mailbox of
/// which all others are gone ends with [Status.peerDied].
final class Mailbox extends Owner {
  /// A new mailbox, with one party.
  factory Mailbox() => withMemory((memory) {
        final handle = memory.handle();
        check(functions.mailboxNew(handle));
        return Mailbox.fromHandle(handle.value);
      });

  /// The party of a mailbox that [share] made, in this isolate or in another;
  /// to be called once.
  Mailbox.fromHandle(int handle)
      : super(handle, functions.mailboxReleaseAddress, weight: 512) {
    takeOver(handle);
  }

  /// A handle for another party, to be sent to it, for [Mailbox.fromHandle].
  ///
  /// A handle that is never taken over leaks, unless the isolate that is to take
  /// it over is begun with it, by `Insula.run` or `Insula.spawn`.
  int share() => withMemory((memory) {
        final other = memory.handle();
        use((handle) => check(functions.mailboxShare(handle, other)));
        return other.value;
      });

  /// Puts a copy of [message] in as soon as there is room, for at most
  /// [timeout].
  ///
  /// Throws an [InsulaException]: [Status.timedOut], [Status.closed],
  /// [Status.peerDied], [Status.deadlock]; an [ArgumentError] if [timeout] is
  /// negative; and a [StateError] if this party has been closed or released.
  void put(List<int> message, {Duration? timeout}) =>
      check(_timed(_put(message, nanoseconds(timeout, 'timeout'))));

  /// As [put], but returns false if there is no room right now.
  bool tryPut(List<int> message) => _try(_put(message, 0));

  int _put(List<int> message, int timeout) => withMemory(
        (memory) => use(
          (handle) => functions.mailboxPut(
              handle, memory.copy(message), message.length, timeout),
        ),
      );

  /// Takes a message out as soon as there is one, for at most [timeout].
  ///
  /// Throws as [put] does.
  Uint8List take({Duration? timeout}) => withMemory((memory) {
        final held = memory.held();
        final time = nanoseconds(timeout, 'timeout');
        use((handle) =>
            check(_timed(functions.mailboxTake(handle, time, held))));
        return copyHeld(held);
      });

  /// As [take], but returns null if there is nothing right now.
  Uint8List? tryTake() => withMemory((memory) {
        final held = memory.held();
        final code = use((handle) => functions.mailboxTake(handle, 0, held));
        return _try(code) ? copyHeld(held) : null;
      });

  /// Closes the mailbox for all parties, and gives this one back: others that
  /// wait get [Status.closed]. Doing so again does nothing.
  void close() {
    if (isReleased) return;
    use(functions.mailboxClose);
    release();
  }

  static bool _try(int code) {
    final status = Status.of(code);
    if (status == Status.full || status == Status.empty) return false;
    check(code);
    return true;
  }
}

/// To the C ABI no time at all is a try, with errors of its own.
int _timed(int code) => switch (Status.of(code)) {
      Status.full || Status.empty => Status.timedOut.code,
      _ => code,
    };

/// How far a rendezvous is.
enum RendezvousState {
  /// Nobody has asked.
  none,

  /// There is a request.
  request,

  /// There is a response, which has not been taken.
  response,
}

/// What both sides of a rendezvous have.
abstract base class _Side extends Owner {
  _Side(int handle)
      : super(handle, functions.rendezvousReleaseAddress, weight: 1024) {
    takeOver(handle);
  }

  /// How far the rendezvous is.
  RendezvousState get state => withMemory((memory) {
        final state = memory.bytes(4).cast<Uint32>();
        use((handle) => check(functions.rendezvousState(handle, state)));
        return RendezvousState.values[state.value];
      });

  /// Closes the rendezvous for both sides, and gives this one back: the other
  /// gets [Status.closed]. Doing so again does nothing.
  ///
  /// A side that is released, or dropped, or whose isolate ends, is gone, and
  /// the other gets [Status.peerDied].
  void close() {
    if (isReleased) return;
    use(functions.rendezvousClose);
    release();
  }
}

/// The side of a rendezvous that asks, and waits for the answer.
final class Requester extends _Side {
  /// The side that a handle stands for; to be called once.
  Requester.fromHandle(super.handle);

  /// A new rendezvous: this side, and the handle of the other one, for
  /// [Responder.fromHandle].
  ///
  /// A handle that is never taken over leaks, unless the isolate that is to take
  /// it over is begun with it, by `Insula.run` or `Insula.spawn`.
  static (Requester, int) open() => withMemory((memory) {
        final requester = memory.handle();
        final responder = memory.handle();
        check(functions.rendezvousNew(requester, responder));
        return (Requester.fromHandle(requester.value), responder.value);
      });

  /// Sends a copy of [message] and waits for the response, for at most
  /// [timeout]. Blocks the isolate.
  ///
  /// Throws an [InsulaException]: [Status.badState] if a request is under way
  /// already, [Status.failed] if it was declined, [Status.timedOut],
  /// [Status.closed], [Status.peerDied]; an [ArgumentError] if [timeout] is
  /// negative; and a [StateError] if this side has been closed or released.
  Uint8List request(List<int> message, {Duration? timeout}) =>
      withMemory((memory) {
        final held = memory.held();
        final time = nanoseconds(timeout, 'timeout');
        final copy = memory.copy(message);
        use((handle) => check(
            functions.request(handle, copy, message.length, time, held)));
        return copyHeld(held);
      });
}

/// The side of a rendezvous that answers.
final class Responder extends _Side {
  /// The side that a handle stands for; to be called once.
  Responder.fromHandle(super.handle);

  bool _runs = true;

  /// Waits for a request, for at most [timeout]. Blocks the isolate.
  Uint8List receive({Duration? timeout}) => withMemory((memory) {
        final held = memory.held();
        final time = nanoseconds(timeout, 'timeout');
        use((handle) => check(_timed(functions.receive(handle, time, held))));
        return copyHeld(held);
      });

  /// Answers the request with a copy of [response].
  ///
  /// Throws an [InsulaException]: [Status.badState] if there is none,
  /// [Status.cancelled] if the requester has given up,
  /// [Status.closed], [Status.peerDied].
  void respond(List<int> response) => check(_respond(response));

  int _respond(List<int> response) => withMemory(
        (memory) => use(
          (handle) =>
              functions.respond(handle, memory.copy(response), response.length),
        ),
      );

  /// Declines the request: its sender gets [Status.failed].
  void decline() => check(use(functions.decline));

  /// Answers requests with what [answer] returns, until [stop] is called, this
  /// side is closed or released, or the other side has ended. A response
  /// whose requester has given up is dropped. If [answer] throws, the request is
  /// declined, and the error goes on from here.
  void messageLoop(List<int> Function(Uint8List request) answer) {
    _runs = true;
    while (_runs && !isReleased) {
      final Uint8List request;
      try {
        request = receive();
      } on InsulaException catch (error) {
        if (error.status case Status.closed || Status.peerDied) return;
        rethrow;
      }
      var code = -1;
      try {
        final response = answer(request);
        if (isReleased) return;
        code = _respond(response);
      } finally {
        // The requester waits.
        if (code == -1 && !isReleased) use(functions.decline);
      }
      switch (Status.of(code)) {
        case Status.ok || Status.cancelled:
          continue;
        case Status.closed || Status.peerDied:
          return;
        case _:
          check(code);
      }
    }
  }

  /// Ends [messageLoop] when the request at hand has been answered.
  void stop() => _runs = false;
}
