/// The native side of the tests: services and threads of `libinsula_dart`.
library;

import 'dart:convert';
import 'dart:ffi';

import 'package:insula/insula.dart';

final _library = Insula.library;

final _open = _library.lookupFunction<
    Int32 Function(Pointer<Uint8>, Uint32, Pointer<Uint64>),
    int Function(
        Pointer<Uint8>, int, Pointer<Uint64>)>('insula_dart_sample_open');

/// Two threads that call a blocking callback and a listener.
final startCallbacks = _library.lookupFunction<
    Void Function(UintPtr, UintPtr),
    void Function(int, int)>('insula_dart_sample_callbacks');

/// Two threads that post requests to a port, and wait for answers.
final startRequests = _library
    .lookupFunction<Void Function(Uint64), void Function(int)>(
        'insula_dart_sample_requests');

/// Calls a callback on this very thread.
final callHere = _library.lookupFunction<Int32 Function(UintPtr, Int64),
    int Function(int, int)>('insula_dart_sample_call_here');

/// Calls a callback so many times in a row on a thread of its own, and posts
/// the mean time in nanoseconds, or minus a status, to a port.
final startRoundTrips = _library.lookupFunction<
    Void Function(UintPtr, Uint32, Uint64, Uint64),
    void Function(int, int, int, int)>('insula_dart_sample_round_trips');

/// Opens the sample service under a name and finds it by that name.
WorkerPool openSample(String name, {int workers = 2}) {
  final buffer = TransferableBuffer(64);
  final text = utf8.encode(name);
  buffer.bytes.setAll(0, text);
  // The view's own address is nobody's business but the tests'.
  final handle = TransferableBuffer(8);
  using(buffer, handle, (name, place) {
    final status = _open(name, workers, place.cast());
    if (status != 0) throw InsulaException(status);
  });
  return WorkerPool.find(name);
}

/// Calls [body] with the addresses of two buffers.
void using(
  TransferableBuffer a,
  TransferableBuffer b,
  void Function(Pointer<Uint8> a, Pointer<Uint8> b) body,
) {
  final data = _library.lookupFunction<Pointer<Uint8> Function(IntPtr),
      Pointer<Uint8> Function(int)>('insula_dart_buffer_data');
  final release = _library.lookupFunction<Void Function(IntPtr),
      void Function(int)>('insula_dart_buffer_release');
  final (first, _) = a.send();
  final (second, _) = b.send();
  body(data(first), data(second));
  release(first);
  release(second);
}
