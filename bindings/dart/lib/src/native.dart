/// The functions of `libinsula_dart`, and its types, as `dart:ffi` sees them.
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

/// Never: what time-outs of the C ABI say for waiting without a limit.
const forever = -1;

/// A time-out for the C ABI.
int nanoseconds(Duration? timeout) =>
    timeout == null ? forever : timeout.inMicroseconds * 1000;

/// The functions, looked up once for each isolate.
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

  late final init = _library.lookupFunction<
      Int32 Function(Pointer<Void>, Uint32),
      int Function(Pointer<Void>, int)>('insula_dart_init');

  late final portOpen = _library.lookupFunction<
      Int32 Function(Int64, Pointer<Uint64>),
      int Function(int, Pointer<Uint64>)>('insula_dart_port_open');
  late final portClose = _library
      .lookupFunction<Int32 Function(Uint64), int Function(int)>(
          'insula_port_close');
  late final post = _library.lookupFunction<
      Int32 Function(Uint64, Pointer<Value>),
      int Function(int, Pointer<Value>)>('insula_post');

  late final serviceFind = _library.lookupFunction<
      Int32 Function(Pointer<Uint8>, Pointer<Uint64>),
      int Function(Pointer<Uint8>, Pointer<Uint64>)>('insula_service_find');
  late final serviceClose = _library.lookupFunction<
      Int32 Function(Uint64, Uint64),
      int Function(int, int)>('insula_service_close');
  late final serviceRelease = _library
      .lookupFunction<Int32 Function(Uint64), int Function(int)>(
          'insula_service_release');
  late final serviceCall = _library.lookupFunction<
      Int32 Function(
          Uint64, Pointer<Value>, Uint64, Int64, Int64, Pointer<Uint64>),
      int Function(int, Pointer<Value>, int, int, int,
          Pointer<Uint64>)>('insula_dart_service_call');
  late final serviceStream = _library.lookupFunction<
      Int32 Function(
          Uint64, Pointer<Value>, Uint64, Int64, Int64, Pointer<Uint64>),
      int Function(int, Pointer<Value>, int, int, int,
          Pointer<Uint64>)>('insula_dart_service_stream');
  late final callCancel = _library
      .lookupFunction<Int32 Function(Uint64), int Function(int)>(
          'insula_call_cancel');
  late final callRelease = _library
      .lookupFunction<Int32 Function(Uint64), int Function(int)>(
          'insula_call_release');
  late final picturesOpen = _library.lookupFunction<
      Int32 Function(Pointer<Uint8>, Uint32, Pointer<Uint64>),
      int Function(
          Pointer<Uint8>, int, Pointer<Uint64>)>('insula_dart_pictures_open');

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

  late final bufferFree = _library
      .lookupFunction<Int32 Function(Uint64), int Function(int)>(
          'insula_buffer_free');
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
  late final mailboxRelease = _library
      .lookupFunction<Int32 Function(Uint64), int Function(int)>(
          'insula_mailbox_release');

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
  late final rendezvousRelease = _library
      .lookupFunction<Int32 Function(Uint64), int Function(int)>(
          'insula_rendezvous_release');
}
