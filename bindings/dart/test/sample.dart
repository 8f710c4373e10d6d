/// The native side of the tests: services and threads of
/// `libinsula_dart_samples`.
library;

import 'dart:convert';
import 'dart:ffi';

import 'package:insula/insula.dart';

final _library = Insula.library;

final _open = _library.lookupFunction<
    Int32 Function(Pointer<Uint8>, Uint32, Pointer<Uint64>),
    int Function(
        Pointer<Uint8>, int, Pointer<Uint64>)>('insula_dart_sample_open');

/// Starts two threads that call a blocking callback and a listener.
final startCallbacks = _library.lookupFunction<
    Void Function(UintPtr, UintPtr),
    void Function(int, int)>('insula_dart_sample_callbacks');

/// Starts two threads that post requests to a port, and wait for answers.
final startRequests = _library
    .lookupFunction<Void Function(Uint64), void Function(int)>(
        'insula_dart_sample_requests');

/// Calls a callback on this thread.
final callHere = _library.lookupFunction<Int32 Function(UintPtr, Int64),
    int Function(int, int)>('insula_dart_sample_call_here');

/// Calls a callback `count` times in a row on a new thread, and posts the mean
/// time in nanoseconds, or the negated status, to a port.
final startRoundTrips = _library.lookupFunction<
    Void Function(UintPtr, Uint32, Uint64, Uint64),
    void Function(int, int, int, int)>('insula_dart_sample_round_trips');

/// Returns the number of bytes of the live large buffers of this process.
final aliveBytes = _library.lookupFunction<Uint64 Function(), int Function()>(
    'insula_dart_buffer_alive');

/// Returns the number of items that the sample streams of this process have
/// sent so far.
final sentItems = _library.lookupFunction<Uint64 Function(), int Function()>(
    'insula_dart_sample_sent');

/// Returns the number of requests that the sample services of this process are
/// answering.
final runningRequests = _library
    .lookupFunction<Uint64 Function(), int Function()>(
        'insula_dart_sample_running');

/// Returns the status of the last callback that a sample service called.
final calledStatus = _library.lookupFunction<Int32 Function(), int Function()>(
    'insula_dart_sample_called');

/// Opens the service `counter`.
final openCounter = _library.lookupFunction<Int32 Function(), int Function()>(
    'insula_dart_sample_counter_open');

/// A snapshot of the library (`insula_status_info`).
final class _StatusInfo extends Struct {
  @Uint32()
  external int size;
  @Uint32()
  external int phase;
  @Uint64()
  external int isolates;
  @Uint64()
  external int threads;
  @Uint64()
  external int handles;
  @Uint64()
  external int callbacks;
  @Uint64()
  external int externals;
  @Uint64()
  external int posts;
}

final _status = _library.lookupFunction<Int32 Function(Pointer<_StatusInfo>),
    int Function(Pointer<_StatusInfo>)>('insula_inspect');

/// Returns the number of handles in this process.
int liveHandles() {
  final memory = TransferableBuffer(sizeOf<_StatusInfo>());
  final info = memory.address.cast<_StatusInfo>();
  info.ref.size = sizeOf<_StatusInfo>();
  final status = _status(info);
  if (status != 0) throw InsulaException(status);
  final handles = info.ref.handles;
  memory.release();
  return handles;
}

/// Opens the sample service under a name and finds it by that name.
WorkerPool openSample(String name, {int workers = 2}) {
  final text = TransferableBuffer.from([...utf8.encode(name), 0]);
  final handle = TransferableBuffer(8);
  final place = handle.address.cast<Uint64>();
  final status = _open(text.address, workers, place);
  if (status != 0) throw InsulaException(status);
  final service = place.value;
  text.release();
  handle.release();
  return WorkerPool.fromHandle(service);
}
