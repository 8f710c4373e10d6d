/// The result of a function of the library: success, or the reason why it did
/// nothing.
///
/// The codes are those of `insula.h`.
enum Status {
  /// Success.
  ok(0, 'done'),

  /// The number is not a handle.
  badHandle(2, 'this is no handle'),

  /// The handle is of another type.
  wrongType(4, 'this is a handle of something else'),

  /// The length is more than memory can hold.
  badLength(5, 'no memory can have this length'),

  /// The number is not one of those allowed.
  badValue(7, 'the value is not among those that are allowed'),

  /// The message is nested too deeply, or has too many parts.
  tooDeep(8, 'the message is too deep, or has too many parts'),

  /// The runtime has been shut down.
  shutDown(10, 'the runtime has been shut down'),

  /// The object of the handle is gone.
  staleHandle(3, 'what the handle stood for is gone'),

  /// The object is closed.
  closed(13, 'it is closed'),

  /// There is no room now.
  full(14, 'it is full'),

  /// There is nothing to take now.
  empty(15, 'it is empty'),

  /// The time-out has passed.
  timedOut(16, 'the time-out has passed'),

  /// The wait would never end.
  deadlock(20, 'the wait would never end'),

  /// The peer has ended.
  peerDied(22, 'the other side has ended'),

  /// The callee rejected the call: its queue is full, or it shuts down.
  rejected(23, 'the call was refused'),

  /// The operation was cancelled.
  cancelled(24, 'it was cancelled'),

  /// The callee's own code failed.
  failed(25, 'the callee failed'),

  /// The Rust isolate that waits is ending.
  ending(26, 'the isolate is ending'),

  /// The operating system, or a table of the library, has no room.
  outOfResources(27, 'the system has no room for it'),

  /// The object's state does not allow this.
  badState(29, 'not allowed in this state'),

  /// The name is taken.
  nameTaken(30, 'the name is taken'),

  /// There is no object of this name.
  notFound(31, 'there is none of this name'),

  /// A value of this kind cannot be sent.
  unsupported(32, 'a value of this kind cannot be sent'),

  /// A fault of the library.
  internal(33, 'the library is at fault'),

  /// A code without a value of its own here.
  other(-1, 'it failed');

  const Status(this.code, this.text);

  /// Returns the status of a code.
  factory Status.of(int code) => values.firstWhere(
        (status) => status.code == code,
        orElse: () => other,
      );

  /// The number in `insula.h`.
  final int code;

  /// A sentence that describes the status.
  final String text;
}

/// Thrown when a function of the library, or its callee, failed.
final class InsulaException implements Exception {
  /// Creates an exception for a status.
  InsulaException(this.code, {String? message, this.mayHaveRun = false})
      : status = Status.of(code),
        message = message ?? Status.of(code).text;

  /// The reason of the failure.
  final Status status;

  /// The code of [status], also if that is [Status.other].
  final int code;

  /// The error text; that of the callee, if the callee failed.
  final String message;

  /// Whether the callee of a call may have begun with it.
  final bool mayHaveRun;

  @override
  String toString() => 'InsulaException: $message ($code)';
}

/// Throws unless [code] is that of [Status.ok].
void check(int code) {
  if (code != 0) throw InsulaException(code);
}
