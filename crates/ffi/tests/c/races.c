/*
 * Open, close, shutdown and a new start at the same time: each of them ends, and none of them ends
 * what was started later.
 */
#include <time.h>
#include <unistd.h>

#include "common.h"

enum { ROUNDS = 200 };

static pthread_barrier_t barrier;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long opened, freed;
static insula_service service;

static void start(void) {
    insula_config config = INSULA_CONFIG_INIT;
    config.threads = 2;
    CHECK(insula_init(&config));
}

static void on_request(void *user, const insula_value *request) {
    (void)user;
    (void)request;
    (void)insula_reply(NULL);
}

static void on_free(void *user) {
    (void)user;
    pthread_mutex_lock(&mutex);
    freed += 1;
    pthread_mutex_unlock(&mutex);
}

static insula_status open_service(insula_service *it) {
    insula_service_options options = INSULA_SERVICE_OPTIONS_INIT;
    options.workers = 2;
    insula_status status = insula_service_open(&options, on_request, NULL, on_free, it);
    if (status == INSULA_OK) {
        pthread_mutex_lock(&mutex);
        opened += 1;
        pthread_mutex_unlock(&mutex);
    }
    return status;
}

static void expect_freed(void) {
    pthread_mutex_lock(&mutex);
    EXPECT(opened == freed);
    pthread_mutex_unlock(&mutex);
}

static void *shut_down(void *user) {
    (void)user;
    pthread_barrier_wait(&barrier);
    CHECK(insula_shut_down(INSULA_FOREVER));
    return NULL;
}

/* Runs `function` at the same time as a shutdown. */
static void beside_shutdown(void (*function)(void)) {
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, shut_down, NULL) == 0);
    pthread_barrier_wait(&barrier);
    function();
    pthread_join(thread, NULL);
    expect_freed();
}

static void close_it(void) {
    insula_status status = insula_service_close(service, 1000000);
    EXPECT(status == INSULA_OK || status == INSULA_ERROR_SHUT_DOWN ||
           status == INSULA_ERROR_STALE_HANDLE);
}

static void open_and_release(void) {
    insula_service it;
    insula_status status;
    while ((status = open_service(&it)) == INSULA_OK) {
        status = insula_service_release(it);
        EXPECT(status == INSULA_OK || status == INSULA_ERROR_SHUT_DOWN ||
               status == INSULA_ERROR_STALE_HANDLE);
    }
    EXPECT(status == INSULA_ERROR_SHUT_DOWN || status == INSULA_ERROR_OUT_OF_RESOURCES);
}

/* Shuts down together with another thread; the first to finish starts again. */
static void *restart(void *user) {
    (void)user;
    pthread_barrier_wait(&barrier);
    insula_status status = insula_shut_down(INSULA_FOREVER);
    /* The other thread may have ended it before this one began. */
    EXPECT(status == INSULA_OK || status == INSULA_ERROR_SHUT_DOWN);
    insula_config config = INSULA_CONFIG_INIT;
    config.threads = 2;
    status = insula_init(&config);
    EXPECT(status == INSULA_OK || status == INSULA_ERROR_ALREADY_STARTED);
    return NULL;
}

typedef struct {
    flag has_begun, may_end;
} gate;

static void on_held(void *user, insula_port port, const insula_value *message) {
    (void)port;
    (void)message;
    gate *it = user;
    flag_set(&it->has_begun);
    flag_wait(&it->may_end);
}

/* Returns whether the runtime that one of two threads started survives the shutdown of the other. A
   callback delays the shutdown, so that both are under way before either ends, except if a thread
   does not get to run for that long. */
static int outlives_a_shutdown(void) {
    start();
    gate held = { FLAG_INIT, FLAG_INIT };
    insula_port port;
    CHECK(insula_native_port_open("held", 1, on_held, &held, NULL, &port));
    CHECK(insula_post_int64(port, 1));
    flag_wait(&held.has_begun);
    pthread_t threads[2];
    for (int t = 0; t < 2; t++) {
        EXPECT(pthread_create(&threads[t], NULL, restart, NULL) == 0);
    }
    struct timespec pause = { 0, 10000000 };
    nanosleep(&pause, NULL);
    flag_set(&held.may_end);
    for (int t = 0; t < 2; t++) {
        pthread_join(threads[t], NULL);
    }
    insula_status_info info = INSULA_STATUS_INFO_INIT;
    CHECK(insula_inspect(&info));
    if (info.phase != INSULA_PHASE_RUNNING) {
        EXPECT(info.phase == INSULA_PHASE_STOPPED);
        return 0;
    }
    CHECK(open_service(&service));
    CHECK(insula_service_call_blocking(service, NULL, INSULA_FOREVER, NULL, NULL));
    CHECK(insula_shut_down(INSULA_FOREVER));
    expect_freed();
    return 1;
}

int main(void) {
    alarm(100);
    pthread_barrier_init(&barrier, NULL, 2);
    for (int i = 0; i < ROUNDS; i++) {
        start();
        CHECK(open_service(&service));
        beside_shutdown(close_it);
    }
    for (int i = 0; i < ROUNDS; i++) {
        start();
        beside_shutdown(open_and_release);
    }
    int alive = 0;
    for (int i = 0; i < 20; i++) {
        alive += outlives_a_shutdown();
    }
    EXPECT(alive > 10);
    puts("every race came to its end");
    return 0;
}
