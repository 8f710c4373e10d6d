import 'dart:ffi';
import 'dart:io';

import 'memory.dart';
import 'native.dart';
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
  /// Throws an [ArgumentError] if there is no such library, and an
  /// [InsulaException] if it does not fit this VM.
  static void open({String? path, int threads = 0}) {
    if (_functions != null) return;
    final name = path ??
        Platform.environment['INSULA_LIBRARY'] ??
        'libinsula_dart.so';
    final library = DynamicLibrary.open(name);
    final functions = Functions(library);
    check(functions.init(NativeApi.initializeApiDLData, threads));
    _library = library;
    _functions = functions;
  }

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
