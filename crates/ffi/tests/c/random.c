/*
 * Random calls on several threads, compared with a model.
 *
 * Each thread drives a root isolate of its own, and records what it has opened, closed, posted and
 * started there; so it knows what every call must return, and which messages must arrive. All
 * threads also use, and sometimes close, native ports that they share: there a call may come before
 * or after another thread's, and both results are right. In the end every finalizer and every free
 * callback has been called once for each time that something was accepted.
 *
 * INSULA_FFI_CALLS is the number of calls (100000), INSULA_FFI_THREADS the number of threads (4),
 * INSULA_FFI_SEED the first seed (1).
 */
#include <string.h>
#include <time.h>

#include "common.h"

#define ENTRIES 48
/* The signals of one thread, of the 64 that the process can have. */
#define SIGNALS 6
#define SHARED 4
#define HOUR (3600 * SECOND)

typedef enum {
    NOTHING,
    PORT,
    TIMER,
    CALLBACK,
    MAILBOX,
    MUTEX,
    CAPABILITY,
    ISOLATE,
    RESPONDER,
    SIGNAL,
    KINDS
} kind;

/* The model of one handle. It is kept after the close, to be misused. */
typedef struct {
    kind kind;
    int is_open;
    uint64_t handle;
    /* Of a port: its room, and its messages under way. Of a callback: its kind. */
    int limit;
    int queued;
    /* Of a timer: it fires when the queue is handled. Of a mailbox: it is full. Of a lock: it is
       held. Of a signal: it was raised, and its message must arrive. */
    int flag;
    /* Of a lock: its holder has ended. */
    int is_left;
    /* Of a signal: the number that it posts, which is unique; and its port. */
    int64_t number;
    insula_port port;
    /* Of a mailbox or a responder: it was closed and not released. */
    int is_shut;
    /* Of a responder: its requester. */
    uint64_t peer;
} entry;

typedef struct {
    uint64_t seed;
    uint64_t calls;
    uint64_t budget;
    insula_root root;
    entry entries[ENTRIES];
    /* The events that must have happened in the isolate, and those that have. */
    uint64_t expected;
    uint64_t happened;
    int64_t signals;
    char data[64];
} worker;

static insula_port shared_ports[SHARED];
static pthread_mutex_t shared_mutex = PTHREAD_MUTEX_INITIALIZER;

/* Counted on any thread. */
static pthread_mutex_t count_mutex = PTHREAD_MUTEX_INITIALIZER;
static uint64_t finalized, freed;
static uint64_t moved, registered;

static void count(uint64_t *counter) {
    pthread_mutex_lock(&count_mutex);
    *counter += 1;
    pthread_mutex_unlock(&count_mutex);
}

static void on_finalizer(void *peer) {
    (void)peer;
    count(&finalized);
}

static void on_free(void *user) {
    (void)user;
    count(&freed);
}

static uint64_t random_number(worker *it) {
    it->seed ^= it->seed << 13;
    it->seed ^= it->seed >> 7;
    it->seed ^= it->seed << 17;
    return it->seed;
}

static int below(worker *it, int limit) {
    return (int)(random_number(it) % (uint64_t)limit);
}

/* Makes a call, which must return `status`. */
#define CALL(it, call, status)                                                           \
    do {                                                                                 \
        insula_status call_want = (status);                                              \
        insula_status call_got = (call);                                                 \
        (it)->calls += 1;                                                                \
        if (call_got != call_want) {                                                     \
            fprintf(stderr, "%s:%d: %s: %d (%s) instead of %d\n", __FILE__, __LINE__,    \
                    #call, (int)call_got, insula_last_error(), (int)call_want);          \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

static insula_status if_open(const entry *e, insula_status otherwise) {
    return e->is_open ? otherwise : INSULA_ERROR_STALE_HANDLE;
}

static void on_message(void *user, insula_port port, const insula_value *message) {
    (void)port;
    worker *it = (worker *)user;
    if (message->kind == INSULA_KIND_INT64 && message->integer < 0) {
        /* From a signal. It may come late, after the signal was closed. */
        for (int i = 0; i < ENTRIES; i++) {
            if (it->entries[i].kind == SIGNAL && it->entries[i].number == message->integer) {
                it->entries[i].flag = 0;
            }
        }
        return;
    }
    it->happened += 1;
    /* Sometimes the receiver takes over the data. */
    if (message->kind == INSULA_KIND_EXTERNAL_TYPED_DATA && message->length == 8) {
        EXPECT(message->data == it->data);
        CHECK(insula_value_take(message));
        EXPECT(insula_value_take(message) == INSULA_ERROR_NOT_FOUND);
        message->finalizer(message->peer);
    }
}

static void on_shared(void *user, insula_port port, const insula_value *message) {
    (void)user;
    (void)port;
    (void)message;
}

static void on_timer(void *user, insula_timer timer, uint64_t tick) {
    (void)timer;
    EXPECT(tick == 1);
    ((worker *)user)->happened += 1;
}

static void on_microtask(void *user) {
    ((worker *)user)->happened += 1;
}

static void on_callback(void *user, insula_callback callback, const insula_value *arguments) {
    (void)callback;
    worker *it = (worker *)user;
    it->happened += 1;
    insula_value answer = insula_int64(arguments->integer + 1);
    CHECK(insula_reply(&answer));
}

static void on_result(void *user, const insula_value *result) {
    *(int64_t *)user = result->integer;
}

static int32_t short_life(void *user, const insula_value *message) {
    (void)user;
    (void)message;
    return 0;
}

/* Ends while it holds the lock that the message names. */
static int32_t leave_locked(void *user, const insula_value *message) {
    (void)user;
    CHECK(insula_mutex_lock((insula_mutex)message->integer, 0));
    return 0;
}

/* Returns a place for a new handle. */
static entry *place(worker *it, kind kind) {
    for (int tries = 0; tries < 8; tries++) {
        entry *e = &it->entries[below(it, ENTRIES)];
        if (!e->is_open) {
            memset(e, 0, sizeof *e);
            e->kind = kind;
            e->is_open = 1;
            return e;
        }
    }
    return NULL;
}

/* Returns any handle, open or closed; preferably of `kind`. */
static entry *pick(worker *it, kind kind) {
    for (int tries = 0; tries < 16; tries++) {
        entry *e = &it->entries[below(it, ENTRIES)];
        if (e->kind == kind) {
            return e;
        }
    }
    return NULL;
}

/* Opens a signal for a port of the isolate, if the model has room for both. */
static int open_signal(worker *it, entry *e) {
    entry *target = pick(it, PORT);
    int open = 0;
    for (int i = 0; i < ENTRIES; i++) {
        open += it->entries[i].kind == SIGNAL && it->entries[i].is_open;
    }
    /* The message of a signal takes room at an unknown time, so only ports without a limit are
       used. */
    if (target == NULL || target->limit != 0 || open > SIGNALS) {
        return 0;
    }
    it->signals -= 1;
    e->number = it->signals;
    e->port = target->handle;
    CALL(it, insula_signal_open(e->port, e->number, &e->handle), if_open(target, INSULA_OK));
    return target->is_open;
}

/* ---- one function for each way to begin something ---- */

static void open_something(worker *it) {
    kind which = (kind)(1 + below(it, KINDS - 1));
    entry *e = place(it, which);
    if (e == NULL) {
        return;
    }
    switch (which) {
    case PORT:
        e->limit = below(it, 2) * 4;
        CALL(it, insula_port_open((uint64_t)e->limit, 0, on_message, it, on_free, &e->handle),
             INSULA_OK);
        count(&registered);
        break;
    case TIMER:
        e->flag = below(it, 2);
        CALL(it, insula_timer_start(e->flag ? 0 : HOUR, 0, on_timer, it, on_free, &e->handle),
             INSULA_OK);
        count(&registered);
        break;
    case CALLBACK:
        e->limit = below(it, 4);
        CALL(it, insula_callback_open((uint32_t)e->limit, 0, on_callback, it, on_free,
                                      &e->handle), INSULA_OK);
        count(&registered);
        break;
    case MAILBOX:
        CALL(it, insula_mailbox_new(&e->handle), INSULA_OK);
        break;
    case MUTEX:
        CALL(it, insula_mutex_new(&e->handle), INSULA_OK);
        break;
    case CAPABILITY:
        CALL(it, insula_capability_new(&e->handle), INSULA_OK);
        break;
    case ISOLATE:
        CALL(it, insula_isolate_current(&e->handle), INSULA_OK);
        break;
    case RESPONDER:
        CALL(it, insula_rendezvous_new(&e->peer, &e->handle), INSULA_OK);
        break;
    case SIGNAL:
        if (!open_signal(it, e)) {
            e->kind = NOTHING;
            e->is_open = 0;
        }
        break;
    default:
        abort();
    }
}

/* ---- one function for each type ---- */

static void post(worker *it, entry *e) {
    insula_value items[2];
    insula_value message = insula_int64(1);
    int external = 0;
    switch (below(it, 5)) {
    case 0:
        message = insula_string("text", 4);
        break;
    case 1:
        external = 1;
        message = insula_external(INSULA_ELEMENT_UINT8, it->data, 8 + 8 * (uint64_t)below(it, 2),
                                  it, on_finalizer);
        break;
    case 2:
        external = 1;
        items[0] = insula_typed_data(INSULA_ELEMENT_FLOAT64, it->data, 16);
        items[1] = insula_external(INSULA_ELEMENT_UINT8, it->data, 16, it, on_finalizer);
        message = insula_array(items, 2);
        break;
    case 3:
        message = insula_string("\xff", 1);
        CALL(it, insula_post(e->handle, &message), INSULA_ERROR_BAD_UTF8);
        return;
    default:
        break;
    }
    int is_full = e->limit != 0 && e->queued == e->limit;
    insula_status want = if_open(e, is_full ? INSULA_ERROR_FULL : INSULA_OK);
    if (external && want == INSULA_OK) {
        count(&moved);
    }
    CALL(it, insula_post(e->handle, &message), want);
    if (want == INSULA_OK) {
        e->queued += 1;
    }
}

static void use_port(worker *it, entry *e) {
    if (below(it, 4) != 0) {
        post(it, e);
        return;
    }
    CALL(it, insula_port_close(e->handle), if_open(e, INSULA_OK));
    /* Queued messages are dropped. */
    e->is_open = 0;
    e->queued = 0;
}

static void use_timer(worker *it, entry *e) {
    CALL(it, insula_timer_cancel(e->handle), if_open(e, INSULA_OK));
    e->is_open = 0;
}

static void use_callback(worker *it, entry *e) {
    if (below(it, 4) == 0) {
        CALL(it, insula_callback_close(e->handle), if_open(e, INSULA_OK));
        e->is_open = 0;
        e->queued = 0;
        return;
    }
    int64_t result = 0;
    insula_value argument = insula_int64(41);
    insula_status want = INSULA_OK;
    if (e->limit == INSULA_CALLBACK_BLOCKING) {
        /* The isolate that is to answer is the one that asks. */
        want = INSULA_ERROR_DEADLOCK;
    }
    CALL(it, insula_callback_call(e->handle, &argument, 10 * SECOND, on_result, &result),
         if_open(e, want));
    if (!e->is_open || want != INSULA_OK) {
        EXPECT(result == 0);
    } else if (e->limit == INSULA_CALLBACK_LISTENER) {
        e->queued += 1;
    } else {
        EXPECT(result == 42);
        it->expected += 1;
    }
}

static void use_mailbox(worker *it, entry *e) {
    insula_buffer buffer;
    insula_status shut = e->is_shut ? INSULA_ERROR_CLOSED : INSULA_OK;
    switch (below(it, 6)) {
    case 0:
        CALL(it, insula_mailbox_release(e->handle), if_open(e, INSULA_OK));
        e->is_open = 0;
        break;
    case 1:
        CALL(it, insula_mailbox_close(e->handle), if_open(e, INSULA_OK));
        e->is_shut = 1;
        e->flag = 0;
        break;
    case 2:
    case 3:
        if (shut == INSULA_OK && e->flag) {
            shut = INSULA_ERROR_FULL;
        }
        CALL(it, insula_mailbox_put(e->handle, (const uint8_t *)it->data, 24, 0),
             if_open(e, shut));
        if (e->is_open && shut == INSULA_OK) {
            e->flag = 1;
        }
        break;
    default:
        if (shut == INSULA_OK && !e->flag) {
            shut = INSULA_ERROR_EMPTY;
        }
        CALL(it, insula_mailbox_take(e->handle, 0, &buffer), if_open(e, shut));
        if (e->is_open && shut == INSULA_OK) {
            EXPECT(buffer.length == 24 && memcmp(buffer.bytes, it->data, 24) == 0);
            e->flag = 0;
            CALL(it, insula_buffer_free(buffer.handle), INSULA_OK);
            CALL(it, insula_buffer_free(buffer.handle), INSULA_ERROR_STALE_HANDLE);
        }
        break;
    }
}

/* Spawns an isolate that acquires the lock, which is free, and ends while it holds it. */
static void leave_to_nobody(worker *it, entry *e) {
    insula_isolate isolate;
    uint32_t reason = 0;
    insula_value message = insula_int64((int64_t)e->handle);
    CALL(it, insula_spawn(NULL, leave_locked, NULL, NULL, &message, &isolate), INSULA_OK);
    CALL(it, insula_isolate_wait(isolate, INSULA_FOREVER, &reason, NULL, 0), INSULA_OK);
    EXPECT(reason == INSULA_EXIT_FINISHED);
    CALL(it, insula_isolate_release(isolate), INSULA_OK);
    e->is_left = 1;
}

static void use_mutex(worker *it, entry *e) {
    insula_status want;
    switch (below(it, 7)) {
    case 0:
    case 1:
        want = e->is_left ? INSULA_ERROR_PEER_DIED
                          : e->flag ? INSULA_ERROR_TIMED_OUT : INSULA_OK;
        CALL(it, insula_mutex_lock(e->handle, 0), if_open(e, want));
        e->flag = !e->is_left;
        break;
    case 2:
    case 3:
        CALL(it, insula_mutex_unlock(e->handle),
             if_open(e, e->flag ? INSULA_OK : INSULA_ERROR_BAD_STATE));
        e->flag = 0;
        break;
    case 4:
        CALL(it, insula_mutex_recover(e->handle),
             if_open(e, e->is_left ? INSULA_OK : INSULA_ERROR_BAD_STATE));
        e->is_left = 0;
        break;
    case 5:
        if (e->is_open && !e->flag && !e->is_left && below(it, 8) == 0) {
            leave_to_nobody(it, e);
        }
        break;
    default:
        if (e->flag && e->is_open) {
            CALL(it, insula_mutex_unlock(e->handle), INSULA_OK);
        }
        CALL(it, insula_mutex_release(e->handle), if_open(e, INSULA_OK));
        e->is_open = 0;
        break;
    }
}

static void use_signal(worker *it, entry *e) {
    if (below(it, 4) == 0) {
        CALL(it, insula_signal_close(e->handle), if_open(e, INSULA_OK));
        e->is_open = 0;
        return;
    }
    CALL(it, insula_signal_raise(e->handle), if_open(e, INSULA_OK));
    e->flag = 1;
}

static void use_responder(worker *it, entry *e) {
    insula_buffer buffer;
    insula_status want = e->is_shut ? INSULA_ERROR_CLOSED : INSULA_ERROR_EMPTY;
    switch (below(it, 4)) {
    case 0:
        CALL(it, insula_responder_receive(e->handle, 0, &buffer), if_open(e, want));
        break;
    case 1:
        CALL(it, insula_rendezvous_close(e->handle), if_open(e, INSULA_OK));
        e->is_shut = 1;
        break;
    case 2:
        CALL(it, insula_rendezvous_release(e->handle), if_open(e, INSULA_OK));
        CALL(it, insula_rendezvous_release(e->peer), if_open(e, INSULA_OK));
        e->is_open = 0;
        break;
    default:
        /* The wrong side. */
        CALL(it, insula_responder_receive(e->peer, 0, &buffer),
             if_open(e, INSULA_ERROR_WRONG_TYPE));
        break;
    }
}

static void use_simple(worker *it, entry *e) {
    if (e->kind == CAPABILITY) {
        CALL(it, insula_capability_release(e->handle), if_open(e, INSULA_OK));
    } else {
        char name[4];
        uint64_t length = 0;
        CALL(it, insula_isolate_name(e->handle, name, sizeof name, &length),
             if_open(e, INSULA_OK));
        EXPECT(!e->is_open || (length == 6 && strcmp(name, "ran") == 0));
        CALL(it, insula_isolate_release(e->handle), if_open(e, INSULA_OK));
    }
    e->is_open = 0;
}

/* ---- what is always wrong ---- */

static void misuse(worker *it) {
    entry *e = &it->entries[below(it, ENTRIES)];
    if (e->kind == NOTHING) {
        return;
    }
    insula_status want = if_open(e, INSULA_ERROR_WRONG_TYPE);
    if (e->kind == SIGNAL) {
        /* Signals have numbers of their own. */
        want = INSULA_ERROR_BAD_HANDLE;
    }
    if (below(it, 4) == 0) {
        uint64_t bits = random_number(it);
        insula_status got = insula_call_release(bits);
        it->calls += 1;
        EXPECT(got == INSULA_ERROR_BAD_HANDLE || got == INSULA_ERROR_STALE_HANDLE ||
               got == INSULA_ERROR_WRONG_TYPE);
        return;
    }
    switch (below(it, 3)) {
    case 0:
        CALL(it, insula_call_cancel(e->handle), want);
        break;
    case 1:
        CALL(it, insula_buffer_free(e->handle), want);
        break;
    default:
        CALL(it, insula_service_release(e->handle), want);
        break;
    }
}

/* ---- operations that other threads do at the same time ---- */

static void use_shared(worker *it) {
    int index = below(it, SHARED);
    pthread_mutex_lock(&shared_mutex);
    insula_port port = shared_ports[index];
    pthread_mutex_unlock(&shared_mutex);
    it->calls += 1;
    if (below(it, 16) != 0) {
        insula_value message =
            insula_external(INSULA_ELEMENT_UINT8, it->data, 16, it, on_finalizer);
        insula_status got = insula_post(port, &message);
        if (got == INSULA_OK) {
            count(&moved);
        } else {
            EXPECT(got == INSULA_ERROR_STALE_HANDLE || got == INSULA_ERROR_CLOSED);
        }
        return;
    }
    insula_status got = insula_port_close(port);
    EXPECT(got == INSULA_OK || got == INSULA_ERROR_STALE_HANDLE);
    if (got == INSULA_OK) {
        /* The thread that closed it opens the next one. */
        CHECK(insula_native_port_open("shared", 2, on_shared, NULL, on_free, &port));
        count(&registered);
        pthread_mutex_lock(&shared_mutex);
        shared_ports[index] = port;
        pthread_mutex_unlock(&shared_mutex);
    }
}

static void spawn(worker *it) {
    insula_isolate isolate;
    insula_value message =
        insula_external(INSULA_ELEMENT_UINT8, it->data, 16, it, on_finalizer);
    count(&moved);
    count(&registered);
    CALL(it, insula_spawn(NULL, short_life, it, on_free, &message, &isolate), INSULA_OK);
    if (below(it, 2) == 0) {
        CALL(it, insula_isolate_kill(isolate, (uint32_t)below(it, 3)), INSULA_OK);
    }
    CALL(it, insula_isolate_release(isolate), INSULA_OK);
    CALL(it, insula_isolate_release(isolate), INSULA_ERROR_STALE_HANDLE);
}

static void use_something(worker *it) {
    entry *e = pick(it, (kind)(1 + below(it, KINDS - 1)));
    if (e == NULL) {
        return;
    }
    switch (e->kind) {
    case PORT:
        use_port(it, e);
        break;
    case TIMER:
        use_timer(it, e);
        break;
    case CALLBACK:
        use_callback(it, e);
        break;
    case MAILBOX:
        use_mailbox(it, e);
        break;
    case MUTEX:
        use_mutex(it, e);
        break;
    case RESPONDER:
        use_responder(it, e);
        break;
    case SIGNAL:
        use_signal(it, e);
        break;
    default:
        use_simple(it, e);
        break;
    }
}

/* Makes some steps as code of the root isolate. */
static void steps(void *user) {
    worker *it = (worker *)user;
    for (int i = 0; i < 100; i++) {
        int which = below(it, 100);
        if (which < 25) {
            open_something(it);
        } else if (which < 85) {
            use_something(it);
        } else if (which < 92) {
            misuse(it);
        } else if (which < 97) {
            use_shared(it);
        } else if (which < 98) {
            spawn(it);
        } else {
            it->expected += 1;
            count(&registered);
            CALL(it, insula_microtask(on_microtask, it, on_free), INSULA_OK);
        }
    }
}

/* Returns whether a signal is open and was raised, so that its port, if open, must receive it. */
static int waits_for_signal(worker *it) {
    for (int i = 0; i < ENTRIES; i++) {
        entry *e = &it->entries[i];
        for (int j = 0; j < ENTRIES && e->kind == SIGNAL && e->is_open && e->flag; j++) {
            entry *target = &it->entries[j];
            if (target->kind == PORT && target->is_open && target->handle == e->port) {
                return 1;
            }
        }
    }
    return 0;
}

static void handle_all(worker *it) {
    uint32_t state = INSULA_ROOT_MORE;
    while (state == INSULA_ROOT_MORE) {
        CALL(it, insula_root_handle_message(it->root, &state), INSULA_OK);
    }
    EXPECT(state == INSULA_ROOT_IDLE);
}

/* Handles all queued messages: exactly those that the model expects must arrive. */
static void settle(worker *it) {
    for (int i = 0; i < ENTRIES; i++) {
        entry *e = &it->entries[i];
        if (e->is_open && (e->kind == PORT || e->kind == CALLBACK)) {
            it->expected += (uint64_t)e->queued;
            e->queued = 0;
        }
        if (e->is_open && e->kind == TIMER && e->flag) {
            it->expected += 1;
            e->is_open = 0;
        }
    }
    handle_all(it);
    /* Signals are posted by another thread, which may need some time. */
    while (waits_for_signal(it)) {
        struct timespec pause = { 0, 50000 };
        nanosleep(&pause, NULL);
        handle_all(it);
    }
    if (it->happened != it->expected) {
        fprintf(stderr, "%llu events instead of %llu\n", (unsigned long long)it->happened,
                (unsigned long long)it->expected);
        exit(1);
    }
}

static void notify(void *user) {
    (void)user;
}

static void *run(void *user) {
    worker *it = (worker *)user;
    CALL(it, insula_root_create("random", notify, it, on_free, &it->root), INSULA_OK);
    count(&registered);
    while (it->calls < it->budget) {
        CALL(it, insula_root_enter(it->root, steps, it), INSULA_OK);
        settle(it);
    }
    /* The end of the isolate ends its ports and timers. */
    CALL(it, insula_root_close(it->root), INSULA_OK);
    for (int i = 0; i < ENTRIES; i++) {
        entry *e = &it->entries[i];
        if (e->kind == PORT) {
            CALL(it, insula_post_int64(e->handle, 1), INSULA_ERROR_STALE_HANDLE);
        } else if (e->kind == CALLBACK && e->is_open) {
            CALL(it, insula_callback_close(e->handle), INSULA_OK);
        }
    }
    return NULL;
}

static uint64_t setting(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

int main(void) {
    uint64_t calls = setting("INSULA_FFI_CALLS", 100000);
    uint64_t count_of_threads = setting("INSULA_FFI_THREADS", 4);
    uint64_t seed = setting("INSULA_FFI_SEED", 1);
    insula_config config = INSULA_CONFIG_INIT;
    CHECK(insula_init(&config));
    for (int i = 0; i < SHARED; i++) {
        CHECK(insula_native_port_open("shared", 2, on_shared, NULL, on_free, &shared_ports[i]));
        count(&registered);
    }
    worker *workers = (worker *)calloc(count_of_threads, sizeof *workers);
    pthread_t *threads = (pthread_t *)calloc(count_of_threads, sizeof *threads);
    for (uint64_t i = 0; i < count_of_threads; i++) {
        workers[i].seed = (seed + i) * 0x9e3779b97f4a7c15ull + 1;
        workers[i].budget = calls / count_of_threads;
        EXPECT(pthread_create(&threads[i], NULL, run, &workers[i]) == 0);
    }
    uint64_t made = 0;
    for (uint64_t i = 0; i < count_of_threads; i++) {
        pthread_join(threads[i], NULL);
        made += workers[i].calls;
    }
    CHECK(insula_shut_down(60 * SECOND));
    insula_status_info info = INSULA_STATUS_INFO_INIT;
    CHECK(insula_inspect(&info));
    EXPECT(info.handles == 0 && info.callbacks == 0 && info.external_values == 0);
    EXPECT(moved == finalized);
    EXPECT(registered == freed);
    EXPECT(made >= calls);
    fprintf(stderr, "%llu calls, %llu buffers moved, %llu callbacks registered\n",
            (unsigned long long)made, (unsigned long long)moved,
            (unsigned long long)registered);
    free(workers);
    free(threads);
    printf("the library does what the model says\n");
    return 0;
}
