/*
 * Two native threads call back into one isolate: one waits for the answers, the other does not.
 *
 * The isolate registers both callbacks, and ends by itself when both are closed.
 */
#include "common.h"

typedef struct {
    /* Used by the isolate alone, so without a lock. */
    int64_t sum;
    int blocking_calls;
    int listener_calls;
    pthread_t threads[2];
} work;

static insula_callback blocking;
static insula_callback listener;
static int64_t answers;

static void on_result(void *user, const insula_value *result) {
    *(int64_t *)user = result->integer;
}

/* Thread 1 needs each answer before it goes on. */
static void *work1(void *user) {
    (void)user;
    for (int i = 0; i < 5; i++) {
        insula_value argument = insula_int64(i);
        int64_t result = -1;
        CHECK(insula_callback_call(blocking, &argument, 10 * SECOND, on_result, &result));
        EXPECT(result == i + 3);
        answers += 1;
    }
    CHECK(insula_callback_close(blocking));
    return NULL;
}

/* Thread 2 does not wait. */
static void *work2(void *user) {
    (void)user;
    for (int i = 0; i < 5; i++) {
        insula_value argument = insula_int64(i);
        CHECK(insula_callback_call(listener, &argument, 0, NULL, NULL));
    }
    /* The isolate closes this callback when it has handled the last call. */
    return NULL;
}

static void on_blocking(void *user, insula_callback callback, const insula_value *argument) {
    (void)callback;
    ((work *)user)->blocking_calls += 1;
    insula_value answer = insula_int64(argument->integer + 3);
    CHECK(insula_reply(&answer));
}

static void on_listener(void *user, insula_callback callback, const insula_value *argument) {
    work *mine = (work *)user;
    mine->sum += argument->integer;
    mine->listener_calls += 1;
    if (mine->listener_calls == 5) {
        CHECK(insula_callback_close(callback));
    }
}

static int32_t run(void *user, const insula_value *message) {
    (void)message;
    work *mine = (work *)user;
    CHECK(insula_callback_open(INSULA_CALLBACK_BLOCKING, 0, on_blocking, mine, NULL, &blocking));
    CHECK(insula_callback_open(INSULA_CALLBACK_LISTENER, 0, on_listener, mine, NULL, &listener));
    EXPECT(pthread_create(&mine->threads[0], NULL, work1, NULL) == 0);
    EXPECT(pthread_create(&mine->threads[1], NULL, work2, NULL) == 0);
    return 0;
}

int main(void) {
    insula_config config = INSULA_CONFIG_INIT;
    CHECK(insula_init(&config));
    static work shared;
    insula_isolate isolate;
    CHECK(insula_spawn(NULL, run, &shared, NULL, NULL, &isolate));
    uint32_t reason;
    CHECK(insula_isolate_wait(isolate, 10 * SECOND, &reason, NULL, 0));
    EXPECT(reason == INSULA_EXIT_FINISHED);
    pthread_join(shared.threads[0], NULL);
    pthread_join(shared.threads[1], NULL);
    CHECK(insula_shut_down(10 * SECOND));
    printf("%d blocking calls, %d answers\n", shared.blocking_calls, (int)answers);
    printf("%d listener calls, sum %d\n", shared.listener_calls, (int)shared.sum);
    return 0;
}
