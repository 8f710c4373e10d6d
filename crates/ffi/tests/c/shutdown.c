/*
 * A shutdown at any moment: threads at work get a status, none hangs, and when it is over every
 * finalizer, free callback and end of a call has come. Then the same once more.
 */
#include <time.h>

#include "common.h"

#define THREADS 4

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long moved, finalized, registered, freed, begun, ended;
static int stopping;

static insula_port port;
static insula_service service;
static insula_mailbox mailbox;

static void count(long *counter) {
    pthread_mutex_lock(&mutex);
    *counter += 1;
    pthread_mutex_unlock(&mutex);
}

static int is_stopping(void) {
    pthread_mutex_lock(&mutex);
    int it = stopping;
    pthread_mutex_unlock(&mutex);
    return it;
}

static void on_finalizer(void *peer) {
    (void)peer;
    count(&finalized);
    /* A callback may call the library at any time, and is refused once the shutdown has begun. */
    insula_status status = insula_post_int64(port, 1);
    EXPECT(status == INSULA_OK || status == INSULA_ERROR_SHUT_DOWN ||
           status == INSULA_ERROR_STALE_HANDLE || status == INSULA_ERROR_CLOSED);
}

static void on_free(void *user) {
    (void)user;
    count(&freed);
}

static void on_message(void *user, insula_port self, const insula_value *message) {
    (void)user;
    (void)self;
    (void)message;
}

static void on_request(void *user, const insula_value *request) {
    (void)user;
    insula_status status = insula_reply(request);
    EXPECT(status == INSULA_OK || status == INSULA_ERROR_SHUT_DOWN);
}

static void on_done(void *user, insula_status status, uint32_t may_have_run,
                    const insula_value *reply) {
    (void)user;
    (void)may_have_run;
    (void)reply;
    EXPECT(status != INSULA_ERROR_INTERNAL);
    count(&ended);
}

static void on_tick(void *user, insula_timer timer, uint64_t tick) {
    (void)user;
    (void)timer;
    (void)tick;
}

static int32_t live(void *user, const insula_value *message) {
    (void)user;
    (void)message;
    insula_timer timer;
    insula_status status = insula_timer_start(0, 100000, on_tick, NULL, on_free, &timer);
    if (status == INSULA_OK) {
        count(&registered);
    }
    return 0;
}

/* Checks that a status is one of those that may come during a shutdown. */
static void check(insula_status status) {
    switch (status) {
    case INSULA_OK:
    case INSULA_ERROR_SHUT_DOWN:
    case INSULA_ERROR_STALE_HANDLE:
    case INSULA_ERROR_CLOSED:
    case INSULA_ERROR_PEER_DIED:
    case INSULA_ERROR_TIMED_OUT:
    case INSULA_ERROR_EMPTY:
    case INSULA_ERROR_FULL:
        return;
    default:
        fprintf(stderr, "status %d: %s\n", (int)status, insula_last_error());
        exit(1);
    }
}

static void *work(void *user) {
    unsigned seed = (unsigned)(uintptr_t)user;
    insula_status status = INSULA_OK;
    while (!is_stopping() || status != INSULA_ERROR_SHUT_DOWN) {
        seed = seed * 1103515245u + 12345u;
        insula_value message =
            insula_external(INSULA_ELEMENT_UINT8, &seed, sizeof seed, NULL, on_finalizer);
        insula_buffer buffer;
        switch (seed >> 16 & 3) {
        case 0:
            status = insula_post(port, &message);
            if (status == INSULA_OK) {
                count(&moved);
            }
            break;
        case 1:
            status = insula_service_call(service, NULL, INSULA_FOREVER, on_done, NULL, on_free,
                                         NULL);
            if (status == INSULA_OK) {
                count(&begun);
                count(&registered);
            }
            break;
        case 2:
            status = insula_spawn(NULL, live, NULL, on_free, NULL, NULL);
            if (status == INSULA_OK) {
                count(&registered);
            }
            break;
        default:
            status = insula_mailbox_put(mailbox, NULL, 0, 0);
            check(status);
            /* Occasionally blocks until the shutdown. */
            status = insula_mailbox_take(mailbox, INSULA_FOREVER, &buffer);
            if (status == INSULA_OK) {
                status = insula_buffer_free(buffer.handle);
            }
            break;
        }
        check(status);
    }
    return NULL;
}

static void round_number(int number) {
    insula_config config = INSULA_CONFIG_INIT;
    config.threads = 2;
    CHECK(insula_init(&config));
    stopping = 0;
    CHECK(insula_native_port_open("sink", 1, on_message, NULL, on_free, &port));
    CHECK(insula_service_open(NULL, on_request, NULL, on_free, &service));
    registered += 2;
    CHECK(insula_mailbox_new(&mailbox));
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        void *seed = (void *)(uintptr_t)(number * THREADS + i);
        EXPECT(pthread_create(&threads[i], NULL, work, seed) == 0);
    }
    struct timespec moment = { 0, number * 300000L };
    nanosleep(&moment, NULL);
    pthread_mutex_lock(&mutex);
    stopping = 1;
    pthread_mutex_unlock(&mutex);
    CHECK(insula_shut_down(30 * SECOND));
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    insula_status_info info = INSULA_STATUS_INFO_INIT;
    CHECK(insula_inspect(&info));
    EXPECT(info.handles == 0 && info.callbacks == 0 && info.external_values == 0);
    if (moved != finalized || registered != freed || begun != ended) {
        fprintf(stderr, "round %d: %ld of %ld finalized, %ld of %ld freed, %ld of %ld ended\n",
                number, finalized, moved, freed, registered, ended, begun);
        exit(1);
    }
}

int main(void) {
    for (int number = 0; number < 40; number++) {
        round_number(number);
    }
    printf("every shutdown came to its end\n");
    return 0;
}
