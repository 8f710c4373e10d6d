/*
 * Services on a pool: answers, failures, names, full queues, deadlines, cancellation, close.
 */
#include <string.h>

#include "common.h"

static int freed;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void count_free(void *user) {
    (void)user;
    pthread_mutex_lock(&mutex);
    freed += 1;
    pthread_mutex_unlock(&mutex);
}

static void free_block(void *peer) {
    count_free(NULL);
    free(peer);
}

/* Holds requests back until it is opened. */
static flag gate = FLAG_INIT;
static flag is_held = FLAG_INIT;
static insula_service service;

static void on_request(void *user, const insula_value *request) {
    EXPECT(user == &gate);
    if (request->kind == INSULA_KIND_NULL) {
        return;
    }
    if (request->kind == INSULA_KIND_BOOL) {
        /* The only worker would wait for itself. */
        insula_value nested = insula_int64(1);
        EXPECT(insula_service_call_blocking(service, &nested, INSULA_FOREVER, NULL, NULL) ==
               INSULA_ERROR_DEADLOCK);
        CHECK(insula_reply(request));
        return;
    }
    if (request->kind == INSULA_KIND_INT64 && request->integer == 0) {
        flag_set(&is_held);
        flag_wait(&gate);
        return;
    }
    if (request->kind == INSULA_KIND_INT64 && request->integer < 0) {
        CHECK(insula_throw("negative"));
        return;
    }
    if (request->kind == INSULA_KIND_INT64) {
        /* A wait for its own end would never end. */
        EXPECT(insula_service_close(service, 0) == INSULA_ERROR_DEADLOCK);
        insula_value twice = insula_int64(2 * request->integer);
        CHECK(insula_reply(&twice));
        return;
    }
    if (request->kind == INSULA_KIND_EXTERNAL_TYPED_DATA) {
        /* The same bytes are sent back: taken from the request, moved into the answer. */
        CHECK(insula_value_take(request));
        insula_value back = *request;
        CHECK(insula_reply(&back));
        return;
    }
    insula_value wrong = insula_string("wrong", 5);
    CHECK(insula_reply(&wrong));
    /* The last answer counts. */
    CHECK(insula_fail("not understood"));
}

/* The end of a call. */
typedef struct {
    flag is_done;
    insula_status status;
    uint32_t may_have_run;
    int64_t integer;
    const void *data;
    char text[64];
} end;

#define END_INIT { FLAG_INIT, -1, 9, 0, NULL, { 0 } }

static void on_done(void *user, insula_status status, uint32_t may_have_run,
                    const insula_value *reply) {
    end *it = (end *)user;
    EXPECT(it->status == -1);
    it->status = status;
    it->may_have_run = may_have_run;
    it->integer = reply->integer;
    it->data = reply->data;
    if (reply->kind == INSULA_KIND_STRING && reply->length < sizeof it->text) {
        memcpy(it->text, reply->data, reply->length + 1);
    }
    flag_set(&it->is_done);
}

static void answers(void) {
    end it = END_INIT;
    insula_value request = insula_int64(21);
    CHECK(insula_service_call_blocking(service, &request, INSULA_FOREVER, on_done, &it));
    EXPECT(it.status == INSULA_OK && it.integer == 42);

    end nested = END_INIT;
    request = insula_bool(1);
    CHECK(insula_service_call_blocking(service, &request, INSULA_FOREVER, on_done, &nested));
    EXPECT(nested.status == INSULA_OK);

    end null = END_INIT;
    CHECK(insula_service_call(service, NULL, INSULA_FOREVER, on_done, &null, count_free, NULL));
    flag_wait(&null.is_done);
    EXPECT(null.status == INSULA_OK);

    end moved = END_INIT;
    char *block = (char *)malloc(1 << 20);
    request = insula_external(INSULA_ELEMENT_UINT8, block, 1 << 20, block, free_block);
    CHECK(insula_service_call_blocking(service, &request, INSULA_FOREVER, on_done, &moved));
    /* The same block all the way. */
    EXPECT(moved.data == block);
}

static void failures(void) {
    end it = END_INIT;
    insula_value request = insula_double(1.0);
    EXPECT(insula_service_call_blocking(service, &request, INSULA_FOREVER, on_done, &it) ==
           INSULA_ERROR_FAILED);
    EXPECT(it.status == INSULA_ERROR_FAILED && it.may_have_run == 1);
    EXPECT(strstr(it.text, "not understood") != NULL);
    EXPECT(strstr(insula_last_error(), "not understood") != NULL);

    request = insula_int64(-1);
    EXPECT(insula_service_call_blocking(service, &request, INSULA_FOREVER, NULL, NULL) ==
           INSULA_ERROR_FAILED);
    EXPECT(strstr(insula_last_error(), "negative") != NULL);
}

static void names(void) {
    insula_service other;
    insula_service_options options = INSULA_SERVICE_OPTIONS_INIT;
    options.name = "test";
    int before = freed;
    EXPECT(insula_service_open(&options, on_request, NULL, count_free, &other) ==
           INSULA_ERROR_NAME_TAKEN);
    EXPECT(freed == before);
    EXPECT(insula_service_find("nobody", &other) == INSULA_ERROR_NOT_FOUND);
    CHECK(insula_service_find("test", &other));
    insula_value request = insula_int64(4);
    end it = END_INIT;
    CHECK(insula_service_call_blocking(other, &request, INSULA_FOREVER, on_done, &it));
    EXPECT(it.integer == 8);
    CHECK(insula_service_release(other));
    EXPECT(insula_service_release(other) == INSULA_ERROR_STALE_HANDLE);
}

/* Of three calls one runs, one waits, and there is no room for the third. */
static void full_and_late(void) {
    insula_value held = insula_int64(0);
    end running = END_INIT, waiting = END_INIT, refused = END_INIT, late = END_INIT;
    insula_call call, second;
    CHECK(insula_service_call(service, &held, INSULA_FOREVER, on_done, &running, NULL, &call));
    flag_wait(&is_held);
    /* A call that waits for the worker ends at its deadline. */
    EXPECT(insula_service_call_blocking(service, &held, SECOND / 20, on_done, &late) ==
           INSULA_ERROR_TIMED_OUT);
    EXPECT(late.may_have_run == 0);
    CHECK(insula_service_call(service, &held, INSULA_FOREVER, on_done, &waiting, NULL, &second));
    while (refused.status != INSULA_ERROR_REJECTED) {
        end again = END_INIT;
        refused = again;
        CHECK(insula_service_call(service, &held, SECOND / 50, on_done, &refused, NULL, NULL));
        flag_wait(&refused.is_done);
    }
    EXPECT(refused.may_have_run == 0);
    CHECK(insula_call_cancel(second));
    flag_wait(&waiting.is_done);
    EXPECT(waiting.status == INSULA_ERROR_CANCELLED);
    CHECK(insula_call_release(second));
    flag_set(&gate);
    flag_wait(&running.is_done);
    EXPECT(running.status == INSULA_OK);
    CHECK(insula_call_cancel(call));
    CHECK(insula_call_release(call));
}

int main(void) {
    insula_config config = INSULA_CONFIG_INIT;
    CHECK(insula_init(&config));
    insula_service_options options = INSULA_SERVICE_OPTIONS_INIT;
    options.name = "test";
    options.workers = 1;
    options.queue = 1;
    options.flags = INSULA_SERVICE_REJECT_WHEN_FULL;
    CHECK(insula_service_open(&options, on_request, &gate, count_free, &service));
    answers();
    failures();
    names();
    full_and_late();
    CHECK(insula_service_close(service, SECOND));
    EXPECT(insula_service_close(service, SECOND) == INSULA_ERROR_STALE_HANDLE);
    EXPECT(insula_service_find("test", &service) == INSULA_ERROR_NOT_FOUND);
    CHECK(insula_shut_down(10 * SECOND));
    /* The handler's data, that of one `done`, and the block. */
    EXPECT(freed == 3);
    printf("services answer as they should\n");
    return 0;
}
