import 'dart:async';
import 'dart:ffi';
import 'dart:isolate';
import 'dart:typed_data';

import 'codec.dart';
import 'library.dart';
import 'native.dart';
import 'status.dart';

/// A service on a pool of Rust workers.
///
/// Requests and answers are messages, as [call] tells. While calls are under
/// way they keep the isolate alive.
final class WorkerPool {
  WorkerPool._(this._service);

  /// The pool that native code opened under that name.
  ///
  /// Throws an [InsulaException] with [Status.notFound] if there is none.
  factory WorkerPool.find(String name) => withMemory((memory) {
        final handle = memory.handle();
        check(functions.serviceFind(memory.text(name), handle));
        return WorkerPool._(handle.value);
      });

  /// A pool with a [handle] that came from native code.
  WorkerPool.fromHandle(int handle) : this._(handle);

  /// Starts a pool of so many [workers] (0: one per core) that make pictures,
  /// for [picture].
  factory WorkerPool.pictures({int workers = 0}) => withMemory((memory) {
        final handle = memory.handle();
        final name = memory.text('pictures ${_Calls.nextName()}');
        check(functions.picturesOpen(name, workers, handle));
        return WorkerPool._(handle.value);
      });

  final int _service;

  /// Sends a request and returns the answer.
  ///
  /// Requests are `null`, [bool], [int], [double], [String], lists of them and
  /// of each other, typed data (copied) and buffers (moved). Answers are the
  /// same, buffers being lists over native memory that nobody copies.
  ///
  /// The future ends with an [InsulaException]: [Status.failed] with the text
  /// of the service, [Status.timedOut] after [deadline], or that the pool
  /// refused or lost the call.
  Future<Object?> call(Object? request, {Duration? deadline}) {
    final calls = _Calls.current;
    final end = Completer<Object?>.sync();
    calls.begin(
      request,
      (value, id) => functions.serviceCall(
          _service, value, nanoseconds(deadline), calls.port, id, nullptr),
      _Pending(
        onEnd: (status, mayHaveRun, answer) {
          if (status == 0) {
            end.complete(answer);
          } else {
            end.completeError(_failure(status, mayHaveRun, answer));
          }
        },
      ),
    );
    return end.future;
  }

  /// Sends a request whose answer is a stream: the service gets
  /// `[port, request]`, posts items to the port, and ends.
  ///
  /// The call begins when somebody listens, and is cancelled when he cancels.
  /// A paused stream keeps what arrives. Errors are as for [call].
  Stream<Object?> stream(Object? request, {Duration? deadline}) {
    final calls = _Calls.current;
    var handle = 0;
    late final StreamController<Object?> items;
    items = StreamController<Object?>(
      onListen: () => withMemory((memory) {
        final place = memory.handle();
        calls.begin(
          request,
          (value, id) => functions.serviceStream(
              _service, value, nanoseconds(deadline), calls.port, id, place),
          _Pending(
            onItem: items.add,
            onEnd: (status, mayHaveRun, answer) {
              functions.callRelease(handle);
              handle = 0;
              if (status != 0) {
                items.addError(_failure(status, mayHaveRun, answer));
              }
              unawaited(items.close());
            },
          ),
        );
        handle = place.value;
      }),
      onCancel: () {
        if (handle != 0) functions.callCancel(handle);
      },
    );
    return items.stream;
  }

  /// Makes a picture, on a pool that was started with [WorkerPool.pictures].
  /// [file] is the content of a file: a buffer moves, anything else is copied.
  Future<Picture> picture(
    Object file, {
    String name = '',
    (int, int)? size,
    ResizeMode mode = ResizeMode.fit,
    double sharpen = 0,
    PictureFormat? format,
    int quality = 85,
  }) async {
    final (width, height) = size ?? (0, 0);
    final answer = await call([
      name,
      file,
      width,
      height,
      mode.index,
      sharpen,
      format?.index ?? -1,
      quality,
    ]);
    return switch (answer) {
      [
        final Uint8List bytes,
        final int format,
        final int width,
        final int height,
        final int sourceWidth,
        final int sourceHeight,
        final int micros,
      ] =>
        Picture._(
          bytes,
          PictureFormat.values[format],
          (width, height),
          (sourceWidth, sourceHeight),
          Duration(microseconds: micros),
        ),
      _ => throw StateError('this pool makes no pictures'),
    };
  }

  /// Ends the pool for everybody: calls under way have [patience] to end.
  ///
  /// Blocks the isolate meanwhile.
  void close({Duration patience = Duration.zero}) =>
      check(functions.serviceClose(_service, nanoseconds(patience)));

  /// Gives this handle of the pool back; others, and its calls, go on.
  void release() => check(functions.serviceRelease(_service));
}

/// What to do with pictures of another shape.
enum ResizeMode {
  /// Stretch.
  exact,

  /// Keep inside.
  fit,

  /// Cover, and cut.
  fill,
}

/// The format of a picture.
enum PictureFormat {
  /// JPEG.
  jpeg,

  /// PNG.
  png,

  /// WebP.
  webp,
}

/// A picture that [WorkerPool.picture] made.
final class Picture {
  Picture._(
    this.bytes,
    this.format,
    this.size,
    this.sourceSize,
    this.elapsed,
  );

  /// The content of a file.
  final Uint8List bytes;

  /// Its format.
  final PictureFormat format;

  /// Width and height.
  final (int, int) size;

  /// Width and height of the original.
  final (int, int) sourceSize;

  /// The time that a worker took.
  final Duration elapsed;
}

InsulaException _failure(int status, bool mayHaveRun, Object? answer) =>
    InsulaException(
      status,
      message: answer is String && answer.isNotEmpty ? answer : null,
      mayHaveRun: mayHaveRun,
    );

final class _Pending {
  _Pending({required this.onEnd, this.onItem});

  final void Function(Object? item)? onItem;
  final void Function(int status, bool mayHaveRun, Object? answer) onEnd;
}

/// The calls of this isolate that are under way.
///
/// All of them share one port of the isolate, and have numbers. The port keeps
/// the isolate alive while there are any.
final class _Calls {
  _Calls._() {
    _receive.handler = _handle;
    _receive.keepIsolateAlive = false;
  }

  static final current = _Calls._();
  static int _names = 0;

  static String nextName() => '${Isolate.current.hashCode}.${_names++}';

  final _receive = RawReceivePort(null, 'insula calls');
  final _pending = <int, _Pending>{};
  bool _keepsAlive = false;
  int _last = 0;

  late final int port = _receive.sendPort.nativePort;

  /// Makes a call, whose number it gives to [call].
  void begin(
    Object? request,
    int Function(Pointer<Value> value, int id) call,
    _Pending pending,
  ) {
    final id = ++_last;
    sendValue(request, (value) => call(value, id));
    _pending[id] = pending;
    _keepAlive(true);
  }

  /// Setting it costs more than looking.
  void _keepAlive(bool keeps) {
    if (keeps == _keepsAlive) return;
    _keepsAlive = keeps;
    _receive.keepIsolateAlive = keeps;
  }

  void _handle(List<Object?> message) {
    final id = message[0]! as int;
    if (message[1] == 0) {
      _pending[id]?.onItem?.call(withLight(message[2], message[3]));
      return;
    }
    // Whoever gets the answer may well make the next call at once.
    _pending.remove(id)?.onEnd(
          message[2]! as int,
          message[3] == 1,
          withLight(message[4], message[5]),
        );
    _keepAlive(_pending.isNotEmpty);
  }
}
