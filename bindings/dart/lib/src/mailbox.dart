import 'dart:ffi';
import 'dart:typed_data';

import 'library.dart';
import 'memory.dart';
import 'native.dart';
import 'owner.dart';
import 'party.dart';
import 'status.dart';

/// A slot for one message, at which isolates and native threads wait for each
/// other without their event loops.
///
/// Waiting blocks the isolate: no other code of it runs meanwhile. So a mailbox
/// is for isolates that have nothing else to do, such as a worker.
///
/// Each party has a handle of its own: see [share]. A party is gone when it is
/// released or collected, or its isolate has ended. A wait for a mailbox whose
/// other parties are all gone ends with [Status.peerDied].
final class Mailbox extends Owner {
  /// Creates a mailbox with one party.
  factory Mailbox() => withMemory((memory) {
        final handle = memory.handle();
        check(functions.mailboxNew(handle));
        return Mailbox.fromHandle(handle.value);
      });

  /// Takes over a party that [share] created, in this isolate or in another
  /// one. Call this once for each handle.
  Mailbox.fromHandle(int handle)
      : super(handle, functions.mailboxReleaseAddress, weight: 512) {
    takeOver(handle);
  }

  /// Creates a handle for another party, to be sent to it for
  /// [Mailbox.fromHandle].
  ///
  /// A handle that is never taken over leaks, unless the isolate that is to
  /// take it over is started with it, by `Insula.run` or `Insula.spawn`.
  int share() => withMemory((memory) {
        final other = memory.handle();
        use((handle) => check(functions.mailboxShare(handle, other)));
        return other.value;
      });

  /// Puts a copy of [message] in as soon as there is room, and waits for at
  /// most [timeout].
  ///
  /// Throws an [InsulaException]: [Status.timedOut], [Status.closed],
  /// [Status.peerDied], [Status.deadlock]; an [ArgumentError] if [timeout] is
  /// negative; and a [StateError] if this party has been closed or released.
  void put(List<int> message, {Duration? timeout}) =>
      check(_timed(_put(message, nanoseconds(timeout, 'timeout'))));

  /// Does the same as [put], but returns false if there is no room now.
  bool tryPut(List<int> message) => _try(_put(message, 0));

  int _put(List<int> message, int timeout) => withMemory(
        (memory) => use(
          (handle) => functions.mailboxPut(
              handle, memory.copy(message), message.length, timeout),
        ),
      );

  /// Takes a message out as soon as there is one, and waits for at most
  /// [timeout].
  ///
  /// Throws the same as [put].
  Uint8List take({Duration? timeout}) => withMemory((memory) {
        final held = memory.held();
        final time = nanoseconds(timeout, 'timeout');
        use((handle) =>
            check(_timed(functions.mailboxTake(handle, time, held))));
        return copyHeld(held);
      });

  /// Does the same as [take], but returns null if there is no message now.
  Uint8List? tryTake() => withMemory((memory) {
        final held = memory.held();
        final code = use((handle) => functions.mailboxTake(handle, 0, held));
        return _try(code) ? copyHeld(held) : null;
      });

  /// Closes the mailbox for all parties, and releases this one: waits of the
  /// other parties end with [Status.closed]. Closing it again does nothing.
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

/// Maps the statuses of a try: for the C ABI a time-out of zero only tries.
int _timed(int code) => switch (Status.of(code)) {
      Status.full || Status.empty => Status.timedOut.code,
      _ => code,
    };

/// The state of a rendezvous.
enum RendezvousState {
  /// There is no request.
  none,

  /// There is a request.
  request,

  /// There is a response that has not been taken.
  response,
}

/// The common part of both sides of a rendezvous.
abstract base class _Side extends Owner {
  _Side(int handle)
      : super(handle, functions.rendezvousReleaseAddress, weight: 1024) {
    takeOver(handle);
  }

  /// The state of the rendezvous.
  RendezvousState get state => withMemory((memory) {
        final state = memory.bytes(4).cast<Uint32>();
        use((handle) => check(functions.rendezvousState(handle, state)));
        return RendezvousState.values[state.value];
      });

  /// Closes the rendezvous for both sides, and releases this one: the opposite
  /// side gets [Status.closed]. Closing it again does nothing.
  ///
  /// A side is gone when it is released or collected, or its isolate has ended;
  /// the opposite side gets [Status.peerDied].
  void close() {
    if (isReleased) return;
    use(functions.rendezvousClose);
    release();
  }
}

/// The side of a rendezvous that sends requests and waits for the responses.
final class Requester extends _Side {
  /// Takes over the side of a handle. Call this once for each handle.
  Requester.fromHandle(super.handle);

  /// Creates a rendezvous, and returns this side, and the handle of the
  /// opposite side for [Responder.fromHandle].
  ///
  /// A handle that is never taken over leaks, unless the isolate that is to
  /// take it over is started with it, by `Insula.run` or `Insula.spawn`.
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

/// The side of a rendezvous that answers requests.
final class Responder extends _Side {
  /// Takes over the side of a handle. Call this once for each handle.
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
  /// Throws an [InsulaException]: [Status.badState] if there is no request,
  /// [Status.cancelled] if the requester has given up, [Status.closed],
  /// [Status.peerDied].
  void respond(List<int> response) => check(_respond(response));

  int _respond(List<int> response) => withMemory(
        (memory) => use(
          (handle) =>
              functions.respond(handle, memory.copy(response), response.length),
        ),
      );

  /// Declines the request: the requester gets [Status.failed].
  void decline() => check(use(functions.decline));

  /// Answers requests with the results of [answer], until [stop] is called,
  /// this side is closed or released, or the requester has ended. A response
  /// whose requester has given up is dropped. If [answer] throws, the request
  /// is declined, and the error is rethrown.
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

  /// Ends [messageLoop] when the current request has been answered.
  void stop() => _runs = false;
}
