/*
 * Two native threads call functions of an isolate by name. Each gets the answers through a native
 * port of its own, with messages alone and no callback.
 *
 * A request is [call, reply port, name, argument]; an answer is [call, result].
 */
#include <string.h>

#include "common.h"

static insula_port requests;
static flag is_serving = FLAG_INIT;

/* A call that waits for its answer. */
typedef struct {
    flag answered;
    int64_t result;
} pending;

static void on_answer(void *user, insula_port port, const insula_value *message) {
    (void)user;
    (void)port;
    const insula_value *items = insula_items(message);
    EXPECT(message->kind == INSULA_KIND_ARRAY && message->length == 2);
    pending *call = (pending *)(uintptr_t)items[0].integer;
    call->result = items[1].integer;
    flag_set(&call->answered);
}

/* Sends a request to the isolate, and waits for the answer. */
static int64_t ask(insula_port reply_port, const char *name, int64_t argument) {
    pending call = { FLAG_INIT, 0 };
    insula_value items[4];
    items[0] = insula_int64((int64_t)(uintptr_t)&call);
    items[1] = insula_send_port(reply_port);
    items[2] = insula_string(name, strlen(name));
    items[3] = insula_int64(argument);
    insula_value request = insula_array(items, 4);
    CHECK(insula_post(requests, &request));
    flag_wait(&call.answered);
    return call.result;
}

typedef struct {
    const char *name;
    int64_t results[3];
} worker;

static void *work(void *user) {
    worker *mine = (worker *)user;
    insula_port answers;
    CHECK(insula_native_port_open(mine->name, 1, on_answer, NULL, NULL, &answers));
    for (int i = 0; i < 3; i++) {
        mine->results[i] = ask(answers, mine->name, i);
    }
    CHECK(insula_port_close(answers));
    return NULL;
}

/* The functions that the isolate offers. */
static int64_t call(const char *name, int64_t argument) {
    if (strcmp(name, "plus three") == 0) {
        return argument + 3;
    }
    EXPECT(strcmp(name, "times ten") == 0);
    return argument * 10;
}

static void on_request(void *user, insula_port port, const insula_value *message) {
    int *left = (int *)user;
    const insula_value *items = insula_items(message);
    EXPECT(message->kind == INSULA_KIND_ARRAY && message->length == 4);
    insula_value answer[2];
    answer[0] = items[0];
    answer[1] = insula_int64(call((const char *)items[2].data, items[3].integer));
    insula_value reply = insula_array(answer, 2);
    CHECK(insula_post(insula_handle_of(&items[1]), &reply));
    *left -= 1;
    if (*left == 0) {
        CHECK(insula_port_close(port));
    }
}

static int32_t serve(void *user, const insula_value *message) {
    (void)message;
    CHECK(insula_port_open(0, 0, on_request, user, NULL, &requests));
    flag_set(&is_serving);
    return 0;
}

int main(void) {
    insula_config config = INSULA_CONFIG_INIT;
    CHECK(insula_init(&config));
    static int left = 6;
    insula_isolate isolate;
    CHECK(insula_spawn(NULL, serve, &left, NULL, NULL, &isolate));
    flag_wait(&is_serving);

    static worker workers[2] = { { "plus three", { 0 } }, { "times ten", { 0 } } };
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        EXPECT(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK(insula_isolate_wait(isolate, 10 * SECOND, NULL, NULL, 0));
    CHECK(insula_shut_down(10 * SECOND));
    for (int i = 0; i < 2; i++) {
        const int64_t *results = workers[i].results;
        printf("%s: %d %d %d\n", workers[i].name, (int)results[0], (int)results[1],
               (int)results[2]);
    }
    return 0;
}
