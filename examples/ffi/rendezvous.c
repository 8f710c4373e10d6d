/*
 * A dispatcher sends requests to a worker and waits for each response, without an event loop.
 *
 * The main thread is the dispatcher. The worker is an isolate with a thread of its own, whose entry
 * is a message loop.
 */
#include <string.h>

#include "common.h"

static insula_requester requester;
static insula_responder responder;
static flag is_running = FLAG_INIT;

static int is(const uint8_t *bytes, uint64_t length, const char *text) {
    return length == strlen(text) && memcmp(bytes, text, length) == 0;
}

static void on_request(void *user, insula_responder side, const uint8_t *bytes,
                       uint64_t length) {
    (void)user;
    if (is(bytes, length, "exit")) {
        CHECK(insula_responder_stop(side));
        CHECK(insula_responder_respond(side, NULL, 0));
        return;
    }
    printf("got %.*s from mailbox, responding\n", (int)length, (const char *)bytes);
    char response[64];
    int size = snprintf(response, sizeof response, "response(%.*s)", (int)length,
                        (const char *)bytes);
    CHECK(insula_responder_respond(side, (const uint8_t *)response, (uint64_t)size));
}

static int32_t work(void *user, const insula_value *message) {
    (void)user;
    (void)message;
    /* From now on the dispatcher gets PEER_DIED if this isolate ends without an answer. */
    CHECK(insula_rendezvous_attach(responder));
    printf("Isolate is running\n");
    flag_set(&is_running);
    CHECK(insula_responder_message_loop(responder, on_request, NULL));
    printf("Isolate is done\n");
    return 0;
}

static void request(const char *text) {
    printf("sending %s\n", text);
    insula_buffer response;
    CHECK(insula_requester_request(requester, (const uint8_t *)text, strlen(text),
                                   10 * SECOND, &response));
    printf("got back: %.*s\n", (int)response.length, (const char *)response.bytes);
    CHECK(insula_buffer_free(response.handle));
    /* A second free is refused. */
    EXPECT(insula_buffer_free(response.handle) == INSULA_ERROR_STALE_HANDLE);
}

int main(void) {
    insula_config config = INSULA_CONFIG_INIT;
    CHECK(insula_init(&config));
    CHECK(insula_rendezvous_new(&requester, &responder));
    /* There is no request to answer yet: an error, not a hang. */
    EXPECT(insula_responder_respond(responder, NULL, 0) == INSULA_ERROR_BAD_STATE);

    insula_spawn_options options = INSULA_SPAWN_OPTIONS_INIT;
    options.name = "worker";
    options.flags = INSULA_SPAWN_PINNED;
    insula_isolate worker;
    CHECK(insula_spawn(&options, work, NULL, NULL, NULL, &worker));
    flag_wait(&is_running);
    for (int i = 0; i < 5; i++) {
        char text[32];
        snprintf(text, sizeof text, "request #%d", i);
        request(text);
    }
    insula_buffer last;
    CHECK(insula_requester_request(requester, (const uint8_t *)"exit", 4, 10 * SECOND, &last));
    EXPECT(last.length == 0);
    CHECK(insula_buffer_free(last.handle));
    CHECK(insula_isolate_wait(worker, 10 * SECOND, NULL, NULL, 0));

    /* The worker is gone: a request fails at once, and does not wait. */
    insula_buffer none;
    EXPECT(insula_requester_request(requester, NULL, 0, 10 * SECOND, &none) ==
           INSULA_ERROR_PEER_DIED);
    CHECK(insula_shut_down(10 * SECOND));
    return 0;
}
