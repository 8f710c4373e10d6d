/*
 * How code that computes for a long time learns that it should stop: by a kill, a shutdown, a
 * cancelled call, a deadline that has passed, a service that is closed. And what does not wait for
 * it.
 */
#include <time.h>
#include <unistd.h>

#include "common.h"

static void start(void) {
    insula_config config = INSULA_CONFIG_INIT;
    config.threads = 2;
    CHECK(insula_init(&config));
}

static void pause_ms(long ms) {
    struct timespec time = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&time, NULL);
}

/* The findings of a function of this program. */
typedef struct {
    flag has_begun, has_ended, is_freed;
    insula_status status, again;
} finding;

#define FINDING_INIT { FLAG_INIT, FLAG_INIT, FLAG_INIT, INSULA_OK, INSULA_OK }

static int is_set(flag *it) {
    pthread_mutex_lock(&it->mutex);
    int set = it->is_set;
    pthread_mutex_unlock(&it->mutex);
    return set;
}

static void compute(finding *it) {
    flag_set(&it->has_begun);
    do {
        it->status = insula_checkpoint();
    } while (it->status == INSULA_OK);
    it->again = insula_checkpoint();
    flag_set(&it->has_ended);
}

static int32_t entry(void *user, const insula_value *message) {
    (void)message;
    compute(user);
    return 0;
}

static void on_request(void *user, const insula_value *request) {
    (void)request;
    compute(user);
}

static void on_free(void *user) {
    finding *it = user;
    flag_set(&it->is_freed);
}

static void on_deadline(void *user, const insula_value *request) {
    finding *it = user;
    if (request->kind == INSULA_KIND_INT64) {
        uint64_t left = 0;
        CHECK(insula_call_remaining(&left));
        EXPECT(left == INSULA_FOREVER);
        CHECK(insula_reply(request));
        return;
    }
    uint64_t left = 0, before = INSULA_FOREVER;
    while ((it->status = insula_call_remaining(&left)) == INSULA_OK) {
        EXPECT(left != 0 && left <= before);
        before = left;
    }
    it->again = insula_checkpoint();
    flag_set(&it->has_ended);
}

/* Does not ask, and so cannot be stopped. */
static void on_stubborn(void *user, const insula_value *request) {
    (void)request;
    finding *it = user;
    flag_set(&it->has_begun);
    pause_ms(2600);
    flag_set(&it->has_ended);
}

typedef struct {
    flag is_told;
    insula_status status;
    uint32_t may_have_run;
} told;

#define TOLD_INIT { FLAG_INIT, INSULA_OK, 7 }

static void on_done(void *user, insula_status status, uint32_t may_have_run,
                    const insula_value *reply) {
    (void)reply;
    told *it = user;
    it->status = status;
    it->may_have_run = may_have_run;
    flag_set(&it->is_told);
}

static insula_service open_with(insula_service_fn function, finding *user) {
    insula_service_options options = INSULA_SERVICE_OPTIONS_INIT;
    options.workers = 1;
    insula_service service;
    CHECK(insula_service_open(&options, function, user, on_free, &service));
    return service;
}

static insula_call call(insula_service service, uint64_t deadline, told *it) {
    insula_call made;
    CHECK(insula_service_call(service, NULL, deadline, on_done, it, NULL, &made));
    return made;
}

static void an_isolate_that_is_killed(void) {
    finding it = FINDING_INIT;
    insula_isolate isolate;
    CHECK(insula_spawn(NULL, entry, &it, NULL, NULL, &isolate));
    flag_wait(&it.has_begun);
    CHECK(insula_isolate_kill(isolate, INSULA_PRIORITY_IMMEDIATE));
    flag_wait(&it.has_ended);
    EXPECT(it.status == INSULA_ERROR_ENDING && it.again == INSULA_ERROR_ENDING);
    CHECK(insula_isolate_wait(isolate, INSULA_FOREVER, NULL, NULL, 0));
    CHECK(insula_isolate_release(isolate));
}

static void an_isolate_over_a_shutdown(void) {
    finding it = FINDING_INIT;
    CHECK(insula_spawn(NULL, entry, &it, NULL, NULL, NULL));
    flag_wait(&it.has_begun);
    CHECK(insula_shut_down(INSULA_FOREVER));
    EXPECT(it.status == INSULA_ERROR_ENDING && it.again == INSULA_ERROR_ENDING);
    start();
}

static void calls_that_are_cancelled(void) {
    finding it = FINDING_INIT;
    insula_service service = open_with(on_request, &it);
    told running = TOLD_INIT, queued = TOLD_INIT;
    insula_call first = call(service, INSULA_FOREVER, &running);
    flag_wait(&it.has_begun);
    insula_call second = call(service, INSULA_FOREVER, &queued);
    CHECK(insula_call_cancel(second));
    flag_wait(&queued.is_told);
    EXPECT(queued.status == INSULA_ERROR_CANCELLED && queued.may_have_run == 0);
    EXPECT(!is_set(&it.has_ended));
    CHECK(insula_call_cancel(first));
    flag_wait(&it.has_ended);
    EXPECT(it.status == INSULA_ERROR_CANCELLED && it.again == INSULA_ERROR_CANCELLED);
    flag_wait(&running.is_told);
    EXPECT(running.status == INSULA_ERROR_CANCELLED && running.may_have_run == 1);
    CHECK(insula_call_release(first));
    CHECK(insula_call_release(second));
    CHECK(insula_service_close(service, INSULA_FOREVER));
    EXPECT(is_set(&it.is_freed));
}

static void a_call_whose_deadline_has_passed(void) {
    finding it = FINDING_INIT;
    insula_service service = open_with(on_deadline, &it);
    told late = TOLD_INIT;
    CHECK(insula_call_release(call(service, SECOND / 50, &late)));
    flag_wait(&late.is_told);
    /* Function and caller read the same clock: the answer may come first. */
    EXPECT(late.status == INSULA_ERROR_TIMED_OUT || late.status == INSULA_OK);
    flag_wait(&it.has_ended);
    EXPECT(it.status == INSULA_ERROR_TIMED_OUT && it.again == INSULA_ERROR_TIMED_OUT);
    /* The worker is free again. */
    insula_value number = insula_int64(5);
    CHECK(insula_service_call_blocking(service, &number, INSULA_FOREVER, NULL, NULL));
    CHECK(insula_service_close(service, INSULA_FOREVER));
    uint64_t left;
    EXPECT(insula_call_remaining(&left) == INSULA_ERROR_BAD_STATE);
}

static void a_service_that_is_closed(void) {
    finding it = FINDING_INIT;
    insula_service service = open_with(on_request, &it);
    told running = TOLD_INIT;
    CHECK(insula_call_release(call(service, INSULA_FOREVER, &running)));
    flag_wait(&it.has_begun);
    CHECK(insula_service_close(service, 0));
    EXPECT(is_set(&it.has_ended) && is_set(&it.is_freed));
    EXPECT(it.status == INSULA_ERROR_CANCELLED);
    flag_wait(&running.is_told);
    EXPECT(running.may_have_run == 1);
}

/* A close does not return before the function has. */
static void a_service_that_does_not_stop(void) {
    finding it = FINDING_INIT;
    insula_service service = open_with(on_stubborn, &it);
    told running = TOLD_INIT;
    CHECK(insula_call_release(call(service, INSULA_FOREVER, &running)));
    flag_wait(&it.has_begun);
    CHECK(insula_service_close(service, 0));
    EXPECT(is_set(&it.has_ended) && is_set(&it.is_freed));
    flag_wait(&running.is_told);
    EXPECT(running.status != INSULA_OK && running.may_have_run == 1);
}

/* Handles that one call writes, and that the code which the call starts uses. */
typedef struct {
    insula_isolate isolate;
    insula_call call;
    flag is_over;
} early;

static int32_t early_entry(void *user, const insula_value *message) {
    (void)message;
    early *it = user;
    EXPECT(it->isolate != 0);
    CHECK(insula_isolate_release(it->isolate));
    flag_set(&it->is_over);
    return 0;
}

static void early_done(void *user, insula_status status, uint32_t may_have_run,
                       const insula_value *reply) {
    (void)status;
    (void)may_have_run;
    (void)reply;
    early *it = user;
    CHECK(insula_call_release(it->call));
    flag_set(&it->is_over);
}

static void on_nothing(void *user, const insula_value *request) {
    (void)user;
    (void)request;
}

static void what_begins_finds_its_handle(void) {
    insula_service service;
    CHECK(insula_service_open(NULL, on_nothing, NULL, NULL, &service));
    for (int i = 0; i < 200; i++) {
        early it = { 0, 0, FLAG_INIT };
        CHECK(insula_spawn(NULL, early_entry, &it, NULL, NULL, &it.isolate));
        flag_wait(&it.is_over);
        early called = { 0, 0, FLAG_INIT };
        CHECK(insula_service_call(service, NULL, INSULA_FOREVER, early_done, &called, NULL,
                                  &called.call));
        flag_wait(&called.is_over);
    }
    CHECK(insula_service_close(service, INSULA_FOREVER));
}

int main(void) {
    alarm(60);
    start();
    what_begins_finds_its_handle();
    an_isolate_that_is_killed();
    an_isolate_over_a_shutdown();
    calls_that_are_cancelled();
    a_call_whose_deadline_has_passed();
    a_service_that_is_closed();
    a_service_that_does_not_stop();
    CHECK(insula_shut_down(INSULA_FOREVER));
    EXPECT(insula_checkpoint() == INSULA_ERROR_SHUT_DOWN);
    puts("everything learns of its end");
    return 0;
}
