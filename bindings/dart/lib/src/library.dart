import 'dart:async';
import 'dart:ffi';
import 'dart:io';
import 'dart:isolate';

import 'memory.dart';
import 'native.dart';
import 'party.dart';
import 'status.dart';

/// The library behind this package.
///
/// Each isolate opens it for itself, at the latest at its first use of this
/// package. All isolates share one runtime with its pools.
abstract final class Insula {
  static Functions? _functions;
  static DynamicLibrary? _library;

  /// Opens the library, and starts the runtime with [threads] threads (0: one
  /// per core) if it is not running yet. Without a [path] the library is named
  /// by the environment variable `INSULA_LIBRARY`, or is `libinsula_dart.so`.
  ///
  /// Opening it again does nothing.
  ///
  /// Throws an [ArgumentError] if there is no such library, or [threads] is
  /// negative or more than the library can have, and an [InsulaException] if
  /// the library does not fit this VM.
  static void open({String? path, int threads = 0}) {
    unsigned32(threads, 'threads');
    if (_functions != null) return;
    final name = path ??
        Platform.environment['INSULA_LIBRARY'] ??
        'libinsula_dart.so';
    final library = DynamicLibrary.open(name);
    final functions = Functions(library);
    final code = functions.init(NativeApi.initializeApiDLData, threads);
    if (Status.of(code) case Status.badValue || Status.outOfResources) {
      final text = Status.of(code).text;
      throw ArgumentError.value(threads, 'threads', text);
    }
    check(code);
    _library = library;
    _functions = functions;
  }

  /// Runs [body] in a new isolate, as [Isolate.run] does, and returns its
  /// result. [body] and [message] are all that is sent to the isolate, so a
  /// top-level function is the best [body].
  ///
  /// [parties] are handles that the isolate takes over with
  /// `Mailbox.fromHandle`, `Requester.fromHandle` and `Responder.fromHandle`.
  /// The isolate owns them from the beginning: if it ends before it has taken
  /// over one of them, or never begins, waits for that party still end with
  /// [Status.peerDied].
  static Future<R> run<M, R>(
    FutureOr<R> Function(M message) body,
    M message, {
    List<int> parties = const [],
    String? debugName,
  }) =>
      runWith(body, message, parties, debugName);

  /// Spawns an isolate, as [Isolate.spawn] does, with [parties] as in [run].
  static Future<Isolate> spawn<M>(
    void Function(M message) entry,
    M message, {
    List<int> parties = const [],
    bool errorsAreFatal = true,
    SendPort? onExit,
    SendPort? onError,
    String? debugName,
  }) =>
      spawnWith(
        entry,
        message,
        parties,
        errorsAreFatal: errorsAreFatal,
        onExit: onExit,
        onError: onError,
        debugName: debugName,
      );

  /// The opened library, for programs with their own native code in it.
  static DynamicLibrary get library {
    open();
    return _library!;
  }
}

/// The functions of the opened library.
Functions get functions {
  Insula.open();
  return Insula._functions!;
}

/// Runs [body] with memory that is freed afterwards.
R withMemory<R>(R Function(Memory memory) body) {
  final memory = Memory(functions);
  try {
    return body(memory);
  } finally {
    memory.free();
  }
}
