/*
 * An isolate, its port, and messages: some copied, one moved.
 *
 * The main thread starts an isolate and receives the address of its port through a native port.
 * Then it posts words. The isolate collects them, and posts the sentence back after the last one.
 */
#include <string.h>

#include "common.h"

static flag arrived = FLAG_INIT;
static insula_port collector;
static char sentence[128];
static int freed;

/* Runs on a thread of the native port. */
static void on_answer(void *user, insula_port port, const insula_value *message) {
    (void)user;
    (void)port;
    if (message->kind == INSULA_KIND_SEND_PORT) {
        collector = insula_handle_of(message);
    } else {
        EXPECT(message->kind == INSULA_KIND_STRING);
        memcpy(sentence, message->data, message->length + 1);
    }
    flag_set(&arrived);
}

/* The state of the isolate, which no other isolate can reach. */
typedef struct {
    insula_port home;
    char text[128];
} state;

static void free_state(void *user) {
    free(user);
}

static void on_word(void *user, insula_port port, const insula_value *message) {
    state *mine = (state *)user;
    if (message->kind == INSULA_KIND_STRING) {
        strcat(mine->text, (const char *)message->data);
        strcat(mine->text, " ");
        return;
    }
    if (message->kind == INSULA_KIND_EXTERNAL_TYPED_DATA) {
        strncat(mine->text, (const char *)message->data, (size_t)message->length);
        return;
    }
    insula_value answer = insula_string(mine->text, strlen(mine->text));
    CHECK(insula_post(mine->home, &answer));
    /* The isolate ends because its last port is closed. */
    CHECK(insula_port_close(port));
}

static int32_t collect(void *user, const insula_value *message) {
    (void)user;
    state *mine = (state *)calloc(1, sizeof *mine);
    mine->home = insula_handle_of(message);
    insula_port port;
    CHECK(insula_port_open(0, 0, on_word, mine, free_state, &port));
    insula_value address = insula_send_port(port);
    CHECK(insula_post(mine->home, &address));
    return 0;
}

static void free_buffer(void *peer) {
    free(peer);
    freed += 1;
}

int main(void) {
    insula_config config = INSULA_CONFIG_INIT;
    CHECK(insula_init(&config));

    insula_port answers;
    CHECK(insula_native_port_open("answers", 1, on_answer, NULL, NULL, &answers));
    insula_value home = insula_send_port(answers);
    insula_isolate isolate;
    insula_spawn_options options = INSULA_SPAWN_OPTIONS_INIT;
    options.name = "collector";
    CHECK(insula_spawn(&options, collect, NULL, NULL, &home, &isolate));
    flag_wait(&arrived);
    arrived.is_set = 0;

    insula_value hello = insula_string("hello", 5);
    CHECK(insula_post(collector, &hello));
    char *moved = (char *)malloc(5);
    memcpy(moved, "world", 5);
    insula_value world = insula_external(INSULA_ELEMENT_UINT8, moved, 5, moved, free_buffer);
    CHECK(insula_post(collector, &world));
    insula_value done = insula_null();
    CHECK(insula_post(collector, &done));

    flag_wait(&arrived);
    uint32_t reason;
    CHECK(insula_isolate_wait(isolate, 10 * SECOND, &reason, NULL, 0));
    EXPECT(reason == INSULA_EXIT_FINISHED);
    EXPECT(insula_post(collector, &done) == INSULA_ERROR_STALE_HANDLE);
    CHECK(insula_isolate_release(isolate));
    CHECK(insula_shut_down(10 * SECOND));
    EXPECT(freed == 1);
    printf("%s\n", sentence);
    return 0;
}
