/// The functions and types of `libinsula_dart`, as `dart:ffi` sees them.
library;

import 'dart:ffi';

/// A message of the C ABI (`insula_value`).
final class Value extends Struct {
  @Uint32()
  external int kind;
  @Uint32()
  external int element;
  @Int64()
  external int integer;
  @Double()
  external double real;
  @Uint64()
  external int length;
  external Pointer<Void> data;
  external Pointer<Void> peer;
  external Pointer<NativeFinalizerFunction> finalizer;
}

/// Bytes that the library holds for its caller (`insula_buffer`).
final class HeldBytes extends Struct {
  @Uint64()
  external int handle;
  @Uint64()
  external int length;
  external Pointer<Uint8> bytes;
}

/// Kinds of values (`INSULA_KIND_`...).
abstract final class Kind {
  static const none = 0;
  static const truth = 1;
  static const int64 = 3;
  static const real = 4;
  static const string = 5;
  static const array = 6;
  static const typedData = 7;
  static const external = 8;
  static const sendPort = 9;
}

/// The time-out of the C ABI without a limit.
const forever = -1;

/// The longest limited time-out: 292 years.
const _longest = 0x7fffffffffffffff;

/// Converts a time-out for the C ABI; null is [forever].
///
/// Throws an [ArgumentError] with the parameter's [name] if it is negative.
int nanoseconds(Duration? time, String name) {
  if (time == null) return forever;
  final micros = time.inMicroseconds;
  if (micros < 0) {
    throw ArgumentError.value(time, name, 'must not be negative');
  }
  return micros > _longest ~/ 1000 ? _longest : micros * 1000;
}

/// Returns [value], which native code takes as an unsigned 32-bit number.
///
/// Throws a [RangeError] with the parameter's [name] if it is less than
/// [least], or has more bits.
int unsigned32(int value, String name, {int least = 0}) =>
    RangeError.checkValueInInterval(value, least, 0xffffffff, name);

/// A function of the C ABI that releases a handle.
typedef ReleaseFunction = NativeFunction<Int32 Function(Uint64)>;

/// The native functions, looked up once by each isolate.
final class Functions {
  Functions(this._library);

  final DynamicLibrary _library;

  late final alloc = _library.lookupFunction<Pointer<Void> Function(Uint64),
      Pointer<Void> Function(int)>('insula_dart_buffer_new', isLeaf: true);
  late final data = _library.lookupFunction<
      Pointer<Uint8> Function(Pointer<Void>),
      Pointer<Uint8> Function(
          Pointer<Void>)>('insula_dart_buffer_data', isLeaf: true);
  late final retain = _library.lookupFunction<Void Function(Pointer<Void>),
      void Function(Pointer<Void>)>('insula_dart_buffer_retain', isLeaf: true);
  late final release = _library.lookupFunction<Void Function(Pointer<Void>),
      void Function(Pointer<Void>)>('insula_dart_buffer_release', isLeaf: true);
  late final weight = _library.lookupFunction<Uint64 Function(Uint64),
      int Function(int)>('insula_dart_buffer_weight', isLeaf: true);
  late final releaseAddress = _library
      .lookup<NativeFinalizerFunction>('insula_dart_buffer_release');
  late final leave = _library.lookupFunction<Uint64 Function(Pointer<Void>),
      int Function(Pointer<Void>)>('insula_dart_buffer_leave', isLeaf: true);
  late final fetch = _library.lookupFunction<Pointer<Void> Function(Uint64),
      Pointer<Void> Function(int)>('insula_dart_buffer_fetch', isLeaf: true);
  late final length = _library.lookupFunction<Uint64 Function(Pointer<Void>),
      int Function(Pointer<Void>)>('insula_dart_buffer_length', isLeaf: true);

  late final arenaNew = _library
      .lookupFunction<Pointer<Void> Function(), Pointer<Void> Function()>(
          'insula_dart_arena_new');
  late final arenaGone =
      _library.lookup<NativeFinalizerFunction>('insula_dart_arena_gone');
  late final arenaBytes = _library.lookupFunction<
      Pointer<Uint8> Function(Pointer<Void>, Uint64),
      Pointer<Uint8> Function(
          Pointer<Void>, int)>('insula_dart_arena_bytes', isLeaf: true);
  late final arenaHeld = _library.lookupFunction<
      Pointer<Uint8> Function(Pointer<Void>),
      Pointer<Uint8> Function(
          Pointer<Void>)>('insula_dart_arena_held', isLeaf: true);
  late final arenaMark = _library.lookupFunction<Uint64 Function(Pointer<Void>),
      int Function(Pointer<Void>)>('insula_dart_arena_mark', isLeaf: true);
  late final arenaGoBack = _library.lookupFunction<
      Void Function(Pointer<Void>, Uint64),
      void Function(
          Pointer<Void>, int)>('insula_dart_arena_go_back', isLeaf: true);

  late final leaseNew = _library.lookupFunction<
      Pointer<Void> Function(Uint64, Pointer<ReleaseFunction>),
      Pointer<Void> Function(
          int, Pointer<ReleaseFunction>)>('insula_dart_lease_new');
  late final leaseEnd = _library.lookupFunction<Int32 Function(Pointer<Void>),
      int Function(Pointer<Void>)>('insula_dart_lease_end');
  late final leaseForget = _library.lookupFunction<Void Function(Pointer<Void>),
      void Function(Pointer<Void>)>('insula_dart_lease_forget');
  late final leaseGone =
      _library.lookup<NativeFinalizerFunction>('insula_dart_lease_gone');
  late final partyReleaseAddress =
      _library.lookup<ReleaseFunction>('insula_dart_party_release');
  late final partyRelease = _library
      .lookupFunction<Int32 Function(Uint64), int Function(int)>(
          'insula_dart_party_release');

  late final init = _library.lookupFunction<
      Int32 Function(Pointer<Void>, Uint32),
      int Function(Pointer<Void>, int)>('insula_dart_init');

  late final portOpen = _library.lookupFunction<
      Int32 Function(Int64, Pointer<Uint64>),
      int Function(int, Pointer<Uint64>)>('insula_dart_port_open');
  late final portClose = _library
      .lookupFunction<Int32 Function(Uint64), int Function(int)>(
          'insula_port_close');
  late final portCloseAddress =
      _library.lookup<ReleaseFunction>('insula_port_close');
  late final post = _library.lookupFunction<
      Int32 Function(Uint64, Pointer<Value>),
      int Function(int, Pointer<Value>)>('insula_post');

  late final serviceFind = _library.lookupFunction<
      Int32 Function(Pointer<Uint8>, Pointer<Uint64>),
      int Function(Pointer<Uint8>, Pointer<Uint64>)>('insula_service_find');
  late final serviceClose = _library.lookupFunction<
      Int32 Function(Uint64, Uint64),
      int Function(int, int)>('insula_service_close');
  late final serviceReleaseAddress =
      _library.lookup<ReleaseFunction>('insula_service_release');
  late final callsNew = _library.lookupFunction<Pointer<Void> Function(Int64),
      Pointer<Void> Function(int)>('insula_dart_calls_new');
  late final callsGone =
      _library.lookup<NativeFinalizerFunction>('insula_dart_calls_gone');
  late final callBegin = _library.lookupFunction<
      Int32 Function(Pointer<Void>, Int64, Uint64, Pointer<Value>, Uint64,
          Uint32),
      int Function(Pointer<Void>, int, int, Pointer<Value>, int,
          int)>('insula_dart_call_begin');
  late final callCancel = _library.lookupFunction<
      Int32 Function(Pointer<Void>, Int64),
      int Function(Pointer<Void>, int)>('insula_dart_call_cancel');
  late final streamGrant = _library.lookupFunction<
      Int32 Function(Pointer<Void>, Int64, Uint32),
      int Function(Pointer<Void>, int, int)>('insula_dart_stream_grant');

  late final callbackNew = _library
      .lookupFunction<UintPtr Function(Int64), int Function(int)>(
          'insula_dart_callback_new');
  late final callbackClose = _library
      .lookupFunction<Int32 Function(UintPtr), int Function(int)>(
          'insula_dart_callback_close');
  late final callbackGone = _library
      .lookup<NativeFinalizerFunction>('insula_dart_callback_gone');
  late final callbackAnswer = _library.lookupFunction<
      Int32 Function(UintPtr, Int64, Int32, Pointer<Value>),
      int Function(
          int, int, int, Pointer<Value>)>('insula_dart_callback_answer');

  late final mailboxNew = _library.lookupFunction<
      Int32 Function(Pointer<Uint64>),
      int Function(Pointer<Uint64>)>('insula_mailbox_new');
  late final mailboxShare = _library.lookupFunction<
      Int32 Function(Uint64, Pointer<Uint64>),
      int Function(int, Pointer<Uint64>)>('insula_mailbox_share');
  late final mailboxPut = _library.lookupFunction<
      Int32 Function(Uint64, Pointer<Uint8>, Uint64, Uint64),
      int Function(int, Pointer<Uint8>, int, int)>('insula_mailbox_put');
  late final mailboxTake = _library.lookupFunction<
      Int32 Function(Uint64, Uint64, Pointer<HeldBytes>),
      int Function(int, int, Pointer<HeldBytes>)>('insula_mailbox_take');
  late final mailboxClose = _library
      .lookupFunction<Int32 Function(Uint64), int Function(int)>(
          'insula_mailbox_close');
  late final mailboxReleaseAddress =
      _library.lookup<ReleaseFunction>('insula_mailbox_release');

  late final rendezvousNew = _library.lookupFunction<
      Int32 Function(Pointer<Uint64>, Pointer<Uint64>),
      int Function(Pointer<Uint64>, Pointer<Uint64>)>('insula_rendezvous_new');
  late final request = _library.lookupFunction<
      Int32 Function(
          Uint64, Pointer<Uint8>, Uint64, Uint64, Pointer<HeldBytes>),
      int Function(int, Pointer<Uint8>, int, int,
          Pointer<HeldBytes>)>('insula_requester_request');
  late final receive = _library.lookupFunction<
      Int32 Function(Uint64, Uint64, Pointer<HeldBytes>),
      int Function(int, int, Pointer<HeldBytes>)>('insula_responder_receive');
  late final respond = _library.lookupFunction<
      Int32 Function(Uint64, Pointer<Uint8>, Uint64),
      int Function(int, Pointer<Uint8>, int)>('insula_responder_respond');
  late final decline = _library
      .lookupFunction<Int32 Function(Uint64), int Function(int)>(
          'insula_responder_decline');
  late final rendezvousState = _library.lookupFunction<
      Int32 Function(Uint64, Pointer<Uint32>),
      int Function(int, Pointer<Uint32>)>('insula_rendezvous_state');
  late final rendezvousClose = _library
      .lookupFunction<Int32 Function(Uint64), int Function(int)>(
          'insula_rendezvous_close');
  late final rendezvousReleaseAddress =
      _library.lookup<ReleaseFunction>('insula_rendezvous_release');
}
