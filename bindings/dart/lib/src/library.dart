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
/// Every isolate opens it for itself, at the latest when it first uses
/// anything of this package; all of them share one runtime, with its pools.
abstract final class Insula {
  static Functions? _functions;
  static DynamicLibrary? _library;

  /// Opens the library, and starts the runtime with so many [threads] (0: one
  /// per core) if it does not run yet. Without a [path] it is that of the
  /// environment variable `INSULA_LIBRARY`, or `libinsula_dart.so`.
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

  /// Runs [body] in an isolate of its own, as [Isolate.run] does, and returns
  /// what it returns. Nothing but [body] and [message] goes there, so [body] is
  /// best a function outside of all others.
  ///
  /// [parties] are handles that the isolate takes over with
  /// `Mailbox.fromHandle`, `Requester.fromHandle` and `Responder.fromHandle`.
  /// They are its own from the beginning: if it ends before it has taken one
  /// over, or never begins, what waits for that party gets [Status.peerDied]
  /// all the same.
  static Future<R> run<M, R>(
    FutureOr<R> Function(M message) body,
    M message, {
    List<int> parties = const [],
    String? debugName,
  }) =>
      runWith(body, message, parties, debugName);

  /// Spawns an isolate, as [Isolate.spawn] does, with [parties] as by [run].
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

  /// The opened library, for programs with native code of their own in it.
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

/// Runs [body] with memory of its own, which is freed afterwards.
R withMemory<R>(R Function(Memory memory) body) {
  final memory = Memory(functions);
  try {
    return body(memory);
  } finally {
    memory.free();
  }
}
