/*
 * Several threads open, close, call, post, wait, shut down and start again, in random order and
 * with shared handles that may be stale. No call may hang or report an internal error. What a call
 * accepts is freed exactly once (it is on the heap, and its finalizer frees it); what it refuses is
 * still the caller's, which frees it at once. Some steps are made by threads that are ending, when
 * their thread-local storage is gone, and some by isolates, which may end with locks held.
 *
 * A shutdown that began before a start must not end what was started, unless it had not begun its
 * work by then. The test counts the runtimes that only such a shutdown can have ended.
 *
 * INSULA_FFI_STEPS is the number of steps (30000), INSULA_FFI_THREADS the number of threads (4),
 * INSULA_FFI_SEED the first seed (1).
 */
#include <time.h>
#include <unistd.h>

#include "common.h"

#define SLOTS 6

typedef enum { NATIVE, SERVICE, CALL, ISOLATE, MAILBOX, MUTEX, CONDITION, CALLBACK, SIGNAL, KINDS } kind;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint64_t slots[KINDS][SLOTS];
static long accepted, given_back, begun, told, running, starts, shutdowns;
/* The shutdowns that have begun, also those that fail; their number before the latest start; and
   the starts whose runtime ended although no shutdown had begun since. */
static long shutdowns_begun, begun_before_start, ended_by_earlier;
/* Destroyed when a thread ends, after the thread-local storage of the library. */
static pthread_key_t late_key;

static void count(long *counter, long number) {
    pthread_mutex_lock(&mutex);
    *counter += number;
    pthread_mutex_unlock(&mutex);
}

static long look(const long *counter) {
    pthread_mutex_lock(&mutex);
    long number = *counter;
    pthread_mutex_unlock(&mutex);
    return number;
}

typedef struct {
    uint64_t seed;
    long steps;
    pthread_t thread;
    int is_late;
    /* The current step and the number of steps made; protected by the mutex. */
    int step;
    long made;
} worker;

static insula_status step(worker *it);

static int below(worker *it, int limit) {
    it->seed ^= it->seed << 13;
    it->seed ^= it->seed >> 7;
    it->seed ^= it->seed << 17;
    return (int)(it->seed % (uint64_t)limit);
}

static uint64_t any(worker *it, kind of) {
    int slot = below(it, SLOTS);
    pthread_mutex_lock(&mutex);
    uint64_t handle = slots[of][slot];
    pthread_mutex_unlock(&mutex);
    return handle;
}

static void keep(worker *it, kind of, uint64_t handle) {
    int slot = below(it, SLOTS);
    pthread_mutex_lock(&mutex);
    uint64_t before = slots[of][slot];
    slots[of][slot] = handle;
    pthread_mutex_unlock(&mutex);
    insula_status status = INSULA_OK;
    switch (of) {
    case NATIVE: status = insula_port_close(before); break;
    case SERVICE: status = insula_service_release(before); break;
    case CALL: status = insula_call_release(before); break;
    case ISOLATE: status = insula_isolate_release(before); break;
    case MAILBOX: status = insula_mailbox_release(before); break;
    case MUTEX: status = insula_mutex_release(before); break;
    case CONDITION: status = insula_condition_release(before); break;
    case CALLBACK: status = insula_callback_close(before); break;
    case SIGNAL: status = insula_signal_close(before); break;
    default: break;
    }
    EXPECT(status != INSULA_ERROR_INTERNAL);
}

/* On the heap: the tools and the counters find a second free, or one that is missing. */
static void *something(void) {
    char *it = malloc(16);
    EXPECT(it != NULL);
    it[0] = 'i';
    return it;
}

static void give_back(void *peer) {
    EXPECT(*(char *)peer == 'i');
    free(peer);
    count(&given_back, 1);
}

/* `peer` was given to a call that returned `status`. */
static insula_status settle(insula_status status, void *peer) {
    if (status == INSULA_OK) {
        count(&accepted, 1);
    } else {
        EXPECT(*(char *)peer == 'i');
        free(peer);
    }
    return status;
}

static insula_value loaded(void *peer) {
    return insula_external(INSULA_ELEMENT_UINT8, peer, 1, peer, give_back);
}

static void on_message(void *user, insula_port port, const insula_value *message) {
    (void)port;
    EXPECT(*(char *)user == 'i');
    EXPECT(message->kind != INSULA_KIND_EXTERNAL_TYPED_DATA || *(char *)message->peer == 'i');
    if (message->kind == INSULA_KIND_BOOL) {
        /* Delays the threads that wait for it, so that several shutdowns are under way. */
        struct timespec pause = { 0, 2000000 };
        nanosleep(&pause, NULL);
    }
}

static void on_request(void *user, const insula_value *request) {
    EXPECT(*(char *)user == 'i');
    if (request->kind == INSULA_KIND_BOOL) {
        /* Runs until it is stopped. */
        insula_status status;
        while ((status = insula_checkpoint()) == INSULA_OK) {
        }
        EXPECT(status == INSULA_ERROR_ENDING || status == INSULA_ERROR_CANCELLED ||
               status == INSULA_ERROR_TIMED_OUT);
        /* The end is final. */
        EXPECT(status != INSULA_ERROR_ENDING || insula_checkpoint() == INSULA_ERROR_ENDING);
    }
    (void)insula_reply(NULL);
}

static void on_done(void *user, insula_status status, uint32_t may_have_run,
                    const insula_value *reply) {
    (void)may_have_run;
    (void)reply;
    EXPECT(*(char *)user == 'i' && status != INSULA_ERROR_INTERNAL);
    count(&told, 1);
}

static int32_t entry(void *user, const insula_value *message) {
    EXPECT(*(char *)user == 'i');
    if (message->kind == INSULA_KIND_EXTERNAL_TYPED_DATA) {
        insula_port port;
        (void)insula_port_open(0, 0, on_message, NULL, NULL, &port);
    } else {
        /* The isolate ends with the lock held, if it gets it. */
        EXPECT(insula_mutex_lock((insula_mutex)message->integer, 1000000) !=
               INSULA_ERROR_INTERNAL);
    }
    return 0;
}

static void on_call(void *user, insula_callback callback, const insula_value *arguments) {
    (void)callback;
    EXPECT(*(char *)user == 'i');
    EXPECT(arguments->kind != INSULA_KIND_EXTERNAL_TYPED_DATA || *(char *)arguments->peer == 'i');
    (void)insula_reply(NULL);
}

static void on_notify(void *user) {
    EXPECT(*(char *)user == 'i');
}

static uint64_t some_time(worker *it) {
    static const uint64_t times[] = { 0, 1000, 1000000, INSULA_FOREVER };
    return times[below(it, 4)];
}

static insula_status start(void) {
    insula_config config = INSULA_CONFIG_INIT;
    config.threads = 2;
    long before = look(&shutdowns_begun);
    insula_status status = insula_init(&config);
    EXPECT(status == INSULA_OK || status == INSULA_ERROR_ALREADY_STARTED);
    if (status == INSULA_OK) {
        pthread_mutex_lock(&mutex);
        ended_by_earlier += starts > 0 && shutdowns_begun == begun_before_start;
        begun_before_start = before;
        starts += 1;
        pthread_mutex_unlock(&mutex);
    }
    return status;
}

static insula_status shut_down(uint64_t timeout) {
    count(&shutdowns_begun, 1);
    insula_status status = insula_shut_down(timeout);
    EXPECT(status == INSULA_OK || status == INSULA_ERROR_SHUT_DOWN ||
           (status == INSULA_ERROR_TIMED_OUT && timeout != INSULA_FOREVER));
    count(&shutdowns, status == INSULA_OK);
    return status;
}

static void on_hook(void *user, const char *isolate, const char *text) {
    (void)isolate;
    (void)text;
    EXPECT(*(char *)user == 'i');
}

static insula_status open_service(worker *it) {
    insula_service_options options = INSULA_SERVICE_OPTIONS_INIT;
    options.workers = 1 + (uint32_t)below(it, 2);
    options.queue = 4;
    options.flags = (uint32_t)below(it, 2);
    options.name = below(it, 3) == 0 ? "named" : NULL;
    insula_service service = 0;
    void *peer = something();
    insula_status status = insula_service_open(&options, on_request, peer, give_back, &service);
    if (settle(status, peer) == INSULA_OK) {
        keep(it, SERVICE, service);
    }
    return status;
}

static insula_status call_service(worker *it) {
    insula_value request = below(it, 8) == 0 ? insula_bool(1) : insula_null();
    insula_call call = 0;
    void *peer = something();
    insula_status status = insula_service_call(any(it, SERVICE), &request, some_time(it), on_done,
                                               peer, give_back, &call);
    if (settle(status, peer) == INSULA_OK) {
        count(&begun, 1);
        keep(it, CALL, call);
    }
    return status;
}

/* Records whether the service may have begun with a call that failed. */
static void note_whether_it_ran(void *user, insula_status status, uint32_t may_have_run,
                                const insula_value *reply) {
    (void)status;
    (void)reply;
    *(uint32_t *)user = may_have_run;
}

static insula_status call_blocking(worker *it) {
    void *peer = something();
    insula_value request = loaded(peer);
    uint32_t has_moved = 0;
    insula_status status = insula_service_call_blocking(any(it, SERVICE), &request, some_time(it),
                                                        note_whether_it_ran, &has_moved);
    settle(has_moved ? INSULA_OK : INSULA_ERROR_FAILED, peer);
    return status;
}

static insula_status spawn(worker *it) {
    insula_isolate isolate = 0;
    insula_spawn_options options = INSULA_SPAWN_OPTIONS_INIT;
    options.flags = below(it, 8) == 0 ? INSULA_SPAWN_PINNED : 0;
    void *peer = something(), *user = something();
    int is_to_lock = below(it, 4) == 0;
    insula_value message = is_to_lock ? insula_int64((int64_t)any(it, MUTEX)) : loaded(peer);
    insula_status status = insula_spawn(&options, entry, user, give_back, &message, &isolate);
    settle(is_to_lock ? INSULA_ERROR_FAILED : status, peer);
    if (settle(status, user) == INSULA_OK) {
        keep(it, ISOLATE, isolate);
    }
    return status;
}

/* Code of a root isolate. */
static void in_root(void *user) {
    worker *it = user;
    insula_callback callback = 0;
    void *peer = something();
    insula_status status =
        insula_callback_open((uint32_t)below(it, 4), 0, on_call, peer, give_back, &callback);
    EXPECT(status != INSULA_ERROR_INTERNAL);
    if (settle(status, peer) == INSULA_OK) {
        keep(it, CALLBACK, callback);
    }
}

static insula_status live_as_root(worker *it) {
    insula_root root = 0;
    void *peer = something();
    insula_status status = insula_root_create("churn", on_notify, peer, give_back, &root);
    if (settle(status, peer) != INSULA_OK) {
        return status;
    }
    status = insula_root_enter(root, in_root, it);
    EXPECT(status != INSULA_ERROR_INTERNAL);
    for (int i = below(it, 3); i > 0; i--) {
        status = insula_root_handle_message(root, NULL);
        EXPECT(status != INSULA_ERROR_INTERNAL);
    }
    return insula_root_close(root);
}

static insula_status call_callback(worker *it) {
    void *peer = something();
    insula_value argument = loaded(peer);
    insula_status status = insula_callback_call(any(it, CALLBACK), &argument, some_time(it), NULL,
                                                NULL);
    int has_moved = status == INSULA_OK || status == INSULA_ERROR_TIMED_OUT ||
                    status == INSULA_ERROR_DEADLOCK || status == INSULA_ERROR_CANCELLED ||
                    status == INSULA_ERROR_PEER_DIED || status == INSULA_ERROR_FAILED;
    settle(has_moved ? INSULA_OK : status, peer);
    return status;
}

static insula_status use_lock(worker *it) {
    insula_mutex lock = any(it, MUTEX);
    if (below(it, 4) == 0) {
        return insula_mutex_recover(lock);
    }
    insula_status status = insula_mutex_lock(lock, some_time(it));
    if (status == INSULA_OK && below(it, 2) == 0) {
        status = insula_condition_wait(any(it, CONDITION), lock, some_time(it));
    }
    /* If a thread keeps it, it may end with the thread. */
    if (below(it, it->is_late ? 2 : 16) != 0) {
        (void)insula_mutex_unlock(lock);
    }
    return status;
}

static insula_status use_signal(worker *it) {
    if (below(it, 4) != 0) {
        insula_status status = insula_signal_raise(any(it, SIGNAL));
        EXPECT(status == INSULA_OK || status == INSULA_ERROR_BAD_HANDLE ||
               status == INSULA_ERROR_STALE_HANDLE);
        return status;
    }
    insula_signal fresh = 0;
    insula_status status = insula_signal_open(any(it, NATIVE), 1, &fresh);
    if (status == INSULA_OK) {
        keep(it, SIGNAL, fresh);
    }
    return status;
}

/* Makes some steps in a destructor of the thread. */
static void at_thread_exit(void *user) {
    worker *it = user;
    for (long i = 0; i < it->steps; i++) {
        insula_status status = step(it);
        if (status == INSULA_ERROR_INTERNAL) {
            fprintf(stderr, "the library blames itself in a late thread, in step %d\n", it->step);
            exit(1);
        }
    }
}

static void *run_late(void *user) {
    worker *it = user;
    EXPECT(pthread_setspecific(late_key, it) == 0);
    /* In most cases the library uses storage of the thread, which is destroyed before. */
    return below(it, 4) != 0 && step(it) == INSULA_ERROR_INTERNAL ? user : NULL;
}

/* Starts a thread that makes some steps while it ends. */
static insula_status end_a_thread(worker *it) {
    if (it->is_late || below(it, 8) != 0) {
        return INSULA_OK;
    }
    worker late = { .seed = it->seed ^ 0x9e3779b97f4a7c15ull, .steps = 4, .is_late = 1 };
    void *result = NULL;
    EXPECT(pthread_create(&late.thread, NULL, run_late, &late) == 0);
    EXPECT(pthread_join(late.thread, &result) == 0);
    return result == NULL ? INSULA_OK : INSULA_ERROR_INTERNAL;
}

static insula_status step(worker *it) {
    int which = below(it, 30);
    pthread_mutex_lock(&mutex);
    it->step = which;
    it->made += 1;
    pthread_mutex_unlock(&mutex);
    switch (which) {
    case 0:
        return below(it, 40) == 0 ? start() : INSULA_OK;
    case 1: {
        if (below(it, 40) != 0) {
            return INSULA_OK;
        }
        if (below(it, 2) == 0) {
            insula_value slow = insula_bool(1);
            (void)insula_post(any(it, NATIVE), &slow);
        }
        insula_status status = shut_down(some_time(it));
        return status == INSULA_OK && below(it, 2) == 0 ? start() : status;
    }
    case 2:
        return open_service(it);
    case 3:
        return below(it, 4) == 0 ? insula_service_close(any(it, SERVICE), some_time(it))
                                 : INSULA_OK;
    case 4: {
        insula_service service = 0;
        insula_status status = insula_service_find("named", &service);
        if (status == INSULA_OK) {
            keep(it, SERVICE, service);
        }
        return status;
    }
    case 5:
    case 6:
    case 7:
        return call_service(it);
    case 8:
        return call_blocking(it);
    case 9:
        return insula_call_cancel(any(it, CALL));
    case 10: {
        insula_port port = 0;
        void *peer = something();
        insula_status status =
            insula_native_port_open("churn", 2, on_message, peer, give_back, &port);
        if (settle(status, peer) == INSULA_OK) {
            keep(it, NATIVE, port);
        }
        return status;
    }
    case 11:
    case 12:
    case 13: {
        if (below(it, 16) == 0) {
            insula_value slow = insula_bool(1);
            return insula_post(any(it, NATIVE), &slow);
        }
        void *peer = something();
        insula_value message = loaded(peer);
        return settle(insula_post(any(it, NATIVE), &message), peer);
    }
    case 14:
        return spawn(it);
    case 15:
        return insula_isolate_kill(any(it, ISOLATE), (uint32_t)below(it, 3));
    case 16:
        return insula_isolate_wait(any(it, ISOLATE), some_time(it), NULL, NULL, 0);
    case 17: {
        uint64_t fresh = 0;
        insula_status status;
        switch (below(it, 3)) {
        case 0:
            status = insula_mailbox_new(&fresh);
            if (status == INSULA_OK) {
                keep(it, MAILBOX, fresh);
            }
            return status;
        case 1:
            status = insula_mutex_new(&fresh);
            if (status == INSULA_OK) {
                keep(it, MUTEX, fresh);
            }
            return status;
        default:
            status = insula_condition_new(&fresh);
            if (status == INSULA_OK) {
                keep(it, CONDITION, fresh);
            }
            return status;
        }
    }
    case 18:
        return insula_mailbox_put(any(it, MAILBOX), (const uint8_t *)"x", 1, some_time(it));
    case 19: {
        insula_buffer buffer;
        insula_status status = insula_mailbox_take(any(it, MAILBOX), some_time(it), &buffer);
        if (status == INSULA_OK) {
            (void)insula_buffer_free(buffer.handle);
        }
        return status;
    }
    case 20:
        return use_lock(it);
    case 21:
        return insula_condition_notify(any(it, CONDITION), (uint32_t)below(it, 2));
    case 22: {
        void *peer = something();
        return settle(insula_set_error_hook(on_hook, peer, give_back), peer);
    }
    case 23:
    case 24:
        return use_signal(it);
    case 25:
        return live_as_root(it);
    case 26:
    case 27:
        return call_callback(it);
    case 28:
        return end_a_thread(it);
    default: {
        insula_status_info info = INSULA_STATUS_INFO_INIT;
        return insula_inspect(&info);
    }
    }
}

static void *run(void *user) {
    worker *it = user;
    for (long i = 0; i < it->steps; i++) {
        insula_status status = step(it);
        if (status == INSULA_ERROR_SHUT_DOWN) {
            /* Not counted, because most steps should find a running runtime. */
            i -= 1;
            int which = below(it, 8);
            if (which == 0) {
                /* Joins the shutdown that is under way, if there still is one. */
                (void)shut_down(some_time(it));
            }
            if (which < 3) {
                (void)start();
            }
            struct timespec pause = { 0, 100000 };
            nanosleep(&pause, NULL);
        }
        if (status == INSULA_ERROR_INTERNAL) {
            fprintf(stderr, "the library blames itself in step %d: %s\n", it->step,
                    insula_last_error());
            exit(1);
        }
    }
    count(&running, -1);
    return NULL;
}

/* Checks that every step ends, at the latest with the runtime that it found. */
static void watch(const worker *workers, long threads) {
    static long made_before, since;
    long made = 0;
    struct timespec now;
    EXPECT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    pthread_mutex_lock(&mutex);
    for (long i = 0; i < threads; i++) {
        made += workers[i].made;
    }
    if (made != made_before) {
        made_before = made;
        since = (long)now.tv_sec;
    } else if (now.tv_sec - since > 30) {
        for (long i = 0; i < threads; i++) {
            fprintf(stderr, "a thread is in step %d\n", workers[i].step);
        }
        fputs("no step has ended for 30 seconds\n", stderr);
        exit(1);
    }
    pthread_mutex_unlock(&mutex);
}

static long setting(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text == NULL ? otherwise : atol(text);
}

int main(void) {
    long threads = setting("INSULA_FFI_THREADS", 4);
    long steps = setting("INSULA_FFI_STEPS", 30000);
    long seed = setting("INSULA_FFI_SEED", 1);
    worker *workers = calloc((size_t)threads, sizeof *workers);
    EXPECT(workers != NULL);
    EXPECT(pthread_key_create(&late_key, at_thread_exit) == 0);
    (void)start();
    running = threads;
    for (long i = 0; i < threads; i++) {
        workers[i].seed = (uint64_t)(seed + i) * 0x9e3779b97f4a7c15ull + 1;
        workers[i].steps = steps / threads;
        EXPECT(pthread_create(&workers[i].thread, NULL, run, &workers[i]) == 0);
    }
    /* Some waits end only with the runtime, and a shutdown ends whatever else runs. */
    while (look(&running) > 0) {
        struct timespec pause = { 0, 20000000 };
        nanosleep(&pause, NULL);
        alarm(60);
        (void)shut_down(INSULA_FOREVER);
        (void)start();
        watch(workers, threads);
    }
    for (long i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    (void)start();
    CHECK(insula_shut_down(INSULA_FOREVER));
    insula_status_info info = INSULA_STATUS_INFO_INIT;
    CHECK(insula_inspect(&info));
    fprintf(stderr,
            "seed %ld: %ld starts, %ld shutdowns, %ld ended by an earlier one, "
            "%ld things accepted, %ld calls begun\n",
            seed, starts, shutdowns, ended_by_earlier, accepted, begun);
    EXPECT(info.handles == 0 && info.callbacks == 0 && info.external_values == 0);
    EXPECT(accepted == given_back);
    EXPECT(begun == told);
    /* A few shutdowns may have begun their work late. */
    EXPECT(ended_by_earlier <= 5 + starts / 10);
    free(workers);
    puts("everything was given back once");
    return 0;
}
