/*
 * Insula: isolates for C and C++. Made from the sources by cbindgen; do not edit.
 *
 * An isolate is state that nobody else can reach, with an event loop. Its code is your
 * callbacks: they are called one at a time, on whatever thread the runtime chooses (or always
 * on the same one: INSULA_SPAWN_PINNED). Isolates talk through ports.
 *
 * Errors. Every function that can fail returns a status: INSULA_OK, or one of INSULA_ERROR_...
 * A function that fails has done nothing. insula_last_error has more words about the last
 * failure on the thread. Whatever is wrong with a handle, a number or a null pointer gives a
 * status; what cannot be checked is that a pointer points to what its type says, is valid for
 * as many elements as the length beside it says, and ends with a zero byte where it is a
 * `const char *` without a length.
 *
 * Handles are numbers. A handle works as long as what it stands for is there, and then never
 * again: a stale one is refused, and never leads to something newer. 0 is no handle. Handles
 * may be used from every thread, and copied like any number; where it says that a handle has to
 * be released, somebody has to do so once.
 *
 * Ownership. What a function is given belongs to the caller again when it returns, but for
 * external data and native pointers in messages (see insula_post) and for `user`: what belongs
 * to a callback is kept until `free_user`, which may be null, is called with it, once, when the
 * callback is not running and never will be again. If the function that takes it fails,
 * `free_user` is not called: a function that fails has moved nothing and freed nothing, in every
 * case but those that insula_callback_call and insula_service_call_blocking name. What a callback
 * is given is valid until it returns.
 *
 * Threads. Every function may be called from every thread, unless it says otherwise. Callbacks
 * of an isolate never run at the same time; those of native ports and services do, and notify
 * and free callbacks and finalizers run on any thread. No lock of the library is held during a
 * callback, so it may call every function here; those that would wait for the callback itself
 * return INSULA_ERROR_DEADLOCK. A callback must return normally: a C++ exception that leaves it
 * ends the process, as pthread_exit in it does, and longjmp out of it is undefined. Do not cancel
 * a thread (pthread_cancel) that may be inside of the library. A thread that ends, in destructors of
 * pthread_key and at exit, may call every function; it cannot have root isolates any more, and
 * insula_last_error is empty there.
 *
 * Signals. Only insula_signal_raise, insula_abi_version and insula_status_text may be called in a
 * signal handler; any other function may take a lock that the interrupted code holds. A handler
 * that wants to post raises a signal instead (insula_signal_open), which posts a number for it.
 *
 * Start and shutdown. insula_init first, once; everything else but the few functions that say
 * so returns INSULA_ERROR_NOT_STARTED before it and INSULA_ERROR_SHUT_DOWN from the beginning
 * of insula_shut_down on. When that has returned INSULA_OK, no thread is in a callback, and
 * every finalizer and free callback has been called.
 *
 * Fork. In a child that was forked from a process in which insula_init has been called, every
 * function returns INSULA_ERROR_FORKED and touches nothing; call exec. Functions that cannot
 * fail go on as they were. The library installs no signal handler.
 *
 * Layout. All structures consist of fixed-width numbers and pointers, and begin with their size
 * where they may grow. insula_init compares the sizes with those of the library.
 */


#ifndef INSULA_H
#define INSULA_H

#include <stdint.h>
#include <stddef.h>

// It is done.
#define INSULA_OK 0

// A pointer that has to point to something is null.
#define INSULA_ERROR_NULL_POINTER 1

// A number that is no handle and never was one.
#define INSULA_ERROR_BAD_HANDLE 2

// A handle of something that has been closed, released, or has ended.
#define INSULA_ERROR_STALE_HANDLE 3

// A handle of something of another type.
#define INSULA_ERROR_WRONG_TYPE 4

// A length that no memory can have, or that does not fit its elements.
#define INSULA_ERROR_BAD_LENGTH 5

// A text that is not UTF-8.
#define INSULA_ERROR_BAD_UTF8 6

// A number that is not among those allowed here, or a pointer that is not aligned.
#define INSULA_ERROR_BAD_VALUE 7

// A value that is nested too deeply, or has too many parts.
#define INSULA_ERROR_TOO_DEEP 8

// `insula_init` has not been called.
#define INSULA_ERROR_NOT_STARTED 9

// `insula_shut_down` has been called.
#define INSULA_ERROR_SHUT_DOWN 10

// The runtime runs already.
#define INSULA_ERROR_ALREADY_STARTED 11

// This process was forked from the one that started the runtime.
#define INSULA_ERROR_FORKED 12

// What the function was to use is closed, or its isolate has ended. Nothing has moved.
#define INSULA_ERROR_CLOSED 13

// There is no room at the moment.
#define INSULA_ERROR_FULL 14

// There is nothing at the moment.
#define INSULA_ERROR_EMPTY 15

// The time has passed.
#define INSULA_ERROR_TIMED_OUT 16

// No isolate runs on this thread.
#define INSULA_ERROR_NO_ISOLATE 17

// Only the isolate that made it may do that.
#define INSULA_ERROR_WRONG_ISOLATE 18

// Only the thread that made it may do that.
#define INSULA_ERROR_WRONG_THREAD 19

// To wait here would be to wait for ever.
#define INSULA_ERROR_DEADLOCK 20

// It is in use further up on this thread's stack.
#define INSULA_ERROR_IN_USE 21

// Whoever was to answer has ended.
#define INSULA_ERROR_PEER_DIED 22

// The callee refused: its queue is full, or it shuts down.
#define INSULA_ERROR_REJECTED 23

// It was cancelled.
#define INSULA_ERROR_CANCELLED 24

// The callee's own code failed; the text is the callee's.
#define INSULA_ERROR_FAILED 25

// The isolate is to end: return from the callback.
#define INSULA_ERROR_ENDING 26

// The operating system, or a table, has no room.
#define INSULA_ERROR_OUT_OF_RESOURCES 27

// Header and library do not fit together.
#define INSULA_ERROR_VERSION 28

// Not allowed in the state in which it is.
#define INSULA_ERROR_BAD_STATE 29

// The name is taken.
#define INSULA_ERROR_NAME_TAKEN 30

// There is none of that name.
#define INSULA_ERROR_NOT_FOUND 31

// A value of a kind that cannot be sent.
#define INSULA_ERROR_UNSUPPORTED 32

// The library is at fault; nothing crossed the border, and the text says what happened.
#define INSULA_ERROR_INTERNAL 33

// What header and library have to agree on.
#define INSULA_ABI_VERSION 1

// For time-outs: wait without a limit.
#define INSULA_FOREVER UINT64_MAX

// Nothing.
#define INSULA_KIND_NULL 0

// `integer` is 0 or 1.
#define INSULA_KIND_BOOL 1

// `integer`, which has to fit 32 bits.
#define INSULA_KIND_INT32 2

// `integer`.
#define INSULA_KIND_INT64 3

// `real`.
#define INSULA_KIND_DOUBLE 4

// UTF-8 at `data`, of `length` bytes. Copied when sent; what a receiver sees ends with a zero
// byte, which `length` does not count.
#define INSULA_KIND_STRING 5

// `length` values at `data`.
#define INSULA_KIND_ARRAY 6

// `length` bytes at `data`, elements of type `element`. Copied when sent, to an address that
// is a multiple of 16.
#define INSULA_KIND_TYPED_DATA 7

// `length` bytes at `data`, elements of type `element`, which move: `finalizer` is called
// with `peer`, once, when nobody needs them any more.
#define INSULA_KIND_EXTERNAL_TYPED_DATA 8

// `integer` is a port.
#define INSULA_KIND_SEND_PORT 9

// `integer` is a capability.
#define INSULA_KIND_CAPABILITY 10

// The address `data`, of something of `length` bytes. The receiver owns it; `finalizer`, which
// may be null, is called with `data` if it has never been delivered.
#define INSULA_KIND_NATIVE_POINTER 11

// What could not be converted. Cannot be sent.
#define INSULA_KIND_UNSUPPORTED 12

// As `INSULA_KIND_EXTERNAL_TYPED_DATA`, and nobody may write to it.
#define INSULA_KIND_UNMODIFIABLE_EXTERNAL_TYPED_DATA 13

// How many kinds there are.
#define INSULA_KIND_COUNT 14

// Bytes without a type.
#define INSULA_ELEMENT_BYTES 0

// `int8_t`.
#define INSULA_ELEMENT_INT8 1

// `uint8_t`.
#define INSULA_ELEMENT_UINT8 2

// `uint8_t`, to which larger and smaller numbers are cut.
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

// Four of `int32_t`.
#define INSULA_ELEMENT_INT32X4 12

// Four of `float`.
#define INSULA_ELEMENT_FLOAT32X4 13

// Two of `double`.
#define INSULA_ELEMENT_FLOAT64X2 14

// How many types of elements there are.
#define INSULA_ELEMENT_COUNT 15

// Threads without work leave their cores at once, in place of looking around for some for 20 us:
// better where other threads bring most of the work, a piece at a time, and wait for each answer.
#define INSULA_INIT_PARK_AT_ONCE 1

// The isolate is paused before its entry, until `insula_isolate_resume` with capability 0.
#define INSULA_SPAWN_PAUSED 1

// An uncaught error does not end the isolate.
#define INSULA_SPAWN_ERRORS_NOT_FATAL 2

// The isolate has a thread of its own, on which all of its callbacks run.
#define INSULA_SPAWN_PINNED 4

// The port does not keep its isolate alive.
#define INSULA_PORT_WEAK 1

// At the next check, also in the middle of an event: `insula_checkpoint`.
#define INSULA_PRIORITY_IMMEDIATE 0

// When the current event is done, before all that is queued.
#define INSULA_PRIORITY_BEFORE_NEXT_EVENT 1

// Behind everything that is queued.
#define INSULA_PRIORITY_AS_EVENT 2

// Any thread may call it and goes on at once; the callback runs later, as an event of the
// isolate.
#define INSULA_CALLBACK_LISTENER 0

// Any thread may call it, and waits for the answer of the isolate.
#define INSULA_CALLBACK_BLOCKING 1

// Only code of the isolate may call it; it runs at once.
#define INSULA_CALLBACK_ISOLATE_LOCAL 2

// Any thread may call it; it runs at once, there, at the same time as others, and is no code of
// the isolate.
#define INSULA_CALLBACK_GROUP_BOUND 3

// Neither asked nor answered.
#define INSULA_RENDEZVOUS_NONE 0

// A request has not been answered.
#define INSULA_RENDEZVOUS_REQUEST 1

// A response has not been taken.
#define INSULA_RENDEZVOUS_RESPONSE 2

// Nothing was left that could have woken the isolate.
#define INSULA_EXIT_FINISHED 0

// It called `insula_exit`.
#define INSULA_EXIT_EXITED 1

// It was killed, or the runtime was shut down.
#define INSULA_EXIT_KILLED 2

// It ended of an uncaught error.
#define INSULA_EXIT_FAILED 3

// Nothing is queued; the notify callback will tell.
#define INSULA_ROOT_IDLE 0

// There may be more to do: call again.
#define INSULA_ROOT_MORE 1

// It is paused; the notify callback will tell.
#define INSULA_ROOT_PAUSED 2

// It has ended.
#define INSULA_ROOT_EXITED 3

// The runtime has not been started.
#define INSULA_PHASE_NOT_STARTED 0

// The runtime runs.
#define INSULA_PHASE_RUNNING 1

// The runtime shuts down, or did not come to the end of it in time.
#define INSULA_PHASE_STOPPING 2

// The runtime has been shut down.
#define INSULA_PHASE_STOPPED 3

// Calls for which there is no room in the queue are refused, and do not wait for room.
#define INSULA_SERVICE_REJECT_WHEN_FULL 1

// What every function returns: `INSULA_OK`, or why it did nothing.
typedef int32_t insula_status;

// How the runtime is to be started. Begin with `INSULA_CONFIG_INIT`.
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
    // Threads that run isolates at a time; 0 for one per core. Larger numbers count as 65,536.
    uint32_t threads;
    // Threads that may be added while others are blocked; 0 for 256. Larger numbers count as
    // 65,536.
    uint32_t spare_threads;
    // `INSULA_INIT_PARK_AT_ONCE`, or 0.
    uint32_t flags;
    // Bytes of the stacks of the threads that run isolates, pinned ones too; 0 for 2 MiB, or what
    // the environment variable `RUST_MIN_STACK` says. Less than 64 KiB counts as 64 KiB; more than
    // 1 GiB is a `BAD_VALUE`. A stack that overflows aborts the process.
    uint64_t stack_size;
    // What the threads' names begin with; null for `insula`.
    const char *name;
} insula_config;

// The library at one moment.
typedef struct {
    // `sizeof(insula_status_info)`, set by the caller.
    uint32_t size;
    // One of `INSULA_PHASE_`...
    uint32_t phase;
    // Isolates that have not ended.
    uint64_t isolates;
    // Threads that the pool has started so far.
    uint64_t threads;
    // Handles that have not been closed.
    uint64_t handles;
    // Callbacks that are registered and have not been freed.
    uint64_t callbacks;
    // External data whose finalizer has not run.
    uint64_t external_values;
    // Messages that were accepted so far.
    uint64_t posts;
} insula_status_info;

// Gets an uncaught error that no listener gets; both texts end with a zero byte.
typedef void (*insula_error_fn)(void *user, const char *isolate, const char *text);

// Frees what belongs to a callback: called once, when the callback is never called again.
typedef void (*insula_free_fn)(void *user);

// The address of a port: of an isolate's, or of a native one. 0 is none.
typedef uint64_t insula_port;

// How an isolate is to be started. Begin with `INSULA_SPAWN_OPTIONS_INIT`.
typedef struct {
    // `sizeof(insula_spawn_options)`.
    uint32_t size;
    // A sum of `INSULA_SPAWN_`...
    uint32_t flags;
    // For reports; null for a number.
    const char *name;
    // Gets `[reason, text]` when the isolate has ended; 0 for none. A port of an isolate: a native
    // one is of the `WRONG_TYPE`.
    insula_port on_exit;
    // A port of the spawning isolate that gets `[text, place, name, is fatal]` with every
    // uncaught error; 0 for nobody.
    insula_port on_error;
} insula_spawn_options;

// Gives memory back, or whatever else belongs to a pointer. Called on any thread.
typedef void (*insula_finalizer_fn)(void *peer);

// A message, or a part of one. `kind` says which of the other fields count.
typedef struct {
    // One of `INSULA_KIND_`...
    uint32_t kind;
    // One of `INSULA_ELEMENT_`..., for typed data.
    uint32_t element;
    // A number, a truth, a port or a capability.
    int64_t integer;
    // A number.
    double real;
    // Bytes at `data`; of an array, values.
    uint64_t length;
    // Text, bytes, values, or an address.
    const void *data;
    // What `finalizer` gets, of external typed data.
    void *peer;
    // Whom to tell that the data is needed no more.
    insula_finalizer_fn finalizer;
} insula_value;

// The entry of an isolate: its first event. Not 0 is an uncaught error; `insula_throw` before
// gives it a text.
typedef int32_t (*insula_entry_fn)(void *user, const insula_value *message);

// An isolate. 0 is none.
typedef uint64_t insula_isolate;

// A token that is equal to no other one; also what takes a pause back. 0 is none.
typedef uint64_t insula_capability;

// Gets the messages of a port. The message is valid until it returns.
typedef void (*insula_message_fn)(void *user, insula_port port, const insula_value *message);

// A timer. 0 is none.
typedef uint64_t insula_timer;

// A timer's time has come; `tick` counts the periods that have passed.
typedef void (*insula_timer_fn)(void *user, insula_timer timer, uint64_t tick);

// A function without an argument of its own.
typedef void (*insula_task_fn)(void *user);

// An isolate that a thread of yours drives. 0 is none.
typedef uint64_t insula_root;

// Bytes that the library holds for its caller. 0 is none.
typedef uint64_t insula_buffer_handle;

// A side of a mailbox. 0 is none.
typedef uint64_t insula_mailbox;

// Bytes that the library holds for its caller: valid until `insula_buffer_free`.
typedef struct {
    // For `insula_buffer_free`.
    insula_buffer_handle handle;
    // How many bytes there are.
    uint64_t length;
    // The bytes, at an address that is a multiple of 16. Not null.
    const uint8_t *bytes;
} insula_buffer;

// The side of a rendezvous that asks. 0 is none.
typedef uint64_t insula_requester;

// The side of a rendezvous that answers. 0 is none.
typedef uint64_t insula_responder;

// Gets the messages of a message loop: answered with `insula_responder_respond` before it
// returns, or declined.
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

// The function of a callback; what it answers, it answers with `insula_reply`.
typedef void (*insula_callback_fn)(void *user,
                                   insula_callback callback,
                                   const insula_value *arguments);

// Gets what a callback has answered.
typedef void (*insula_result_fn)(void *user, const insula_value *result);

// How a service is to be opened. Begin with `INSULA_SERVICE_OPTIONS_INIT`.
typedef struct {
    // `sizeof(insula_service_options)`.
    uint32_t size;
    // A sum of `INSULA_SERVICE_`...
    uint32_t flags;
    // How many requests are answered at once, 65,536 at most; 0 for one per core.
    uint32_t workers;
    // Room for calls that wait; 0 for 1,024.
    uint32_t queue;
    // By which others find it; null for none.
    const char *name;
} insula_service_options;

// Answers requests of a service, with `insula_reply` or `insula_fail`.
typedef void (*insula_service_fn)(void *user, const insula_value *request);

// A service on a pool of workers. 0 is none.
typedef uint64_t insula_service;

// Is told of the end of a call. `reply` is the answer, or after an error its text;
// `may_have_run` is 0 if the service has certainly not begun with it.
typedef void (*insula_done_fn)(void *user,
                               insula_status status,
                               uint32_t may_have_run,
                               const insula_value *reply);

// A call of a service that has no answer yet. 0 is none.
typedef uint64_t insula_call;

// What a signal handler raises to wake a port. 0 is none.
typedef uint64_t insula_signal;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the library. May be called at any time.
uint32_t insula_abi_version(void);

// What a status means, in words. Never null; stays for ever. May be called at any time.
const char *insula_status_text(insula_status status);

// What went wrong in the last call on this thread that failed. Never null; empty if none has
// failed; valid until the next call on this thread that fails. May be called at any time.
const char *insula_last_error(void);

// Starts the runtime, after a look at whether header and library fit together.
//
// Errors: `VERSION`, `ALREADY_STARTED`, also while a shutdown is going on; `BAD_VALUE` for unknown
// flags and a stack size out of bounds; `OUT_OF_RESOURCES` if no thread can be started.
insula_status insula_init(const insula_config *config);

// Ends everything: closes all handles, kills all isolates, and waits until they have ended
// and no callback runs or will run any more. Then the runtime may be started again.
//
// Root isolates end here only if they belong to this thread; the others' threads are notified
// and have to handle it (`insula_root_handle_message`), or close them.
//
// Errors: `TIMED_OUT` if something has not ended after `timeout_ns`; call again to go on
// waiting. `DEADLOCK` from inside of an isolate or a callback. `NOT_STARTED`, `SHUT_DOWN`.
//
// Several threads may shut down at the same time; each returns when this runtime has ended, and
// ends nothing that was started since.
insula_status insula_shut_down(uint64_t timeout_ns);

// Tells how the library is at this moment. May be called at any time.
insula_status insula_inspect(insula_status_info *info);

// Sets who is told of uncaught errors that no listener gets, on the thread where they happen.
// A null `function` has them written to the standard error stream again. `free_user` is
// called when another one takes its place, or at the shutdown.
insula_status insula_set_error_hook(insula_error_fn function, void *user, insula_free_fn free_user);

// Starts an isolate: `entry` is its first event, with `message`, which moves as by
// `insula_post`; null is the value null. The isolate lives until nothing is left that could
// wake it (an open port, a timer), or it is killed, exits, or has a fatal error. `options` may
// be null, and so may `isolate`: a handle has to be released. It is written before the entry can
// begin, and is 0 if the function fails.
//
// `free_user` is called when the entry has returned, or was never called. If the function
// fails, it is not called, and everything is the caller's still.
//
// Errors: those of `insula_post` for the message; `OUT_OF_RESOURCES`.
insula_status insula_spawn(const insula_spawn_options *options,
                           insula_entry_fn entry,
                           void *user,
                           insula_free_fn free_user,
                           const insula_value *message,
                           insula_isolate *isolate);

// A handle of the isolate whose code runs on this thread; to be released.
//
// Errors: `NO_ISOLATE`.
insula_status insula_isolate_current(insula_isolate *isolate);

// Gives a handle back. The isolate does not need it.
insula_status insula_isolate_release(insula_isolate isolate);

// Copies the isolate's name into `buffer`, cut to `capacity` bytes with the zero byte behind
// it. `length` gets its whole length without that, and may be null, as may `buffer`.
insula_status insula_isolate_name(insula_isolate isolate,
                                  char *buffer,
                                  uint64_t capacity,
                                  uint64_t *length);

// Waits for the end of an isolate. `reason` gets one of `INSULA_EXIT_`..., and `buffer` the
// text of the reason, cut to `capacity` bytes; both may be null.
//
// Errors: `TIMED_OUT`; `DEADLOCK` if the isolate waits, maybe through others, for this one.
insula_status insula_isolate_wait(insula_isolate isolate,
                                  uint64_t timeout_ns,
                                  uint32_t *reason,
                                  char *buffer,
                                  uint64_t capacity);

// Ends an isolate, at a time that `priority` says: one of `INSULA_PRIORITY_`... A callback
// that neither returns nor calls `insula_checkpoint` cannot be stopped.
insula_status insula_isolate_kill(insula_isolate isolate, uint32_t priority);

// Pauses an isolate after its current event, until `capability`, which has to be released, is
// given to `insula_isolate_resume`. Several pauses nest.
insula_status insula_isolate_pause(insula_isolate isolate, insula_capability *capability);

// Takes one pause back; 0 stands for that of `INSULA_SPAWN_PAUSED`. A capability that pauses
// nothing does nothing.
insula_status insula_isolate_resume(insula_isolate isolate, insula_capability capability);

// Asks for a sign of life: `port` gets `response`, at a time that `priority` says; never, if
// the isolate has ended. A null `response` is the value null.
//
// Errors: `WRONG_TYPE` if `port` is a native port.
insula_status insula_isolate_ping(insula_isolate isolate,
                                  insula_port port,
                                  const insula_value *response,
                                  uint32_t priority);

// Says whether an uncaught error ends the isolate; at first it does.
insula_status insula_isolate_set_errors_fatal(insula_isolate isolate, uint32_t are_fatal);

// Has a port told when the isolate has ended, behind everything that the isolate posted: with
// `response`, or with `[reason, text]` if that is null. If it has ended already, at once.
//
// Errors: `WRONG_TYPE` if `port` is a native port.
insula_status insula_isolate_add_exit_listener(insula_isolate isolate,
                                               insula_port port,
                                               const insula_value *response);

// Takes an exit listener back.
insula_status insula_isolate_remove_exit_listener(insula_isolate isolate, insula_port port);

// Has a port of the current isolate told of every uncaught error of `isolate`, as
// `[text, place or null, name, is fatal]`, in order with its messages.
//
// Errors: `NO_ISOLATE`, `WRONG_ISOLATE` if the port belongs to another one, `WRONG_TYPE` if it is
// a native port.
insula_status insula_isolate_add_error_listener(insula_isolate isolate, insula_port port);

// Takes an error listener back.
insula_status insula_isolate_remove_error_listener(insula_isolate isolate, insula_port port);

// Opens a port of the current isolate: `function` gets each message as an event of its own.
//
// With a `limit` that is not 0, the port has room for so many messages that are posted and
// not yet handled. `flags` is 0 or `INSULA_PORT_WEAK`. The port is open until
// `insula_port_close`, or until its isolate ends; then `free_user` is called, on a thread of
// the isolate.
//
// Errors: `NO_ISOLATE`.
insula_status insula_port_open(uint64_t limit,
                               uint32_t flags,
                               insula_message_fn function,
                               void *user,
                               insula_free_fn free_user,
                               insula_port *port);

// Opens a native port: `function` gets each message on a thread of the port's own, at most
// `max_concurrent` at once, and may block. Messages start in the order in which they were
// posted. `free_user` is called after the last one.
insula_status insula_native_port_open(const char *name,
                                      uint32_t max_concurrent,
                                      insula_message_fn function,
                                      void *user,
                                      insula_free_fn free_user,
                                      insula_port *port);

// Closes a port of the current isolate, or, from anywhere, a native port.
//
// What is queued at an isolate's port is dropped; what is queued at a native port is still
// handled. Later posts fail.
//
// Errors: `NO_ISOLATE`, `WRONG_ISOLATE`, `STALE_HANDLE` if it is closed already.
insula_status insula_port_close(insula_port port);

// Posts a message to a port, from any thread. Never waits.
//
// Texts, typed data and arrays are copied; external data moves. If it succeeds, every
// finalizer of external data in the message will be called exactly once. If it fails, nothing
// has moved, no finalizer has been or will be called, and everything is the caller's still.
//
// Messages of one thread to one isolate arrive in the order in which they were posted, also
// across several ports.
//
// Errors: `CLOSED` or `STALE_HANDLE` if the port is closed, `FULL`; for the message
// `NULL_POINTER`, `BAD_LENGTH`, `BAD_UTF8`, `BAD_VALUE`, `TOO_DEEP`, `UNSUPPORTED`.
insula_status insula_post(insula_port port, const insula_value *message);

// As `insula_post`, with a number.
insula_status insula_post_int64(insula_port port, int64_t number);

// Takes external data over from the message that this thread is handling: the caller has to
// call its finalizer, once. `value` is the message or a part of it.
//
// Errors: `NOT_FOUND` if it is no external data of that message, or was taken before.
insula_status insula_value_take(const insula_value *value);

// Makes a capability: a token that is equal to no other one. Stale after
// `insula_capability_release`, and still equal to itself.
insula_status insula_capability_new(insula_capability *capability);

// Gives a capability's memory back.
insula_status insula_capability_release(insula_capability capability);

// Starts a timer of the current isolate. With a `period_ns` of 0 it fires once, after
// `delay_ns`; else again and again, first after one period, and `delay_ns` has to be 0. A
// timer never fires early; a timer of no delay shares its order with messages. A pending timer
// keeps its isolate alive. `timer` may be null. A timer that has fired for the last time has a
// stale handle; `free_user` is called after that, or when it is cancelled, or with the end of
// the isolate.
//
// Errors: `NO_ISOLATE`, `BAD_VALUE`.
insula_status insula_timer_start(uint64_t delay_ns,
                                 uint64_t period_ns,
                                 insula_timer_fn function,
                                 void *user,
                                 insula_free_fn free_user,
                                 insula_timer *timer);

// Cancels a timer of the current isolate: its function is not called any more.
//
// Errors: `STALE_HANDLE` if it was cancelled or has fired; `NO_ISOLATE`, `WRONG_ISOLATE`.
insula_status insula_timer_cancel(insula_timer timer);

// Runs a function of the current isolate when the current event is done, before the next one.
//
// Errors: `NO_ISOLATE`.
insula_status insula_microtask(insula_task_fn function, void *user, insula_free_fn free_user);

// Makes an uncaught error of the current isolate, as soon as the callback that runs returns.
// `text` may be null.
//
// Errors: `NO_ISOLATE`.
insula_status insula_throw(const char *text);

// Ends the current isolate as soon as the callback that runs returns; nothing else of it runs
// then. Before that posts `message` to `port`, unless `port` is 0.
//
// Errors: `NO_ISOLATE`, and those of `insula_post`; then the isolate goes on.
insula_status insula_exit(insula_port port, const insula_value *message);

// An interrupt check for callbacks that compute for long: handles pauses, pings and kills that
// have arrived. A callback goes on only while this returns `INSULA_OK`.
//
// Errors: `ENDING` if the isolate is to end, because it was killed or the runtime shuts down: at
// each check from then on. In a function of a service also `CANCELLED` if nobody needs the answer
// any more, and `TIMED_OUT` if the deadline of the call has passed. Outside of isolates only
// `SHUT_DOWN` once the runtime shuts down, and `NOT_STARTED`.
insula_status insula_checkpoint(void);

// Calls a function that may block, on this thread, and lets another thread take this one's
// place in the pool meanwhile.
insula_status insula_blocking(insula_task_fn function, void *user);

// Makes an isolate that this thread drives. `notify` is called, on any thread, when there is
// something to do: it must not block, and has to have this thread call
// `insula_root_handle_message`. The isolate does nothing until it is entered.
insula_status insula_root_create(const char *name,
                                 insula_task_fn notify,
                                 void *user,
                                 insula_free_fn free_user,
                                 insula_root *root);

// A handle of the root isolate as an isolate; to be released.
insula_status insula_root_isolate(insula_root root, insula_isolate *isolate);

// Calls a function as the code of the root isolate: there it opens its ports and starts its
// timers.
//
// Errors: `WRONG_THREAD`, `IN_USE` if the thread runs an isolate already, `ENDING` if the root
// isolate has ended, was killed, or ends of this.
insula_status insula_root_enter(insula_root root, insula_task_fn function, void *user);

// Handles the control messages that have arrived, then one message and its microtasks.
// `state` gets one of `INSULA_ROOT_`..., and may be null.
//
// Errors: `WRONG_THREAD`, `IN_USE`.
insula_status insula_root_handle_message(insula_root root, uint32_t *state);

// Runs the root isolate's loop on this thread until nothing is left that could wake it, or it
// ends in another way, and closes it. `reason` gets one of `INSULA_EXIT_`..., and may be null.
//
// Errors: `WRONG_THREAD`, `IN_USE`.
insula_status insula_root_run(insula_root root, uint32_t *reason);

// Ends the root isolate here and now, with all isolates of its group.
//
// Errors: `WRONG_THREAD`, `IN_USE`, `STALE_HANDLE` if it is closed already.
insula_status insula_root_close(insula_root root);

// Gives the bytes of a buffer back.
insula_status insula_buffer_free(insula_buffer_handle buffer);

// Makes a mailbox: one slot for bytes, which may be none. To be released.
insula_status insula_mailbox_new(insula_mailbox *mailbox);

// A handle of the same mailbox for another party; to be released. If a party releases its
// handle while another waits, that gets `PEER_DIED` as soon as it is alone. Releasing the last
// handle closes the mailbox.
insula_status insula_mailbox_share(insula_mailbox mailbox, insula_mailbox *other);

// Puts a copy of bytes into a mailbox, as soon as it is empty. With a `timeout_ns` of 0 it is
// a try.
//
// Errors: `FULL` (a try), `TIMED_OUT`, `CLOSED`, `PEER_DIED`, `DEADLOCK`, `ENDING`.
insula_status insula_mailbox_put(insula_mailbox mailbox,
                                 const uint8_t *message,
                                 uint64_t length,
                                 uint64_t timeout_ns);

// Takes bytes out of a mailbox, as soon as there are any. With a `timeout_ns` of 0 it is a
// try. The buffer has to be freed.
//
// Errors: `EMPTY` (a try), `TIMED_OUT`, `CLOSED`, `PEER_DIED`, `DEADLOCK`, `ENDING`.
insula_status insula_mailbox_take(insula_mailbox mailbox,
                                  uint64_t timeout_ns,
                                  insula_buffer *message);

// Says that this handle is the current isolate's: if that ends, those who wait for it get
// `PEER_DIED`.
insula_status insula_mailbox_attach(insula_mailbox mailbox);

// Closes a mailbox for all parties: what is in it is dropped, who waits gets `CLOSED`.
insula_status insula_mailbox_close(insula_mailbox mailbox);

// Gives a handle of a mailbox back. The last one closes the mailbox: who waits gets `CLOSED`.
insula_status insula_mailbox_release(insula_mailbox mailbox);

// Makes the two sides of a rendezvous: one asks and waits, the other answers. Both have to be
// released; a side whose other side is released, or whose isolate has ended, gets `PEER_DIED`.
insula_status insula_rendezvous_new(insula_requester *requester, insula_responder *responder);

// Asks with a copy of bytes, and waits for the answer. The buffer has to be freed.
//
// Errors: `BAD_STATE` if a request is under way; `TIMED_OUT`; `CLOSED`; `PEER_DIED`;
// `FAILED` if the request was declined; `DEADLOCK`, `ENDING`.
insula_status insula_requester_request(insula_requester requester,
                                       const uint8_t *request,
                                       uint64_t length,
                                       uint64_t timeout_ns,
                                       insula_buffer *answer);

// Waits for a request, which has to be answered or declined. With a `timeout_ns` of 0 it is a
// try. The buffer has to be freed.
//
// Errors: `BAD_STATE` if a request has not been answered; `EMPTY` (a try), `TIMED_OUT`,
// `CLOSED`, `PEER_DIED`, `DEADLOCK`, `ENDING`.
insula_status insula_responder_receive(insula_responder responder,
                                       uint64_t timeout_ns,
                                       insula_buffer *request);

// Answers the request with a copy of bytes.
//
// Errors: `BAD_STATE` if there is none; `CANCELLED` if nobody waits for the answer any more;
// `CLOSED`, `PEER_DIED`.
insula_status insula_responder_respond(insula_responder responder,
                                       const uint8_t *response,
                                       uint64_t length);

// Declines the request: who asked gets `FAILED`.
//
// Errors: `BAD_STATE` if there is none.
insula_status insula_responder_decline(insula_responder responder);

// Waits for requests, and gives each to `function`, which answers it with
// `insula_responder_respond`, until `insula_responder_stop`. What is not answered is declined.
//
// Errors: as of `insula_responder_receive`.
insula_status insula_responder_message_loop(insula_responder responder,
                                            insula_request_fn function,
                                            void *user);

// Ends the message loop after the request that it handles, or at once if it waits. Without a
// loop, the next one ends at once.
insula_status insula_responder_stop(insula_responder responder);

// Tells how far a rendezvous is: `state` gets one of `INSULA_RENDEZVOUS_`... `side` is either
// side.
insula_status insula_rendezvous_state(uint64_t side, uint32_t *state);

// Says that this side is the current isolate's: if that ends, the other gets `PEER_DIED`.
insula_status insula_rendezvous_attach(uint64_t side);

// Closes a rendezvous for both sides: who waits gets `CLOSED`.
insula_status insula_rendezvous_close(uint64_t side);

// Gives the handle of a side back.
insula_status insula_rendezvous_release(uint64_t side);

// Makes a lock. It is not recursive. To be released.
insula_status insula_mutex_new(insula_mutex *mutex);

// Takes a lock. With a `timeout_ns` of 0 it is a try.
//
// Errors: `TIMED_OUT`; `DEADLOCK` if this thread has it already, or isolates would wait for
// each other in a circle; `ENDING`; `CLOSED` if its handle is released or the runtime is shut down
// meanwhile; `PEER_DIED` if the isolate or thread that had the lock ended without giving it back,
// from then on until `insula_mutex_recover`. The lock is not held after any of them.
insula_status insula_mutex_lock(insula_mutex mutex, uint64_t timeout_ns);

// Gives a lock back.
//
// Errors: `BAD_STATE` if whoever calls has not got it.
insula_status insula_mutex_unlock(insula_mutex mutex);

// Makes a lock usable again that gave `PEER_DIED`: nothing holds it any more. What it protects may
// be half changed; repair that first, because others can take the lock when this returns.
//
// Errors: `BAD_STATE` if there is no such lock to recover: it is free, held, closed, or has been
// recovered. Of several callers one succeeds.
insula_status insula_mutex_recover(insula_mutex mutex);

// Gives the handle of a lock back. Who waits for the lock gets `CLOSED`.
insula_status insula_mutex_release(insula_mutex mutex);

// Makes a condition variable. To be released.
insula_status insula_condition_new(insula_condition *condition);

// Gives a lock back, waits to be notified, and takes the lock again. It may return without a
// reason, so what is waited for has to be looked at.
//
// Errors: `TIMED_OUT`, `DEADLOCK`, `ENDING`; the lock is taken after the first of these.
// `CLOSED` if the handle of the lock or the condition variable is released or the runtime is shut
// down meanwhile, `PEER_DIED` as for `insula_mutex_lock`: the lock is not held then.
// `BAD_STATE` if whoever calls has not got the lock.
insula_status insula_condition_wait(insula_condition condition,
                                    insula_mutex mutex,
                                    uint64_t timeout_ns);

// Wakes one who waits, or `all` (0 or 1).
insula_status insula_condition_notify(insula_condition condition, uint32_t all);

// Gives the handle of a condition variable back. Who waits for it gets `CLOSED`.
insula_status insula_condition_release(insula_condition condition);

// Opens a callback of the current isolate. `kind` is one of `INSULA_CALLBACK_`..., `flags` is
// 0 or `INSULA_PORT_WEAK`: an open callback keeps its isolate alive unless it is weak. The
// handle has to be closed, also after the end of the isolate.
//
// Errors: `NO_ISOLATE`.
insula_status insula_callback_open(uint32_t kind,
                                   uint32_t flags,
                                   insula_callback_fn function,
                                   void *user,
                                   insula_free_fn free_user,
                                   insula_callback *callback);

// Calls a callback. `arguments` move as by `insula_post`; null is the value null. `result`,
// which may be null, gets the answer, on this thread, before the function returns; that of a
// listener is the value null. Only a blocking callback waits, for `timeout_ns` at most.
//
// Errors: `CLOSED`; `WRONG_ISOLATE` for an isolate-local one, if its isolate does not run on
// this thread: after these two, and those of `insula_post`, nothing has moved. After the others
// the arguments were handed over: `TIMED_OUT`; `DEADLOCK` if isolates would wait for each other
// in a circle; `CANCELLED` if the callback was closed meanwhile, `PEER_DIED` if its isolate
// ended; `FAILED` with the callback's own text.
insula_status insula_callback_call(insula_callback callback,
                                   const insula_value *arguments,
                                   uint64_t timeout_ns,
                                   insula_result_fn result,
                                   void *user);

// Closes a callback, from any thread. Later calls fail; those that have not begun are dropped;
// one that runs comes to its end, and is answered.
//
// Errors: `STALE_HANDLE` if it is closed already.
insula_status insula_callback_close(insula_callback callback);

// Says whether an open callback keeps its isolate, the current one, alive.
//
// Errors: `NO_ISOLATE`, `WRONG_ISOLATE`.
insula_status insula_callback_keep_isolate_alive(insula_callback callback, uint32_t keep);

// Opens a service: `function` answers requests on the workers of a pool, several at once. It
// may block, and answers with `insula_reply` or `insula_fail` before it returns. `options` may
// be null. The service is open until `insula_service_close`, or until no handle of it is left
// and it has no name.
//
// Blocks until the workers have started. Errors: `NAME_TAKEN`, `OUT_OF_RESOURCES`, `SHUT_DOWN`.
insula_status insula_service_open(const insula_service_options *options,
                                  insula_service_fn function,
                                  void *user,
                                  insula_free_fn free_user,
                                  insula_service *service);

// A new handle of the service that was opened with that name, in C or in Rust; to be released.
//
// Errors: `NOT_FOUND`.
insula_status insula_service_find(const char *name, insula_service *service);

// Gives a handle of a service back.
insula_status insula_service_release(insula_service service);

// Ends a service, and releases this handle of it: calls that are queued or run have
// `patience_ns` to end; then queued ones are turned away, running ones are cancelled, and callers
// whose function does not stop within two seconds get `PEER_DIED`. Blocks until the last
// function has returned and `free_user` has been called, however long that takes: a function
// that computes for long asks `insula_checkpoint`.
//
// Errors: `DEADLOCK` in a callback of an isolate or of a service; `SHUT_DOWN` if the runtime is
// shut down meanwhile, which ends the service as well.
insula_status insula_service_close(insula_service service, uint64_t patience_ns);

// Answers the request that this thread's innermost callback handles. Texts, typed data and
// arrays are copied, external data moves, as by `insula_post`. The last answer counts; a
// callback that does not answer answers with the value null.
//
// Errors: `BAD_STATE` outside of such a callback.
insula_status insula_reply(const insula_value *reply);

// Answers the request that this thread's innermost callback handles with an error: its caller
// gets `FAILED` and the text, which may be null.
//
// Errors: `BAD_STATE` outside of such a callback.
insula_status insula_fail(const char *text);

// Tells the function of a service how much time the call has that it answers: `remaining_ns` gets
// the time until the deadline, or `INSULA_FOREVER` if the call has none.
//
// Errors: `TIMED_OUT` if the deadline has passed, `CANCELLED` if nobody needs the answer any more:
// return, the worker is occupied until then. `BAD_STATE` outside of such a function.
insula_status insula_call_remaining(uint64_t *remaining_ns);

// Begins a call of a service, and returns at once. `done` is told of its end, exactly once, on
// any thread. `request` moves as by `insula_post`; null is the value null. `call` is for
// `insula_call_cancel`; it may be null, and else has to be released. It is written before `done`
// can be called.
insula_status insula_service_call(insula_service service,
                                  const insula_value *request,
                                  uint64_t deadline_ns,
                                  insula_done_fn done,
                                  void *user,
                                  insula_free_fn free_user,
                                  insula_call *call);

// As `insula_service_call`, on this thread: returns when `done`, which may be null, has been
// called here, with the status that it got: among others `DEADLOCK`, if all workers that could
// start or answer it wait, maybe through others, for this isolate.
//
// Where it fails and `may_have_run` is 0, nothing has moved; so it is after `CLOSED` and
// `REJECTED`. Where `may_have_run` is 1, the request was handed over.
insula_status insula_service_call_blocking(insula_service service,
                                           const insula_value *request,
                                           uint64_t deadline_ns,
                                           insula_done_fn done,
                                           void *user);

// Cancels a call: `done` is told of that, if it has not been told of something else.
insula_status insula_call_cancel(insula_call call);

// Gives the handle of a call back. The call goes on.
insula_status insula_call_release(insula_call call);

// Opens a signal, through which a signal handler wakes a port of an isolate or a native port: it
// gets `number`, as a `INSULA_KIND_INT64`, after each `insula_signal_raise`. Store the handle where
// the handler finds it before the handler is installed. To be closed; a shutdown closes it, too.
// Once the port is closed, raising the signal has no effect.
//
// Errors: `STALE_HANDLE`, `WRONG_TYPE`; `OUT_OF_RESOURCES` if 64 signals are open, or no thread or
// descriptor is left; `UNSUPPORTED` on Windows.
insula_status insula_signal_open(insula_port port, int64_t number, insula_signal *signal);

// Wakes the port of a signal. May be called in a signal handler, whatever that interrupted, and
// everywhere else at any time: takes no lock, allocates nothing, never waits, and leaves `errno`
// and `insula_last_error` as they are.
//
// Each call that returns `INSULA_OK` is followed by a message to the port, unless the signal or
// the port is closed first. Calls that come before that message is posted may share it, so there
// can be fewer messages than calls. If the port is full the message comes as soon as there is room.
//
// Errors: `BAD_HANDLE`; `STALE_HANDLE` if the signal is closed, also by a shutdown; `FORKED`.
insula_status insula_signal_raise(insula_signal signal);

// Closes a signal. A message that was not posted yet may get lost. A handler that raises the
// signal later, or at the same time on another thread, gets `STALE_HANDLE`.
//
// Errors: `STALE_HANDLE`, `WRONG_TYPE`.
insula_status insula_signal_close(insula_signal signal);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* INSULA_H */

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

/* Values. None of these copies or allocates anything. */

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

/* The items of an array, and the port or capability in a value. */

static inline const insula_value *insula_items(const insula_value *value) {
    return (const insula_value *)value->data;
}

static inline uint64_t insula_handle_of(const insula_value *value) {
    return (uint64_t)value->integer;
}
