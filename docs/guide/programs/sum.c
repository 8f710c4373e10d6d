/*
 * The program of the guide's chapter on C: an isolate adds the numbers that it is sent, and reports
 * their sum when it is asked.
 *
 * The main thread has no event loop. It waits at a mailbox for what the isolate puts there.
 */
#include <string.h>

#include "common.h"

/* ANCHOR: isolate */
/* The state of the isolate. Only its callbacks use it, one at a time, so it needs no lock. */
typedef struct {
    insula_mailbox home;
    int64_t sum;
} counter;

/* Called once, when the port is closed and its callback does not run any more. */
static void free_counter(void *user) {
    counter *mine = (counter *)user;
    CHECK(insula_mailbox_release(mine->home));
    free(mine);
}

/* Handles one message. `message` is valid until this returns. */
static void on_message(void *user, insula_port port, const insula_value *message) {
    counter *mine = (counter *)user;
    if (message->kind == INSULA_KIND_INT64) {
        mine->sum += message->integer;
        return;
    }
    CHECK(insula_mailbox_put(mine->home, (const uint8_t *)&mine->sum, sizeof mine->sum,
                             10 * SECOND));
    /* The isolate ends with its last port. */
    CHECK(insula_port_close(port));
}

/* The entry, which is the first event of the isolate. */
static int32_t start_counter(void *user, const insula_value *message) {
    (void)message;
    insula_mailbox home = ((counter *)user)->home;
    insula_port port;
    CHECK(insula_port_open(0, 0, on_message, user, free_counter, &port));
    CHECK(insula_mailbox_put(home, (const uint8_t *)&port, sizeof port, 10 * SECOND));
    return 0;
}
/* ANCHOR_END: isolate */

/* ANCHOR: main */
/* Takes a number of 64 bits out of a mailbox. */
static void take(insula_mailbox mailbox, void *number) {
    insula_buffer bytes;
    CHECK(insula_mailbox_take(mailbox, 10 * SECOND, &bytes));
    EXPECT(bytes.length == 8);
    memcpy(number, bytes.bytes, 8);
    CHECK(insula_buffer_free(bytes.handle));
}

int main(void) {
    insula_config config = INSULA_CONFIG_INIT;
    CHECK(insula_init(&config));

    /* Each party has a handle of its own for the mailbox. */
    insula_mailbox mailbox;
    CHECK(insula_mailbox_new(&mailbox));
    counter *state = (counter *)calloc(1, sizeof *state);
    CHECK(insula_mailbox_share(mailbox, &state->home));

    insula_spawn_options options = INSULA_SPAWN_OPTIONS_INIT;
    options.name = "counter";
    insula_isolate isolate;
    CHECK(insula_spawn(&options, start_counter, state, NULL, NULL, &isolate));

    insula_port port;
    take(mailbox, &port);
    for (int64_t number = 1; number <= 4; number++) {
        CHECK(insula_post_int64(port, number));
    }
    insula_value end = insula_null();
    CHECK(insula_post(port, &end));
    int64_t sum;
    take(mailbox, &sum);
    printf("the sum is %d\n", (int)sum);

    uint32_t reason;
    CHECK(insula_isolate_wait(isolate, 10 * SECOND, &reason, NULL, 0));
    EXPECT(reason == INSULA_EXIT_FINISHED);
    CHECK(insula_isolate_release(isolate));

    /* A handle of something that has ended gives a status, and never reaches anything newer. */
    EXPECT(insula_post(port, &end) == INSULA_ERROR_STALE_HANDLE);
    printf("post: %s\n", insula_last_error());

    CHECK(insula_mailbox_release(mailbox));
    CHECK(insula_shut_down(10 * SECOND));
    return 0;
}
/* ANCHOR_END: main */
