import 'dart:ffi';
import 'dart:isolate';

import 'codec.dart';
import 'library.dart';
import 'owner.dart';
import 'status.dart';

/// A port of Insula: what Rust and C post to, and what they gave us to post to.
///
/// Messages are `null`, [bool], [int], [double], [String], lists of messages,
/// typed data (copied), buffers (moved) and ports. Those of one isolate to one
/// port arrive in their order.
final class InsulaPort {
  /// The port with a [handle] that came from native code, or from another
  /// isolate.
  const InsulaPort(this.handle);

  /// A port whose messages go to [port], from any thread.
  ///
  /// It stays open until it is closed, until this isolate ends, or until a
  /// message finds that [port] is closed.
  factory InsulaPort.to(SendPort port) => withMemory((memory) {
        final place = memory.handle();
        check(functions.portOpen(port.nativePort, place));
        final handle = place.value;
        _open[handle] = _OpenPort(handle);
        return InsulaPort(handle);
      });

  /// The open ports of this isolate. Native code has their handles, so they are
  /// not closed for being forgotten in Dart.
  static final _open = <int, _OpenPort>{};

  /// The number that stands for the port in this process, also for native code
  /// and in other isolates.
  final int handle;

  /// Posts a message. Never waits.
  ///
  /// Throws an [InsulaException] with [Status.closed] or [Status.staleHandle]
  /// if the port is closed; then buffers in the message stay ours.
  void post(Object? message) =>
      sendValue(message, (value) => functions.post(handle, value));

  /// Closes a port that was made with [InsulaPort.to], or a native one: what
  /// was posted before still arrives. Tells whether it was open.
  bool close() {
    final open = _open.remove(handle);
    if (open != null) forget(open);
    return functions.portClose(handle) == 0;
  }
}

/// A port that ends with this isolate.
final class _OpenPort extends Owner {
  _OpenPort(int handle)
      : super(handle, functions.portCloseAddress, weight: 1024);
}
