/// Why a function of the library did nothing.
///
/// The codes are those of `insula.h`.
enum Status {
  /// It is done.
  ok(0, 'done'),

  /// This is no handle.
  badHandle(2, 'this is no handle'),

  /// It is a handle of something else.
  wrongType(4, 'this is a handle of something else'),

  /// A length that no memory can have.
  badLength(5, 'no memory can have this length'),

  /// A number is not among those that are allowed.
  badValue(7, 'the value is not among those that are allowed'),

  /// A message is nested too deeply, or has too many parts.
  tooDeep(8, 'the message is too deep, or has too many parts'),

  /// The runtime has been shut down.
  shutDown(10, 'the runtime has been shut down'),

  /// What the handle stood for is gone.
  staleHandle(3, 'what the handle stood for is gone'),

  /// It is closed.
  closed(13, 'it is closed'),

  /// There is no room at the moment.
  full(14, 'it is full'),

  /// There is nothing at the moment.
  empty(15, 'it is empty'),

  /// The time has passed.
  timedOut(16, 'the time has passed'),

  /// To wait here would be to wait for ever.
  deadlock(20, 'the wait would never end'),

  /// The other side has ended.
  peerDied(22, 'the other side has ended'),

  /// The callee refused: its queue is full, or it shuts down.
  rejected(23, 'the call was refused'),

  /// It was cancelled.
  cancelled(24, 'it was cancelled'),

  /// The callee's own code failed.
  failed(25, 'the callee failed'),

  /// The isolate of Rust that waits is to end.
  ending(26, 'the isolate is to end'),

  /// The operating system, or a table, has no room.
  outOfResources(27, 'the system has no room for it'),

  /// Not allowed in the state in which it is.
  badState(29, 'not allowed in this state'),

  /// The name is taken.
  nameTaken(30, 'the name is taken'),

  /// There is none of that name.
  notFound(31, 'there is none of this name'),

  /// A value of a kind that cannot be sent.
  unsupported(32, 'a value of this kind cannot be sent'),

  /// The library is at fault.
  internal(33, 'the library is at fault'),

  /// Any other code.
  other(-1, 'it failed');

  const Status(this.code, this.text);

  /// The status with that code.
  factory Status.of(int code) => values.firstWhere(
        (status) => status.code == code,
        orElse: () => other,
      );

  /// The number in `insula.h`.
  final int code;

  /// A sentence for people.
  final String text;
}

/// A function of the library, or whoever it called, failed.
final class InsulaException implements Exception {
  /// An exception for a status.
  InsulaException(this.code, {String? message, this.mayHaveRun = false})
      : status = Status.of(code),
        message = message ?? Status.of(code).text;

  /// What went wrong.
  final Status status;

  /// The code behind [status], also if that is [Status.other].
  final int code;

  /// What to tell people; that of the callee, if it failed.
  final String message;

  /// Of a call: whether the callee may have begun with it.
  final bool mayHaveRun;

  @override
  String toString() => 'InsulaException: $message ($code)';
}

/// Throws unless [code] is that of [Status.ok].
void check(int code) {
  if (code != 0) throw InsulaException(code);
}
