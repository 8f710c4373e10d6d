/// @docImport 'src/buffer.dart';
/// @docImport 'src/call.dart';
/// @docImport 'src/callback.dart';
/// @docImport 'src/library.dart';
/// @docImport 'src/mailbox.dart';
/// @docImport 'src/port.dart';
/// @docImport 'src/worker_pool.dart';
///
/// Insula for Dart: the isolates, services and callbacks of Rust for Dart
/// isolates.
///
/// * [WorkerPool] calls services that run on pools of Rust workers. The result
///   is a [Call], which is a [Future], or a [Stream].
/// * [TransferableBuffer] is memory that Dart and Rust share without a copy.
/// * [Mailbox], [Requester] and [Responder] let two isolates, or an isolate and
///   native code, wait for each other without their event loops.
/// * [BlockingCallback] and [ListenerCallback] are called by native threads.
/// * [InsulaPort] is a port of Insula: of Rust, of C, or of this isolate.
///
/// All of them need the library `libinsula_dart`; see [Insula.open].
library;

export 'src/buffer.dart' show TransferableBuffer;
export 'src/call.dart' show Call;
export 'src/callback.dart' show BlockingCallback, ListenerCallback;
export 'src/library.dart' show Insula;
export 'src/mailbox.dart' show Mailbox, RendezvousState, Requester, Responder;
export 'src/port.dart' show InsulaPort;
export 'src/status.dart' show InsulaException, Status;
export 'src/worker_pool.dart' show WorkerPool;
