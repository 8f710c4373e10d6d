/*
 * Insula: isolates for C and C++. Generated from the sources by cbindgen; do not edit.
 *
 * An isolate is state that no other isolate can reach, with an event loop. Its code is your
 * callbacks: the runtime calls them one at a time, on any of its threads (or always on the same
 * one: INSULA_SPAWN_PINNED). Isolates communicate through ports.
 *
 * Errors. Every function that can fail returns a status: INSULA_OK, or one of INSULA_ERROR_...
 * A function that fails has done nothing. insula_last_error returns a text about the last
 * failure on the thread. Every invalid handle or number and every null pointer leads to a status.
 * The library cannot check that a pointer points to what its type says, is valid for as many
 * elements as the length beside it says, and ends with a zero byte where it is a
 * `const char *` without a length.
 *
 * Handles are numbers. A handle is valid as long as its object exists, and never again after
 * that: a stale handle is refused, and never leads to a newer object. 0 is not a handle. Handles
 * may be used on every thread, and copied like any number. Where a function says that a handle is
 * to be released, release it once.
 *
 * Ownership. The arguments of a function belong to the caller again when it returns, except for
 * external data and native pointers in messages (see insula_post) and for `user`: the data of a
 * callback is kept until `free_user`, which may be null, is called with it, once, when the
 * callback is not running and never will be again. If the function that takes `user` fails,
 * `free_user` is not called: a function that fails has moved nothing and freed nothing, except
 * in the cases that insula_callback_call and insula_service_call_blocking name. The arguments of
 * a callback are valid until it returns.
 *
 * Threads. Every function may be called on every thread, unless it says otherwise. Callbacks
 * of one isolate never run at the same time; those of native ports and services do, and notify
 * and free callbacks and finalizers run on any thread. No lock of the library is held during a
 * callback, so it may call every function; those that would wait for the callback itself
 * return INSULA_ERROR_DEADLOCK. A callback must return normally: a C++ exception that leaves it
 * ends the process, as does pthread_exit in it, and longjmp out of it is undefined. Do not cancel
 * (pthread_cancel) a thread that may be inside the library. A thread that is ending may call
 * every function, in destructors of pthread_key and at exit; but it cannot have root isolates any
 * more, and insula_last_error is empty there.
 *
 * Signals. Only insula_signal_raise, insula_abi_version and insula_status_text may be called in a
 * signal handler; any other function may take a lock that the interrupted code holds. A handler
 * that wants to post raises a signal instead (insula_signal_open), which posts a number for it.
 *
 * Start and shutdown. Call insula_init first, once. All functions except the few that say
 * otherwise return INSULA_ERROR_NOT_STARTED before it, and INSULA_ERROR_SHUT_DOWN as soon as
 * insula_shut_down has begun. When insula_shut_down has returned INSULA_OK, no thread is in a
 * callback, and every finalizer and free callback has been called.
 *
 * Fork. In a child that was forked from a process in which insula_init has been called, every
 * function returns INSULA_ERROR_FORKED and touches nothing; call exec. Functions that cannot
 * fail work as before. The library installs no signal handler.
 *
 * Layout. All structures consist of fixed-width numbers and pointers. Those that may grow begin
 * with their size. insula_init compares the sizes with those of the library.
 */

#ifndef INSULA_H
#define INSULA_H


#include <stdint.h>
#include <stddef.h>

// Success.
#define INSULA_OK 0

// A required pointer is null.
#define INSULA_ERROR_NULL_POINTER 1

// The number is not a handle and never was one.
#define INSULA_ERROR_BAD_HANDLE 2

// The handle's object has been closed or released, or has ended.
#define INSULA_ERROR_STALE_HANDLE 3

// The handle is of another type.
#define INSULA_ERROR_WRONG_TYPE 4

// The length is more than memory can hold, or is not a multiple of the element size.
#define INSULA_ERROR_BAD_LENGTH 5

// The text is not UTF-8.
#define INSULA_ERROR_BAD_UTF8 6

// The number is not one of those allowed here, or the pointer is not aligned.
#define INSULA_ERROR_BAD_VALUE 7

// The value is nested too deeply, or has too many parts.
#define INSULA_ERROR_TOO_DEEP 8

// `insula_init` has not been called.
#define INSULA_ERROR_NOT_STARTED 9

// `insula_shut_down` has been called.
#define INSULA_ERROR_SHUT_DOWN 10

// The runtime is running already.
#define INSULA_ERROR_ALREADY_STARTED 11

// This process was forked from the process that started the runtime.
#define INSULA_ERROR_FORKED 12

// The object is closed, or its isolate has ended. Nothing has moved.
#define INSULA_ERROR_CLOSED 13

// There is no room now.
#define INSULA_ERROR_FULL 14

// There is nothing to take now.
#define INSULA_ERROR_EMPTY 15

// The time-out has passed.
#define INSULA_ERROR_TIMED_OUT 16

// No isolate runs on this thread.
#define INSULA_ERROR_NO_ISOLATE 17

// Only the isolate that created the object may do this.
#define INSULA_ERROR_WRONG_ISOLATE 18

// Only the thread that created the object may do this.
#define INSULA_ERROR_WRONG_THREAD 19

// The wait would never end.
#define INSULA_ERROR_DEADLOCK 20

// The object is in use further up on this thread's stack.
#define INSULA_ERROR_IN_USE 21

// The peer that was to answer has ended.
#define INSULA_ERROR_PEER_DIED 22

// The callee rejected the call: its queue is full, or it shuts down.
#define INSULA_ERROR_REJECTED 23

// The operation was cancelled.
#define INSULA_ERROR_CANCELLED 24

// The callee's own code failed, and supplied the text.
#define INSULA_ERROR_FAILED 25

// The isolate is ending: return from the callback.
#define INSULA_ERROR_ENDING 26

// The operating system, or a table of the library, has no room.
#define INSULA_ERROR_OUT_OF_RESOURCES 27

// Header and library do not match.
#define INSULA_ERROR_VERSION 28

// The object's state does not allow this.
#define INSULA_ERROR_BAD_STATE 29

// The name is taken.
#define INSULA_ERROR_NAME_TAKEN 30

// There is no object of this name, or no such data.
#define INSULA_ERROR_NOT_FOUND 31

// A value of this kind cannot be sent.
#define INSULA_ERROR_UNSUPPORTED 32

// A fault of the library. No panic crossed the border; the text describes it.
#define INSULA_ERROR_INTERNAL 33

// The version that header and library must agree on.
#define INSULA_ABI_VERSION 1

// A time-out without a limit.
#define INSULA_FOREVER UINT64_MAX

// No content.
#define INSULA_KIND_NULL 0

// `integer` is 0 or 1.
#define INSULA_KIND_BOOL 1

// `integer`, which must fit 32 bits.
#define INSULA_KIND_INT32 2

// `integer`.
#define INSULA_KIND_INT64 3

// `real`.
#define INSULA_KIND_DOUBLE 4

// UTF-8 at `data`, of `length` bytes. Copied when sent; the receiver's copy ends with a zero byte,
// which `length` does not count.
#define INSULA_KIND_STRING 5

// `length` values at `data`.
#define INSULA_KIND_ARRAY 6

// `length` bytes at `data`, elements of type `element`. Copied when sent; the copy's address is a
// multiple of 16.
#define INSULA_KIND_TYPED_DATA 7

// `length` bytes at `data`, elements of type `element`, which move when sent: `finalizer` is
// called with `peer`, once, when they are no longer needed.
#define INSULA_KIND_EXTERNAL_TYPED_DATA 8

// `integer` is a port.
#define INSULA_KIND_SEND_PORT 9

// `integer` is a capability.
#define INSULA_KIND_CAPABILITY 10

// The address `data`, of something of `length` bytes. The receiver owns it; `finalizer`, which may
// be null, is called with `data` if it is never delivered.
#define INSULA_KIND_NATIVE_POINTER 11

// A value that could not be converted. It cannot be sent.
#define INSULA_KIND_UNSUPPORTED 12

// Like `INSULA_KIND_EXTERNAL_TYPED_DATA`, but the data must not be written to.
#define INSULA_KIND_UNMODIFIABLE_EXTERNAL_TYPED_DATA 13

// The number of kinds.
#define INSULA_KIND_COUNT 14

// Untyped bytes.
#define INSULA_ELEMENT_BYTES 0

// `int8_t`.
#define INSULA_ELEMENT_INT8 1

// `uint8_t`.
#define INSULA_ELEMENT_UINT8 2

// `uint8_t`; larger and smaller numbers are clamped.
#define INSULA_ELEMENT_UINT8_CLAMPED 3

// `int16_t`.
#define INSULA_ELEMENT_INT16 4

// `uint16_t`.
#define INSULA_ELEMENT_UINT16 5

// `int32_t`.
#define INSULA_ELEMENT_INT32 6

// `uint32_t`.
#define INSULA_ELEMENT_UINT32 7

// `int64_t`.
#define INSULA_ELEMENT_INT64 8

// `uint64_t`.
#define INSULA_ELEMENT_UINT64 9

// `float`.
#define INSULA_ELEMENT_FLOAT32 10

// `double`.
#define INSULA_ELEMENT_FLOAT64 11

// Four `int32_t`.
#define INSULA_ELEMENT_INT32X4 12

// Four `float`.
#define INSULA_ELEMENT_FLOAT32X4 13

// Two `double`.
#define INSULA_ELEMENT_FLOAT64X2 14

// The number of element types.
#define INSULA_ELEMENT_COUNT 15

// Threads without work park at once, without the usual search of 20 us. This is better where other
// threads bring most of the work, one piece at a time, and wait for each answer.
#define INSULA_INIT_PARK_AT_ONCE 1

// The isolate is paused before its entry, until `insula_isolate_resume` with capability 0.
#define INSULA_SPAWN_PAUSED 1

// An uncaught error does not end the isolate.
#define INSULA_SPAWN_ERRORS_NOT_FATAL 2

// The isolate has a thread of its own, on which all of its callbacks run.
#define INSULA_SPAWN_PINNED 4

// The port does not keep its isolate alive.
#define INSULA_PORT_WEAK 1

// At the next interrupt check, even in the middle of an event: `insula_checkpoint`.
#define INSULA_PRIORITY_IMMEDIATE 0

// When the current event is done, before all queued events.
#define INSULA_PRIORITY_BEFORE_NEXT_EVENT 1

// After all queued events.
#define INSULA_PRIORITY_AS_EVENT 2

// Any thread may call it, and does not wait; the callback runs later, as an event of the isolate.
#define INSULA_CALLBACK_LISTENER 0

// Any thread may call it, and waits for the isolate's answer.
#define INSULA_CALLBACK_BLOCKING 1

// Only code of the isolate may call it; it runs at once.
#define INSULA_CALLBACK_ISOLATE_LOCAL 2

// Any thread may call it; it runs at once on the calling thread, possibly on several threads at
// the same time, and is not code of the isolate.
#define INSULA_CALLBACK_GROUP_BOUND 3

// No request, and no response.
#define INSULA_RENDEZVOUS_NONE 0

// A request has not been answered.
#define INSULA_RENDEZVOUS_REQUEST 1

// A response has not been taken.
#define INSULA_RENDEZVOUS_RESPONSE 2

// Nothing was left that could wake the isolate.
#define INSULA_EXIT_FINISHED 0

// The isolate called `insula_exit`.
#define INSULA_EXIT_EXITED 1

// The isolate was killed, or the runtime was shut down.
#define INSULA_EXIT_KILLED 2

// An uncaught error ended the isolate.
#define INSULA_EXIT_FAILED 3

// Nothing is queued; `notify` is called when there is.
#define INSULA_ROOT_IDLE 0

// There may be more to do: call again.
#define INSULA_ROOT_MORE 1

// The isolate is paused; `notify` is called when there is something to do.
#define INSULA_ROOT_PAUSED 2

// The isolate has ended.
#define INSULA_ROOT_EXITED 3

// The runtime has not been started.
#define INSULA_PHASE_NOT_STARTED 0

// The runtime is running.
#define INSULA_PHASE_RUNNING 1

// The runtime is shutting down, or a shutdown timed out.
#define INSULA_PHASE_STOPPING 2

// The runtime has been shut down.
#define INSULA_PHASE_STOPPED 3

// Calls for which the queue has no room are rejected, and do not wait for room.
#define INSULA_SERVICE_REJECT_WHEN_FULL 1

// The result of a function: `INSULA_OK`, or the reason why it did nothing.
typedef int32_t insula_status;

// The settings of the runtime. Initialize it with `INSULA_CONFIG_INIT`.
typedef struct {
    // `sizeof(insula_config)`.
    uint32_t size;
    // `INSULA_ABI_VERSION`.
    uint32_t abi_version;
    // `sizeof(insula_value)`.
    uint32_t value_size;
    // `sizeof(insula_spawn_options)`.
    uint32_t spawn_options_size;
    // `sizeof(insula_status_info)`.
    uint32_t status_info_size;
    // `sizeof(insula_service_options)`.
    uint32_t service_options_size;
    // `sizeof(insula_buffer)`.
    uint32_t buffer_size;
    // The number of threads that run isolates at a time; 0 for one per core. Larger numbers than
    // 65,536 count as 65,536.
    uint32_t threads;
    // The number of threads that may be added while others are blocked; 0 for 256. Larger numbers
    // than 65,536 count as 65,536.
    uint32_t spare_threads;
    // `INSULA_INIT_PARK_AT_ONCE`, or 0.
    uint32_t flags;
    // The stack size in bytes of the threads that run isolates, including pinned ones; 0 for 2
    // MiB, or the value of the environment variable `RUST_MIN_STACK`. Less than 64 KiB counts as
    // 64 KiB; more than 1 GiB is a `BAD_VALUE`. A stack overflow aborts the process.
    uint64_t stack_size;
    // The prefix of the threads' names; null for `insula`.
    const char *name;
} insula_config;

// A snapshot of the library.
typedef struct {
    // `sizeof(insula_status_info)`, set by the caller.
    uint32_t size;
    // One of `INSULA_PHASE_`...
    uint32_t phase;
    // The number of isolates that have not ended.
    uint64_t isolates;
    // The number of threads that the pool has started so far.
    uint64_t threads;
    // The number of handles that have not been closed.
    uint64_t handles;
    // The number of registered callbacks that have not been freed.
    uint64_t callbacks;
    // The number of external data values whose finalizer has not run.
    uint64_t external_values;
    // The number of messages that were accepted so far.
    uint64_t posts;
} insula_status_info;

// Receives an uncaught error that no listener gets; both texts end with a zero byte.
typedef void (*insula_error_fn)(void *user, const char *isolate, const char *text);

// Frees the data of a callback. Called once, when the callback will never be called again.
typedef void (*insula_free_fn)(void *user);

// The address of a port, of an isolate's or a native one. 0 is none.
typedef uint64_t insula_port;

// The settings of an isolate. Initialize it with `INSULA_SPAWN_OPTIONS_INIT`.
typedef struct {
    // `sizeof(insula_spawn_options)`.
    uint32_t size;
    // A sum of `INSULA_SPAWN_`...
    uint32_t flags;
    // The name for reports; null for a number.
    const char *name;
    // A port that receives `[reason, text]` when the isolate has ended; 0 for none. It must be a
    // port of an isolate: a native one is a `WRONG_TYPE`.
    insula_port on_exit;
    // A port of the spawning isolate that receives `[text, place, name, is fatal]` for every
    // uncaught error; 0 for none.
    insula_port on_error;
} insula_spawn_options;

// Frees what belongs to a pointer. Called on any thread.
typedef void (*insula_finalizer_fn)(void *peer);

// A message, or a part of one. `kind` determines which of the other fields are used.
typedef struct {
    // One of `INSULA_KIND_`...
    uint32_t kind;
    // One of `INSULA_ELEMENT_`..., for typed data.
    uint32_t element;
    // A number, a boolean, a port or a capability.
    int64_t integer;
    // A floating-point number.
    double real;
    // The number of bytes at `data`; for an array, of values.
    uint64_t length;
    // Text, bytes, values, or an address.
    const void *data;
    // The argument of `finalizer`, for external typed data.
    void *peer;
    // Called when the data is no longer needed.
    insula_finalizer_fn finalizer;
} insula_value;

// The entry of an isolate, which is its first event. A result other than 0 is an uncaught error;
// `insula_throw` before the return gives it a text.
typedef int32_t (*insula_entry_fn)(void *user, const insula_value *message);

// An isolate. 0 is none.
typedef uint64_t insula_isolate;

// A token that equals no other one; it also takes back a pause. 0 is none.
typedef uint64_t insula_capability;

// Handles the messages of a port. The message is valid until it returns.
typedef void (*insula_message_fn)(void *user, insula_port port, const insula_value *message);

// A timer. 0 is none.
typedef uint64_t insula_timer;

// Called when a timer is due; `tick` counts the periods that have passed.
typedef void (*insula_timer_fn)(void *user, insula_timer timer, uint64_t tick);

// A function that gets only `user`.
typedef void (*insula_task_fn)(void *user);

// An isolate that a thread of the program drives. 0 is none.
typedef uint64_t insula_root;

// Bytes that the library holds for its caller. 0 is none.
typedef uint64_t insula_buffer_handle;

// A party of a mailbox. 0 is none.
typedef uint64_t insula_mailbox;

// Bytes that the library holds for its caller, valid until `insula_buffer_free`.
typedef struct {
    // The handle for `insula_buffer_free`.
    insula_buffer_handle handle;
    // The number of bytes.
    uint64_t length;
    // The bytes, at an address that is a multiple of 16. Not null.
    const uint8_t *bytes;
} insula_buffer;

// The requesting side of a rendezvous. 0 is none.
typedef uint64_t insula_requester;

// The responding side of a rendezvous. 0 is none.
typedef uint64_t insula_responder;

// Handles the requests of a message loop: it answers with `insula_responder_respond` before it
// returns, otherwise the request is declined.
typedef void (*insula_request_fn)(void *user,
                                  insula_responder responder,
                                  const uint8_t *bytes,
                                  uint64_t length);

// A lock. 0 is none.
typedef uint64_t insula_mutex;

// A condition variable. 0 is none.
typedef uint64_t insula_condition;

// A callback into an isolate. 0 is none.
typedef uint64_t insula_callback;

// The function of a callback; it answers with `insula_reply`.
typedef void (*insula_callback_fn)(void *user,
                                   insula_callback callback,
                                   const insula_value *arguments);

// Receives the answer of a callback.
typedef void (*insula_result_fn)(void *user, const insula_value *result);

// The settings of a service. Initialize it with `INSULA_SERVICE_OPTIONS_INIT`.
typedef struct {
    // `sizeof(insula_service_options)`.
    uint32_t size;
    // A sum of `INSULA_SERVICE_`...
    uint32_t flags;
    // The number of requests that are answered at once, at most 65,536; 0 for one per core.
    uint32_t workers;
    // The number of calls that may wait; 0 for 1,024.
    uint32_t queue;
    // The name by which others find the service; null for none.
    const char *name;
} insula_service_options;

// Answers the requests of a service, with `insula_reply` or `insula_fail`.
typedef void (*insula_service_fn)(void *user, const insula_value *request);

// A service on a pool of workers. 0 is none.
typedef uint64_t insula_service;

// Called at the end of a call. `reply` is the answer, or the text of the error; `may_have_run` is
// 0 if the service has certainly not begun with the call.
typedef void (*insula_done_fn)(void *user,
                               insula_status status,
                               uint32_t may_have_run,
                               const insula_value *reply);

// A call of a service that has no answer yet. 0 is none.
typedef uint64_t insula_call;

// A signal, which a signal handler raises to wake a port. 0 is none.
typedef uint64_t insula_signal;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Returns the version of the library. May be called at any time.
uint32_t insula_abi_version(void);

// Returns a description of a status. It is never null, and valid forever. May be called at any
// time.
const char *insula_status_text(insula_status status);

// Returns the error text of the last call on this thread that failed. It is never null, empty if
// no call has failed, and valid until the next call on this thread that fails. May be called at
// any time.
const char *insula_last_error(void);

// Starts the runtime, after a check that header and library match.
//
// Errors: `VERSION`; `ALREADY_STARTED`, also while a shutdown is under way; `BAD_VALUE` for
// unknown flags and a stack size out of bounds; `OUT_OF_RESOURCES` if no thread can be started.
insula_status insula_init(const insula_config *config);

// Ends everything: closes all handles, kills all isolates, and waits until they have ended and no
// callback runs or will run again. After that the runtime may be started again.
//
// The root isolates of this thread end here. The threads of the others are notified and have to
// handle that (`insula_root_handle_message`), or close their root isolates.
//
// Errors: `TIMED_OUT` if something has not ended after `timeout_ns`; another call continues the
// wait. `DEADLOCK` inside an isolate or a callback. `NOT_STARTED`, `SHUT_DOWN`.
//
// Several threads may shut down at the same time; each returns when this runtime has ended, and
// ends nothing that was started since.
insula_status insula_shut_down(uint64_t timeout_ns);

// Writes a snapshot of the library to `info`. May be called at any time.
insula_status insula_inspect(insula_status_info *info);

// Sets the function that receives uncaught errors which no listener gets, on the thread where they
// happen. With a null `function` they are written to the standard error stream again. `free_user`
// is called when another function replaces this one, or at the shutdown.
insula_status insula_set_error_hook(insula_error_fn function, void *user, insula_free_fn free_user);

// Starts an isolate. `entry` is its first event, with `message`, which moves as with
// `insula_post`; null is the value null. The isolate lives until nothing is left that could wake
// it (an open port, a timer), or until it is killed, exits, or has a fatal error. `options` may be
// null. `isolate` may be null; otherwise it receives a handle, to be released with
// `insula_isolate_release`. The handle is written before the entry can begin, and is 0 if the
// function fails.
//
// `free_user` is called when the entry has returned, or if it will never be called. If the
// function fails, `free_user` is not called, and everything is still the caller's.
//
// Errors: those of `insula_post` for the message; `OUT_OF_RESOURCES`.
insula_status insula_spawn(const insula_spawn_options *options,
                           insula_entry_fn entry,
                           void *user,
                           insula_free_fn free_user,
                           const insula_value *message,
                           insula_isolate *isolate);

// Returns a handle to the isolate whose code runs on this thread. Release it with
// `insula_isolate_release`.
//
// Errors: `NO_ISOLATE`.
insula_status insula_isolate_current(insula_isolate *isolate);

// Releases a handle to an isolate. The isolate does not need it.
insula_status insula_isolate_release(insula_isolate isolate);

// Copies the isolate's name into `buffer`, cut to `capacity` bytes including a zero byte at the
// end. `length` receives the full length without the zero byte. Both `buffer` and `length` may be
// null.
insula_status insula_isolate_name(insula_isolate isolate,
                                  char *buffer,
                                  uint64_t capacity,
                                  uint64_t *length);

// Waits for the end of an isolate. `reason` receives one of `INSULA_EXIT_`..., and `buffer` the
// text of the reason, cut to `capacity` bytes; both may be null.
//
// Errors: `TIMED_OUT`; `DEADLOCK` if the isolate waits, maybe through others, for the current one.
insula_status insula_isolate_wait(insula_isolate isolate,
                                  uint64_t timeout_ns,
                                  uint32_t *reason,
                                  char *buffer,
                                  uint64_t capacity);

// Kills an isolate, at the time that `priority` selects: one of `INSULA_PRIORITY_`... A callback
// that neither returns nor calls `insula_checkpoint` cannot be stopped.
insula_status insula_isolate_kill(insula_isolate isolate, uint32_t priority);

// Pauses an isolate after its current event, until `capability` is passed to
// `insula_isolate_resume`. Several pauses nest. Release the capability with
// `insula_capability_release`.
insula_status insula_isolate_pause(insula_isolate isolate, insula_capability *capability);

// Takes back one pause; 0 stands for that of `INSULA_SPAWN_PAUSED`. A capability that does not
// pause the isolate has no effect.
insula_status insula_isolate_resume(insula_isolate isolate, insula_capability capability);

// Pings an isolate: `port` receives `response`, at the time that `priority` selects; never, if the
// isolate has ended. A null `response` is the value null.
//
// Errors: `WRONG_TYPE` if `port` is a native port.
insula_status insula_isolate_ping(insula_isolate isolate,
                                  insula_port port,
                                  const insula_value *response,
                                  uint32_t priority);

// Sets whether an uncaught error ends the isolate; initially it does.
insula_status insula_isolate_set_errors_fatal(insula_isolate isolate, uint32_t are_fatal);

// Adds an exit listener. When the isolate has ended, `port` receives `response`, or
// `[reason, text]` if that is null, after everything that the isolate posted; at once, if the
// isolate has ended already.
//
// Errors: `WRONG_TYPE` if `port` is a native port.
insula_status insula_isolate_add_exit_listener(insula_isolate isolate,
                                               insula_port port,
                                               const insula_value *response);

// Removes an exit listener.
insula_status insula_isolate_remove_exit_listener(insula_isolate isolate, insula_port port);

// Adds a port of the current isolate as an error listener. It receives every uncaught error of
// `isolate` as `[text, place or null, name, is fatal]`, in order with that isolate's messages.
//
// Errors: `NO_ISOLATE`; `WRONG_ISOLATE` if the port belongs to another isolate; `WRONG_TYPE` if it
// is a native port.
insula_status insula_isolate_add_error_listener(insula_isolate isolate, insula_port port);

// Removes an error listener.
insula_status insula_isolate_remove_error_listener(insula_isolate isolate, insula_port port);

// Opens a port of the current isolate: `function` is called for each message, as an event of its
// own.
//
// If `limit` is not 0, the port has room for that many messages which are posted and not yet
// handled. `flags` is 0 or `INSULA_PORT_WEAK`. The port is open until `insula_port_close`, or
// until its isolate ends; then `free_user` is called, on a thread of the isolate.
//
// Errors: `NO_ISOLATE`.
insula_status insula_port_open(uint64_t limit,
                               uint32_t flags,
                               insula_message_fn function,
                               void *user,
                               insula_free_fn free_user,
                               insula_port *port);

// Opens a native port: `function` is called for each message, on one of the port's own threads,
// for at most `max_concurrent` messages at once, and may block. Messages start in the order in
// which they were posted. `free_user` is called after the last message.
insula_status insula_native_port_open(const char *name,
                                      uint32_t max_concurrent,
                                      insula_message_fn function,
                                      void *user,
                                      insula_free_fn free_user,
                                      insula_port *port);

// Closes a port of the current isolate, or, from any thread, a native port.
//
// Messages that are queued at an isolate's port are dropped; those at a native port are still
// handled. Later posts fail.
//
// Errors: `NO_ISOLATE`, `WRONG_ISOLATE`, `STALE_HANDLE` if it is closed already.
insula_status insula_port_close(insula_port port);

// Posts a message to a port, from any thread. Never waits.
//
// Texts, typed data and arrays are copied; external data moves. If the function succeeds, every
// finalizer of external data in the message will be called exactly once. If it fails, nothing has
// moved, no finalizer has been or will be called, and everything is still the caller's.
//
// Messages of one thread to one isolate arrive in the order in which they were posted, even across
// several ports.
//
// Errors: `CLOSED` or `STALE_HANDLE` if the port is closed, `FULL`; for the message
// `NULL_POINTER`, `BAD_LENGTH`, `BAD_UTF8`, `BAD_VALUE`, `TOO_DEEP`, `UNSUPPORTED`.
insula_status insula_post(insula_port port, const insula_value *message);

// Like `insula_post`, for a number.
insula_status insula_post_int64(insula_port port, int64_t number);

// Takes over external data of the message that this thread is handling: the caller has to call its
// finalizer, once. `value` is the message or a part of it.
//
// Errors: `NOT_FOUND` if it is not external data of that message, or was taken before.
insula_status insula_value_take(const insula_value *value);

// Creates a capability: a token that equals no other one. Its handle is stale after
// `insula_capability_release`, and still equals itself.
insula_status insula_capability_new(insula_capability *capability);

// Releases a capability.
insula_status insula_capability_release(insula_capability capability);

// Starts a timer of the current isolate. With a `period_ns` of 0 it fires once, after `delay_ns`;
// otherwise it fires periodically, first after one period, and `delay_ns` has to be 0. A timer
// never fires early; a timer without delay is ordered with the messages. A pending timer keeps its
// isolate alive. `timer` may be null. The handle is stale once the timer has fired for the last
// time; `free_user` is called after that, or when the timer is cancelled, or at the end of the
// isolate.
//
// Errors: `NO_ISOLATE`, `BAD_VALUE`.
insula_status insula_timer_start(uint64_t delay_ns,
                                 uint64_t period_ns,
                                 insula_timer_fn function,
                                 void *user,
                                 insula_free_fn free_user,
                                 insula_timer *timer);

// Cancels a timer of the current isolate: its function will not be called.
//
// Errors: `STALE_HANDLE` if it was cancelled or has fired; `NO_ISOLATE`, `WRONG_ISOLATE`.
insula_status insula_timer_cancel(insula_timer timer);

// Runs a function in the current isolate after the current event, before the next one.
//
// Errors: `NO_ISOLATE`.
insula_status insula_microtask(insula_task_fn function, void *user, insula_free_fn free_user);

// Raises an uncaught error in the current isolate as soon as the current callback returns. `text`
// may be null.
//
// Errors: `NO_ISOLATE`.
insula_status insula_throw(const char *text);

// Ends the current isolate as soon as the current callback returns; no other code of the isolate
// runs after that. Posts `message` to `port` before it returns, unless `port` is 0.
//
// Errors: `NO_ISOLATE`, and those of `insula_post`; after an error the isolate continues.
insula_status insula_exit(insula_port port, const insula_value *message);

// An interrupt check for callbacks that compute for a long time: handles pauses, pings and kills
// that have arrived. A callback goes on only while this returns `INSULA_OK`.
//
// Errors: `ENDING` if the isolate is ending, because it was killed or the runtime shuts down, at
// each check from then on. In a function of a service also `CANCELLED` if the answer is no longer
// needed, and `TIMED_OUT` if the deadline of the call has passed. Outside of isolates only
// `SHUT_DOWN` once the runtime shuts down, and `NOT_STARTED`.
insula_status insula_checkpoint(void);

// Calls a function that may block, on this thread, and lets another thread take this thread's
// place in the pool meanwhile.
insula_status insula_blocking(insula_task_fn function, void *user);

// Creates an isolate that this thread drives. `notify` is called, on any thread, when there is
// something to do: it must not block, and has to make this thread call
// `insula_root_handle_message`. The isolate does nothing until it is entered.
insula_status insula_root_create(const char *name,
                                 insula_task_fn notify,
                                 void *user,
                                 insula_free_fn free_user,
                                 insula_root *root);

// Returns a handle to the root isolate as an isolate. Release it with `insula_isolate_release`.
insula_status insula_root_isolate(insula_root root, insula_isolate *isolate);

// Calls a function as code of the root isolate, for example to open ports and start timers.
//
// Errors: `WRONG_THREAD`; `IN_USE` if the thread runs an isolate already; `ENDING` if the root
// isolate has ended, was killed, or is ended by the function.
insula_status insula_root_enter(insula_root root, insula_task_fn function, void *user);

// Handles the control messages that have arrived, then one message and its microtasks. `state`
// receives one of `INSULA_ROOT_`..., and may be null.
//
// Errors: `WRONG_THREAD`, `IN_USE`.
insula_status insula_root_handle_message(insula_root root, uint32_t *state);

// Runs the root isolate's event loop on this thread until nothing is left that could wake it, or
// it ends in another way, and closes it. `reason` receives one of `INSULA_EXIT_`..., and may be
// null.
//
// Errors: `WRONG_THREAD`, `IN_USE`.
insula_status insula_root_run(insula_root root, uint32_t *reason);

// Ends the root isolate at once, and all isolates of its group.
//
// Errors: `WRONG_THREAD`, `IN_USE`, `STALE_HANDLE` if it is closed already.
insula_status insula_root_close(insula_root root);

// Frees the bytes of a buffer.
insula_status insula_buffer_free(insula_buffer_handle buffer);

// Creates a mailbox: a slot for one message of bytes. Release it with `insula_mailbox_release`.
insula_status insula_mailbox_new(insula_mailbox *mailbox);

// Returns a handle to the same mailbox for another party, to be released as well. When all handles
// but one are released, the waits of the last party end with `PEER_DIED`. Releasing the last
// handle closes the mailbox.
insula_status insula_mailbox_share(insula_mailbox mailbox, insula_mailbox *other);

// Puts a copy of bytes into a mailbox, as soon as the mailbox is empty. With a `timeout_ns` of 0
// it only tries.
//
// Errors: `FULL` (of a try), `TIMED_OUT`, `CLOSED`, `PEER_DIED`, `DEADLOCK`, `ENDING`.
insula_status insula_mailbox_put(insula_mailbox mailbox,
                                 const uint8_t *message,
                                 uint64_t length,
                                 uint64_t timeout_ns);

// Takes bytes out of a mailbox, as soon as there are any. With a `timeout_ns` of 0 it only tries.
// Free the buffer with `insula_buffer_free`.
//
// Errors: `EMPTY` (of a try), `TIMED_OUT`, `CLOSED`, `PEER_DIED`, `DEADLOCK`, `ENDING`.
insula_status insula_mailbox_take(insula_mailbox mailbox,
                                  uint64_t timeout_ns,
                                  insula_buffer *message);

// Makes the current isolate the owner of this handle: if the isolate ends, waits for its party end
// with `PEER_DIED`.
insula_status insula_mailbox_attach(insula_mailbox mailbox);

// Closes a mailbox for all parties: its content is dropped, and waits end with `CLOSED`.
insula_status insula_mailbox_close(insula_mailbox mailbox);

// Releases a handle to a mailbox. Releasing the last one closes the mailbox: waits end with
// `CLOSED`.
insula_status insula_mailbox_release(insula_mailbox mailbox);

// Creates the two sides of a rendezvous: the requester asks and waits, the responder answers.
// Release both with `insula_rendezvous_release`. A side gets `PEER_DIED` once the opposite side is
// released, or the isolate that it is attached to has ended.
insula_status insula_rendezvous_new(insula_requester *requester, insula_responder *responder);

// Sends a copy of bytes as a request, and waits for the response. Free the buffer with
// `insula_buffer_free`.
//
// Errors: `BAD_STATE` if a request is under way; `TIMED_OUT`; `CLOSED`; `PEER_DIED`; `FAILED` if
// the request was declined; `DEADLOCK`; `ENDING`.
insula_status insula_requester_request(insula_requester requester,
                                       const uint8_t *request,
                                       uint64_t length,
                                       uint64_t timeout_ns,
                                       insula_buffer *answer);

// Waits for a request, which has to be answered or declined. With a `timeout_ns` of 0 it only
// tries. Free the buffer with `insula_buffer_free`.
//
// Errors: `BAD_STATE` if a request has not been answered; `EMPTY` (of a try), `TIMED_OUT`,
// `CLOSED`, `PEER_DIED`, `DEADLOCK`, `ENDING`.
insula_status insula_responder_receive(insula_responder responder,
                                       uint64_t timeout_ns,
                                       insula_buffer *request);

// Answers the request with a copy of bytes.
//
// Errors: `BAD_STATE` if there is no request; `CANCELLED` if the requester no longer waits;
// `CLOSED`, `PEER_DIED`.
insula_status insula_responder_respond(insula_responder responder,
                                       const uint8_t *response,
                                       uint64_t length);

// Declines the request: the requester gets `FAILED`.
//
// Errors: `BAD_STATE` if there is no request.
insula_status insula_responder_decline(insula_responder responder);

// Waits for requests, and calls `function` for each, which answers it with
// `insula_responder_respond`, until `insula_responder_stop`. A request that it does not answer is
// declined.
//
// Errors: those of `insula_responder_receive`.
insula_status insula_responder_message_loop(insula_responder responder,
                                            insula_request_fn function,
                                            void *user);

// Ends the message loop after its current request, or at once if it waits. If no loop runs, the
// next one ends at once.
insula_status insula_responder_stop(insula_responder responder);

// Writes the state of a rendezvous to `state`, one of `INSULA_RENDEZVOUS_`... `side` is either
// side.
insula_status insula_rendezvous_state(uint64_t side, uint32_t *state);

// Makes the current isolate the owner of this side: if the isolate ends, the opposite side gets
// `PEER_DIED`.
insula_status insula_rendezvous_attach(uint64_t side);

// Closes a rendezvous for both sides: waits end with `CLOSED`.
insula_status insula_rendezvous_close(uint64_t side);

// Releases the handle of a side.
insula_status insula_rendezvous_release(uint64_t side);

// Creates a lock, which is not recursive. Release it with `insula_mutex_release`.
insula_status insula_mutex_new(insula_mutex *mutex);

// Acquires a lock. With a `timeout_ns` of 0 it only tries.
//
// Errors: `TIMED_OUT`; `DEADLOCK` if this thread holds the lock already, or isolates would wait
// for each other in a cycle; `ENDING`; `CLOSED` if its handle is released or the runtime is shut
// down meanwhile; `PEER_DIED` if the isolate or thread that held the lock ended without unlocking
// it, from then on until `insula_mutex_recover`. The lock is not held after any of them.
insula_status insula_mutex_lock(insula_mutex mutex, uint64_t timeout_ns);

// Unlocks a lock.
//
// Errors: `BAD_STATE` if the caller does not hold it.
insula_status insula_mutex_unlock(insula_mutex mutex);

// Makes a lock usable again that returned `PEER_DIED`: nothing holds it. The data that it
// protects may be inconsistent; repair it first, because others can acquire the lock when this
// returns.
//
// Errors: `BAD_STATE` if there is nothing to recover: the lock is free, held, closed, or has been
// recovered. Of several callers one succeeds.
insula_status insula_mutex_recover(insula_mutex mutex);

// Releases the handle of a lock. Waits for the lock end with `CLOSED`.
insula_status insula_mutex_release(insula_mutex mutex);

// Creates a condition variable. Release it with `insula_condition_release`.
insula_status insula_condition_new(insula_condition *condition);

// Unlocks a lock, waits for a notification, and acquires the lock again. Wake-ups may be spurious,
// so check the condition.
//
// Errors: `TIMED_OUT`, `DEADLOCK`, `ENDING`; the lock is held after the first of these. `CLOSED`
// if the handle of the lock or the condition variable is released or the runtime is shut down
// meanwhile, `PEER_DIED` as for `insula_mutex_lock`: the lock is not held then. `BAD_STATE` if the
// caller does not hold the lock.
insula_status insula_condition_wait(insula_condition condition,
                                    insula_mutex mutex,
                                    uint64_t timeout_ns);

// Wakes one waiter, or all of them if `all` is 1 and not 0.
insula_status insula_condition_notify(insula_condition condition, uint32_t all);

// Releases the handle of a condition variable. Waits for it end with `CLOSED`.
insula_status insula_condition_release(insula_condition condition);

// Opens a callback of the current isolate. `kind` is one of `INSULA_CALLBACK_`..., `flags` is 0 or
// `INSULA_PORT_WEAK`: an open callback keeps its isolate alive unless it is weak. Close the handle
// with `insula_callback_close`, also after the end of the isolate.
//
// Errors: `NO_ISOLATE`.
insula_status insula_callback_open(uint32_t kind,
                                   uint32_t flags,
                                   insula_callback_fn function,
                                   void *user,
                                   insula_free_fn free_user,
                                   insula_callback *callback);

// Calls a callback. `arguments` move as with `insula_post`; null is the value null. `result`,
// which may be null, is called with the answer on this thread before the function returns; the
// answer of a listener is the value null. Only a blocking callback waits, for `timeout_ns` at
// most.
//
// Errors: `CLOSED`; `WRONG_ISOLATE` for an isolate-local callback whose isolate does not run on
// this thread. After these two, and those of `insula_post`, nothing has moved. After the following
// the arguments were handed over: `TIMED_OUT`; `DEADLOCK` if isolates would wait for each other in
// a cycle; `CANCELLED` if the callback was closed meanwhile; `PEER_DIED` if its isolate ended;
// `FAILED` with the callback's own text.
insula_status insula_callback_call(insula_callback callback,
                                   const insula_value *arguments,
                                   uint64_t timeout_ns,
                                   insula_result_fn result,
                                   void *user);

// Closes a callback, from any thread. Later calls fail, and calls that have not begun are dropped;
// a call that runs finishes, and is answered.
//
// Errors: `STALE_HANDLE` if it is closed already.
insula_status insula_callback_close(insula_callback callback);

// Sets whether an open callback of the current isolate keeps that isolate alive.
//
// Errors: `NO_ISOLATE`, `WRONG_ISOLATE`.
insula_status insula_callback_keep_isolate_alive(insula_callback callback, uint32_t keep);

// Opens a service: `function` answers requests on the workers of a pool, several at once. It may
// block, and answers with `insula_reply` or `insula_fail` before it returns. `options` may be
// null. The service is open until `insula_service_close`, or until all its handles are released if
// it has no name.
//
// Blocks until the workers have started. Errors: `NAME_TAKEN`, `OUT_OF_RESOURCES`, `SHUT_DOWN`.
insula_status insula_service_open(const insula_service_options *options,
                                  insula_service_fn function,
                                  void *user,
                                  insula_free_fn free_user,
                                  insula_service *service);

// Returns a new handle to the service that was opened with that name, in C or in Rust. Release it
// with `insula_service_release`.
//
// Errors: `NOT_FOUND`.
insula_status insula_service_find(const char *name, insula_service *service);

// Releases a handle to a service.
insula_status insula_service_release(insula_service service);

// Ends a service, and releases this handle. Queued and running calls have `patience_ns` to finish;
// then queued calls are rejected and running ones are cancelled, and callers whose function does
// not stop within two seconds get `PEER_DIED`. Blocks until the last function has returned and
// `free_user` has been called, however long that takes: a function that computes for a long time
// should call `insula_checkpoint`.
//
// Errors: `DEADLOCK` in a callback of an isolate or of a service; `SHUT_DOWN` if the runtime is
// shut down meanwhile, which ends the service as well.
insula_status insula_service_close(insula_service service, uint64_t patience_ns);

// Answers the request that this thread's innermost callback handles. Texts, typed data and arrays
// are copied, external data moves, as with `insula_post`. The last answer counts; without an
// answer the callback answers with the value null.
//
// Errors: `BAD_STATE` outside of such a callback.
insula_status insula_reply(const insula_value *reply);

// Answers the request that this thread's innermost callback handles with an error: its caller gets
// `FAILED` and the text, which may be null.
//
// Errors: `BAD_STATE` outside of such a callback.
insula_status insula_fail(const char *text);

// Returns how much time is left for the call that a function of a service answers: `remaining_ns`
// receives the time until the deadline, or `INSULA_FOREVER` if the call has none.
//
// Errors: `TIMED_OUT` if the deadline has passed, `CANCELLED` if the answer is no longer needed:
// the function should return, because it occupies the worker. `BAD_STATE` outside of such a
// function.
insula_status insula_call_remaining(uint64_t *remaining_ns);

// Begins a call of a service, and returns at once. `done` is called at the end of the call,
// exactly once, on any thread. `request` moves as with `insula_post`; null is the value null.
// `call` may be null; otherwise it receives a handle for `insula_call_cancel`, to be released with
// `insula_call_release`. The handle is written before `done` can be called. The call ends
// `deadline_ns` nanoseconds from now if it has no answer by then; `INSULA_FOREVER` is no deadline.
//
// The status that `done` gets is `INSULA_OK`, `FAILED` (the service has called `insula_fail`, or has
// panicked), `CLOSED` (the service was closed), `REJECTED` (its queue is full), `CANCELLED`,
// `TIMED_OUT`, `PEER_DIED` (the worker has ended) or `INTERNAL`.
insula_status insula_service_call(insula_service service,
                                  const insula_value *request,
                                  uint64_t deadline_ns,
                                  insula_done_fn done,
                                  void *user,
                                  insula_free_fn free_user,
                                  insula_call *call);

// Like `insula_service_call`, but waits on this thread: calls `done`, which may be null, before it
// returns with the same status. That may be `DEADLOCK`, if all workers that could start or answer
// the call wait, maybe through others, for this isolate.
//
// If it fails and `may_have_run` is 0, nothing has moved, as always after `CLOSED` and `REJECTED`.
// If `may_have_run` is 1, the request was handed over.
insula_status insula_service_call_blocking(insula_service service,
                                           const insula_value *request,
                                           uint64_t deadline_ns,
                                           insula_done_fn done,
                                           void *user);

// Cancels a call: `done` is called with `CANCELLED`, unless the call has ended in another way.
insula_status insula_call_cancel(insula_call call);

// Releases the handle of a call. The call continues.
insula_status insula_call_release(insula_call call);

// Opens a signal, through which a signal handler wakes a port of an isolate or a native port: the
// port receives `number`, as an `INSULA_KIND_INT64`, after each `insula_signal_raise`. Store the
// handle where the handler finds it before the handler is installed. Close it with
// `insula_signal_close`; a shutdown closes it, too. Once the port is closed, raising the signal
// has no effect.
//
// Errors: `STALE_HANDLE`, `WRONG_TYPE`; `OUT_OF_RESOURCES` if 64 signals are open, or no thread or
// descriptor is left; `UNSUPPORTED` on Windows.
insula_status insula_signal_open(insula_port port, int64_t number, insula_signal *signal);

// Wakes the port of a signal. May be called at any time, also in a signal handler, whatever code
// that interrupted: takes no lock, allocates nothing, never waits, and leaves `errno` and
// `insula_last_error` as they are.
//
// Each call that returns `INSULA_OK` is followed by a message to the port, unless the signal or
// the port is closed first. Calls before that message is posted may share it, so there can be
// fewer messages than calls. If the port is full, the message is posted as soon as there is room.
//
// Errors: `BAD_HANDLE`; `STALE_HANDLE` if the signal is closed, also by a shutdown; `FORKED`.
insula_status insula_signal_raise(insula_signal signal);

// Closes a signal. A message that has not been posted yet may get lost. A handler that raises the
// signal later, or at the same time on another thread, gets `STALE_HANDLE`.
//
// Errors: `STALE_HANDLE`, `WRONG_TYPE`.
insula_status insula_signal_close(insula_signal signal);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#define INSULA_CONFIG_INIT \
    { (uint32_t)sizeof(insula_config), INSULA_ABI_VERSION, (uint32_t)sizeof(insula_value), \
      (uint32_t)sizeof(insula_spawn_options), (uint32_t)sizeof(insula_status_info), \
      (uint32_t)sizeof(insula_service_options), (uint32_t)sizeof(insula_buffer), \
      0u, 0u, 0u, 0u, NULL }

#define INSULA_SPAWN_OPTIONS_INIT \
    { (uint32_t)sizeof(insula_spawn_options), 0u, NULL, 0u, 0u }

#define INSULA_SERVICE_OPTIONS_INIT \
    { (uint32_t)sizeof(insula_service_options), 0u, 0u, 0u, NULL }

#define INSULA_STATUS_INFO_INIT \
    { (uint32_t)sizeof(insula_status_info), 0u, 0u, 0u, 0u, 0u, 0u, 0u }

/* Makes values. None of these functions copies or allocates anything. */

static inline insula_value insula_null(void) {
    insula_value value = { INSULA_KIND_NULL, 0u, 0, 0.0, 0u, NULL, NULL, NULL };
    return value;
}

static inline insula_value insula_bool(int truth) {
    insula_value value = insula_null();
    value.kind = INSULA_KIND_BOOL;
    value.integer = truth ? 1 : 0;
    return value;
}

static inline insula_value insula_int32(int32_t number) {
    insula_value value = insula_null();
    value.kind = INSULA_KIND_INT32;
    value.integer = number;
    return value;
}

static inline insula_value insula_int64(int64_t number) {
    insula_value value = insula_null();
    value.kind = INSULA_KIND_INT64;
    value.integer = number;
    return value;
}

static inline insula_value insula_double(double number) {
    insula_value value = insula_null();
    value.kind = INSULA_KIND_DOUBLE;
    value.real = number;
    return value;
}

static inline insula_value insula_string(const char *text, uint64_t length) {
    insula_value value = insula_null();
    value.kind = INSULA_KIND_STRING;
    value.data = text;
    value.length = length;
    return value;
}

static inline insula_value insula_array(const insula_value *items, uint64_t count) {
    insula_value value = insula_null();
    value.kind = INSULA_KIND_ARRAY;
    value.data = items;
    value.length = count;
    return value;
}

static inline insula_value insula_typed_data(uint32_t element, const void *data,
                                             uint64_t bytes) {
    insula_value value = insula_null();
    value.kind = INSULA_KIND_TYPED_DATA;
    value.element = element;
    value.data = data;
    value.length = bytes;
    return value;
}

static inline insula_value insula_external(uint32_t element, void *data, uint64_t bytes,
                                           void *peer, insula_finalizer_fn finalizer) {
    insula_value value = insula_typed_data(element, data, bytes);
    value.kind = INSULA_KIND_EXTERNAL_TYPED_DATA;
    value.peer = peer;
    value.finalizer = finalizer;
    return value;
}

static inline insula_value insula_send_port(insula_port port) {
    insula_value value = insula_null();
    value.kind = INSULA_KIND_SEND_PORT;
    value.integer = (int64_t)port;
    return value;
}

static inline insula_value insula_capability_value(insula_capability capability) {
    insula_value value = insula_null();
    value.kind = INSULA_KIND_CAPABILITY;
    value.integer = (int64_t)capability;
    return value;
}

static inline insula_value insula_native_pointer(void *pointer, uint64_t size,
                                                 insula_finalizer_fn finalizer) {
    insula_value value = insula_null();
    value.kind = INSULA_KIND_NATIVE_POINTER;
    value.data = pointer;
    value.length = size;
    value.finalizer = finalizer;
    return value;
}

/* Reads values: the items of an array, and the port or capability of a value. */

static inline const insula_value *insula_items(const insula_value *value) {
    return (const insula_value *)value->data;
}

static inline uint64_t insula_handle_of(const insula_value *value) {
    return (uint64_t)value->integer;
}

#endif  /* INSULA_H */
