/* What libinsula_dart offers to native code beside insula.h: messages to Dart ports, and
 * callbacks into Dart isolates. All of it may be called from any thread.
 *
 * The numbers of callbacks come from Dart (`BlockingCallback.address`,
 * `ListenerCallback.address`), those of ports too (`SendPort.nativePort`). */
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

/* Opens a port of Insula whose messages go on to a Dart port, in their order. Close it with
 * insula_port_close: what was posted before still arrives. */
insula_status insula_dart_port_open(int64_t dart_port, insula_port *port);

/* Calls a BlockingCallback, and waits for the answer of its isolate for at most timeout_ns
 * (INSULA_FOREVER for ever). `done` gets it before this returns, while the calling thread waits,
 * on the thread of the isolate: with the status 0 and the answer, or with a status and a text.
 *
 * Errors: BAD_HANDLE if the callback is closed; CLOSED if it was closed meanwhile; PEER_DIED if
 * its isolate has ended; TIMED_OUT; FAILED if it threw; DEADLOCK on the thread of its isolate. */
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
