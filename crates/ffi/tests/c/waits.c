/*
 * Waits without a limit: each of them ends once it can no longer be fulfilled, because the handle
 * is released, the loop is stopped, the owner of the lock has ended, or the runtime is shut down.
 */
#include <time.h>
#include <unistd.h>

#include "common.h"

static insula_mutex mutex;
static insula_condition condition;
static insula_mailbox mailbox;
static insula_requester requester;
static insula_responder responder;

static void start(void) {
    insula_config config = INSULA_CONFIG_INIT;
    config.threads = 2;
    CHECK(insula_init(&config));
}

/* A wait on its own thread. */
typedef struct {
    insula_status (*wait)(void);
    insula_status status;
    flag has_begun;
    pthread_t thread;
} waiter;

static void *waiter_main(void *user) {
    waiter *it = user;
    flag_set(&it->has_begun);
    it->status = it->wait();
    return NULL;
}

/* In most cases the thread waits when this returns. If it waits only later, its status is the same,
   except for a handle that is stale by then, and a runtime that has ended. */
static void begin(waiter *it, insula_status (*wait)(void)) {
    flag fresh = FLAG_INIT;
    it->wait = wait;
    it->has_begun = fresh;
    EXPECT(pthread_create(&it->thread, NULL, waiter_main, it) == 0);
    flag_wait(&it->has_begun);
    struct timespec time = { 0, 20000000 };
    nanosleep(&time, NULL);
}

static insula_status end(waiter *it) {
    pthread_join(it->thread, NULL);
    return it->status;
}

static void expect_closed(waiter *it) {
    insula_status status = end(it);
    if (status != INSULA_ERROR_CLOSED && status != INSULA_ERROR_STALE_HANDLE &&
        status != INSULA_ERROR_SHUT_DOWN) {
        fprintf(stderr, "a wait ended with %d\n", (int)status);
        exit(1);
    }
}

static insula_status lock(void) {
    return insula_mutex_lock(mutex, INSULA_FOREVER);
}

static insula_status wait_for_condition(void) {
    insula_status status = insula_mutex_lock(mutex, INSULA_FOREVER);
    return status != INSULA_OK ? status : insula_condition_wait(condition, mutex, INSULA_FOREVER);
}

static insula_status take(void) {
    insula_buffer buffer;
    insula_status status = insula_mailbox_take(mailbox, INSULA_FOREVER, &buffer);
    if (status == INSULA_OK) {
        CHECK(insula_buffer_free(buffer.handle));
    }
    return status;
}

static void on_request(void *user, insula_responder self, const uint8_t *bytes, uint64_t length) {
    (void)user;
    CHECK(insula_responder_respond(self, bytes, length));
}

static insula_status loop(void) {
    return insula_responder_message_loop(responder, on_request, NULL);
}

static insula_status request(void) {
    insula_buffer buffer;
    insula_status status = insula_requester_request(requester, NULL, 0, INSULA_FOREVER, &buffer);
    if (status == INSULA_OK) {
        CHECK(insula_buffer_free(buffer.handle));
    }
    return status;
}

static void a_handle_is_released(void) {
    waiter it;
    CHECK(insula_mutex_new(&mutex));
    CHECK(insula_mutex_lock(mutex, INSULA_FOREVER));
    begin(&it, lock);
    CHECK(insula_mutex_release(mutex));
    expect_closed(&it);

    CHECK(insula_mutex_new(&mutex));
    CHECK(insula_condition_new(&condition));
    begin(&it, wait_for_condition);
    CHECK(insula_condition_release(condition));
    expect_closed(&it);

    /* Only the last handle of a mailbox closes it. */
    insula_mailbox other;
    CHECK(insula_mailbox_new(&mailbox));
    CHECK(insula_mailbox_share(mailbox, &other));
    begin(&it, take);
    CHECK(insula_mailbox_put(other, (const uint8_t *)"", 0, INSULA_FOREVER));
    EXPECT(end(&it) == INSULA_OK);
    begin(&it, take);
    CHECK(insula_mailbox_release(mailbox));
    CHECK(insula_mailbox_release(other));
    expect_closed(&it);
}

static void a_loop_is_stopped(void) {
    waiter it;
    CHECK(insula_rendezvous_new(&requester, &responder));
    begin(&it, loop);
    EXPECT(request() == INSULA_OK);
    CHECK(insula_responder_stop(responder));
    EXPECT(end(&it) == INSULA_OK);
    CHECK(insula_responder_stop(responder));
    EXPECT(loop() == INSULA_OK);
    begin(&it, loop);
    CHECK(insula_rendezvous_close(requester));
    EXPECT(end(&it) == INSULA_ERROR_CLOSED);
    CHECK(insula_rendezvous_release(requester));
    CHECK(insula_rendezvous_release(responder));
}

static int32_t lock_and_end(void *user, const insula_value *message) {
    (void)user;
    (void)message;
    CHECK(insula_mutex_lock(mutex, INSULA_FOREVER));
    return 0;
}

static void the_owner_of_a_lock_has_ended(void) {
    CHECK(insula_mutex_new(&mutex));
    insula_isolate isolate;
    CHECK(insula_spawn(NULL, lock_and_end, NULL, NULL, NULL, &isolate));
    CHECK(insula_isolate_wait(isolate, INSULA_FOREVER, NULL, NULL, 0));
    CHECK(insula_isolate_release(isolate));
    EXPECT(insula_mutex_lock(mutex, INSULA_FOREVER) == INSULA_ERROR_PEER_DIED);
    EXPECT(insula_mutex_lock(mutex, 0) == INSULA_ERROR_PEER_DIED);
    EXPECT(insula_mutex_lock(mutex, 1) == INSULA_ERROR_PEER_DIED);
    CHECK(insula_mutex_recover(mutex));
    EXPECT(insula_mutex_recover(mutex) == INSULA_ERROR_BAD_STATE);
    CHECK(insula_mutex_lock(mutex, 0));
    EXPECT(insula_mutex_recover(mutex) == INSULA_ERROR_BAD_STATE);
    CHECK(insula_mutex_unlock(mutex));
    CHECK(insula_mutex_release(mutex));
    EXPECT(insula_mutex_recover(mutex) == INSULA_ERROR_STALE_HANDLE);
    EXPECT(insula_mutex_recover(0) == INSULA_ERROR_BAD_HANDLE);
}

static void occupy(void *user, insula_timer timer, uint64_t tick) {
    (void)user;
    (void)timer;
    (void)tick;
    insula_buffer buffer;
    insula_status status = insula_mailbox_take(mailbox, INSULA_FOREVER, &buffer);
    if (status == INSULA_ERROR_OUT_OF_RESOURCES) {
        /* The other isolate waits, and its service needs this thread. */
        CHECK(insula_timer_start(1000000, 0, occupy, NULL, NULL, NULL));
        return;
    }
    EXPECT(status == INSULA_OK);
    CHECK(insula_buffer_free(buffer.handle));
}

static int32_t occupy_a_thread(void *user, const insula_value *message) {
    (void)message;
    occupy(user, 0, 0);
    return 0;
}

static void on_question(void *user, const insula_value *request) {
    (void)user;
    CHECK(insula_reply(request));
}

static int32_t call_until_it_is_refused(void *user, const insula_value *message) {
    (void)message;
    insula_service *service = user;
    insula_status status;
    do {
        status = insula_service_call_blocking(*service, NULL, INSULA_FOREVER, NULL, NULL);
    } while (status == INSULA_OK);
    EXPECT(status == INSULA_ERROR_OUT_OF_RESOURCES);
    return 0;
}

/* Of two threads one waits for the mailbox, and the second may not wait for a service that would
   need a third one. */
static void no_thread_is_left_for_a_service(void) {
    insula_config config = INSULA_CONFIG_INIT;
    config.threads = 1;
    config.spare_threads = 1;
    CHECK(insula_init(&config));
    insula_service_options options = INSULA_SERVICE_OPTIONS_INIT;
    options.workers = 1;
    insula_service service;
    CHECK(insula_service_open(&options, on_question, NULL, NULL, &service));
    CHECK(insula_mailbox_new(&mailbox));
    insula_isolate waits, calls;
    CHECK(insula_spawn(NULL, occupy_a_thread, NULL, NULL, NULL, &waits));
    CHECK(insula_spawn(NULL, call_until_it_is_refused, &service, NULL, NULL, &calls));
    CHECK(insula_isolate_wait(calls, INSULA_FOREVER, NULL, NULL, 0));
    CHECK(insula_mailbox_put(mailbox, NULL, 0, INSULA_FOREVER));
    CHECK(insula_isolate_wait(waits, INSULA_FOREVER, NULL, NULL, 0));
    CHECK(insula_shut_down(INSULA_FOREVER));
}

static void the_runtime_is_shut_down(void) {
    insula_status (*waits[])(void) = { lock, wait_for_condition, take, loop, request };
    enum { WAITS = sizeof waits / sizeof *waits };
    for (int i = 0; i < WAITS; i++) {
        waiter it;
        CHECK(insula_mutex_new(&mutex));
        CHECK(insula_condition_new(&condition));
        CHECK(insula_mailbox_new(&mailbox));
        CHECK(insula_rendezvous_new(&requester, &responder));
        if (waits[i] == lock) {
            CHECK(insula_mutex_lock(mutex, INSULA_FOREVER));
        }
        begin(&it, waits[i]);
        CHECK(insula_shut_down(INSULA_FOREVER));
        expect_closed(&it);
        start();
    }
}

int main(void) {
    alarm(60);
    start();
    a_handle_is_released();
    a_loop_is_stopped();
    the_owner_of_a_lock_has_ended();
    the_runtime_is_shut_down();
    CHECK(insula_shut_down(INSULA_FOREVER));
    no_thread_is_left_for_a_service();
    puts("every wait came to its end");
    return 0;
}
