/* The functions that libinsula_dart offers to native code in addition to insula.h: messages to Dart
 * ports, streams to Dart isolates, and callbacks into them. All of them may be called on any
 * thread.
 *
 * The numbers of callbacks come from Dart (`BlockingCallback.address`, `ListenerCallback.address`),
 * as do those of ports (`SendPort.nativePort`). In a Rust library that depends on the crate
 * insula-dart these functions are in `insula_dart::abi`. */
#ifndef INSULA_DART_H
#define INSULA_DART_H

#include <stdint.h>

#include "insula.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Posts a value to a Dart port. Texts, typed data and arrays are copied; external data moves,
 * unless the function fails.
 *
 * Errors: CLOSED if there is no such port; UNSUPPORTED, TOO_DEEP, BAD_LENGTH. */
insula_status insula_dart_post(int64_t dart_port, const insula_value *message);

/* Opens a port of Insula whose messages are passed on to a Dart port, in order. Close it with
 * insula_port_close: messages that were posted before still arrive. The first message after the end
 * of the Dart port closes it too. */
insula_status insula_dart_port_open(int64_t dart_port, insula_port *port);

/* Sends an item to a Dart program that called a service with `WorkerPool.stream`. The request of
 * such a call is an array of two values: the stream (of the kind INSULA_KIND_SEND_PORT, its number
 * in `integer`) and the program's request. The end of the call is the end of the stream.
 *
 * Waits for at most timeout_ns (INSULA_FOREVER: without a limit; 0 only tries) while the program is
 * not ready for more. Texts, typed data and arrays are copied; external data moves, unless the
 * function fails.
 *
 * Errors: CLOSED if the stream is over, because its reader has cancelled it, its isolate has ended,
 * or the call has ended: the service should return; FULL (of a try); TIMED_OUT; ENDING;
 * UNSUPPORTED, TOO_DEEP, BAD_LENGTH. */
insula_status insula_dart_stream_send(uint64_t stream, const insula_value *item,
                                      uint64_t timeout_ns);

/* Calls a BlockingCallback, and waits for the answer of its isolate for at most timeout_ns
 * (INSULA_FOREVER: without a limit). Before this function returns, while the calling thread waits,
 * `done` is called on the thread of the isolate: with the status 0 and the answer, or with a status
 * and a text.
 *
 * Errors: BAD_HANDLE if the callback is closed; CLOSED if it was closed meanwhile; PEER_DIED if its
 * isolate has ended; TIMED_OUT; FAILED if it threw; DEADLOCK on the thread of its isolate; ENDING
 * if this thread runs an isolate of Insula that is ending. */
insula_status insula_dart_callback_call(uintptr_t callback, const insula_value *argument,
                                        uint64_t timeout_ns, insula_done_fn done, void *user);

/* Calls a ListenerCallback, or a BlockingCallback, and does not wait.
 *
 * Errors: BAD_HANDLE if the callback is closed; CLOSED if its isolate has ended. */
insula_status insula_dart_callback_notify(uintptr_t callback, const insula_value *argument);

#ifdef __cplusplus
}
#endif

#endif
