import 'dart:ffi';
import 'dart:isolate';

import 'codec.dart';
import 'library.dart';
import 'owner.dart';
import 'status.dart';

/// A port of Insula, to which Rust, C and Dart can post.
///
/// Messages are `null`, [bool], [int], [double], [String], lists of messages,
/// typed data (copied), buffers (moved) and ports. Messages of one isolate to
/// one port arrive in order.
final class InsulaPort {
  /// Creates a port from a [handle] of native code, or of another isolate.
  const InsulaPort(this.handle);

  /// Creates a port whose messages are passed on to [port], from any thread.
  ///
  /// It stays open until it is closed, until this isolate ends, or until a
  /// message finds [port] closed.
  factory InsulaPort.to(SendPort port) => withMemory((memory) {
        final place = memory.handle();
        check(functions.portOpen(port.nativePort, place));
        final handle = place.value;
        _open[handle] = _OpenPort(handle);
        return InsulaPort(handle);
      });

  /// The open ports of this isolate. Native code has their handles, so they
  /// stay open even if Dart has no reference to them.
  static final _open = <int, _OpenPort>{};

  /// The number of the port in this process, which is the same in native code
  /// and in other isolates.
  final int handle;

  /// Posts a message. Never waits.
  ///
  /// Throws an [InsulaException] with [Status.closed] or [Status.staleHandle]
  /// if the port is closed; the buffers in the message are not given away then.
  void post(Object? message) =>
      sendValue(message, (value) => functions.post(handle, value));

  /// Closes a port that was created with [InsulaPort.to], or a native one.
  /// Messages that were posted before still arrive. Returns whether it was
  /// open.
  bool close() {
    final open = _open.remove(handle);
    if (open != null) forget(open);
    return functions.portClose(handle) == 0;
  }
}

/// A port that is closed when this isolate ends.
final class _OpenPort extends Owner {
  _OpenPort(int handle)
      : super(handle, functions.portCloseAddress, weight: 1024);
}
