/*
 * The life and the end of isolates, as C sees it: order, timers, errors, exits, kills, pauses,
 * pings, finalizers.
 *
 * Everything is reported to the main thread, which is a root isolate, as lines of one text. The
 * expected text is written beside each case.
 */
#include <string.h>

#include "common.h"

static char text[512];
static insula_root root;
static insula_port home;
static flag woken = FLAG_INIT;

static void notify(void *user) {
    (void)user;
    flag_set(&woken);
}

static void say(const char *word) {
    if (text[0] != 0) {
        strcat(text, " ");
    }
    strcat(text, word);
}

/* Reports the parts of a message: texts as they are, the items of arrays one by one. */
static void say_value(const insula_value *value) {
    char number[32];
    switch (value->kind) {
    case INSULA_KIND_STRING:
        say((const char *)value->data);
        break;
    case INSULA_KIND_INT64:
    case INSULA_KIND_BOOL:
        snprintf(number, sizeof number, "%d", (int)value->integer);
        say(number);
        break;
    case INSULA_KIND_ARRAY:
        for (uint64_t i = 0; i < value->length; i++) {
            say_value(&insula_items(value)[i]);
        }
        break;
    default:
        say("-");
        break;
    }
}

static void on_home(void *user, insula_port port, const insula_value *message) {
    (void)user;
    (void)port;
    say_value(message);
}

static void tell(const char *word) {
    insula_value value = insula_string(word, strlen(word));
    CHECK(insula_post(home, &value));
}

/* Handles messages until the text is as expected. */
static void expect(const char *wanted) {
    for (;;) {
        uint32_t state = INSULA_ROOT_MORE;
        while (state == INSULA_ROOT_MORE) {
            CHECK(insula_root_handle_message(root, &state));
        }
        if (strlen(text) >= strlen(wanted)) {
            break;
        }
        flag_wait(&woken);
        pthread_mutex_lock(&woken.mutex);
        woken.is_set = 0;
        pthread_mutex_unlock(&woken.mutex);
    }
    if (strcmp(text, wanted) != 0) {
        fprintf(stderr, "'%s' instead of '%s'\n", text, wanted);
        exit(1);
    }
    text[0] = 0;
}

/* ---- entries ---- */

static void microtask(void *user) {
    tell((const char *)user);
}

static void on_self(void *user, insula_port port, const insula_value *message) {
    (void)user;
    tell((const char *)message->data);
    CHECK(insula_microtask(microtask, (void *)"micro", NULL));
    CHECK(insula_port_close(port));
}

static void on_timer(void *user, insula_timer timer, uint64_t tick) {
    (void)tick;
    EXPECT(insula_timer_cancel(timer) == INSULA_ERROR_STALE_HANDLE);
    tell((const char *)user);
}

static void on_period(void *user, insula_timer timer, uint64_t tick) {
    (void)user;
    if (tick >= 3) {
        tell("period");
        CHECK(insula_timer_cancel(timer));
    }
}

/* A microtask runs before events; a zero timer is ordered with them. */
static int32_t order(void *user, const insula_value *message) {
    (void)user;
    (void)message;
    insula_port port;
    CHECK(insula_port_open(0, 0, on_self, NULL, NULL, &port));
    insula_value event = insula_string("event", 5);
    CHECK(insula_post(port, &event));
    CHECK(insula_timer_start(0, 0, on_timer, (void *)"zero", NULL, NULL));
    CHECK(insula_timer_start(2000000, 0, on_timer, (void *)"timer", NULL, NULL));
    CHECK(insula_timer_start(0, 5000000, on_period, NULL, NULL, NULL));
    insula_timer cancelled;
    CHECK(insula_timer_start(1, 0, on_timer, (void *)"never", NULL, &cancelled));
    CHECK(insula_timer_cancel(cancelled));
    CHECK(insula_microtask(microtask, (void *)"first", NULL));
    tell("entry");
    return 0;
}

static int32_t fails(void *user, const insula_value *message) {
    (void)user;
    (void)message;
    return 3;
}

static int32_t throws(void *user, const insula_value *message) {
    (void)user;
    (void)message;
    tell("before");
    CHECK(insula_throw("a fault"));
    /* The callback still runs to its end. */
    tell("after");
    return 0;
}

static void throw_later(void *user, insula_timer timer, uint64_t tick) {
    (void)user;
    (void)timer;
    (void)tick;
    CHECK(insula_throw("in a timer"));
}

static int32_t throws_twice(void *user, const insula_value *message) {
    (void)user;
    (void)message;
    CHECK(insula_timer_start(0, 0, throw_later, NULL, NULL, NULL));
    CHECK(insula_timer_start(0, 0, throw_later, NULL, NULL, NULL));
    return 0;
}

static int32_t exits(void *user, const insula_value *message) {
    (void)user;
    (void)message;
    CHECK(insula_timer_start(0, 0, on_timer, (void *)"never", NULL, NULL));
    insula_value last = insula_string("last", 4);
    CHECK(insula_exit(home, &last));
    return 0;
}

/* Computes until it is stopped. */
static int32_t computes(void *user, const insula_value *message) {
    (void)message;
    flag_set((flag *)user);
    while (insula_checkpoint() == INSULA_OK) {
    }
    EXPECT(insula_checkpoint() != INSULA_ERROR_INTERNAL);
    return 0;
}


static int32_t says(void *user, const insula_value *message) {
    (void)user;
    (void)message;
    tell("entry");
    return 0;
}

/* ---- cases, in the root isolate ---- */

static insula_isolate child;

static insula_spawn_options watched(void) {
    insula_spawn_options options = INSULA_SPAWN_OPTIONS_INIT;
    options.name = "child";
    options.on_exit = home;
    options.on_error = home;
    return options;
}

static void open_home(void *user) {
    (void)user;
    CHECK(insula_port_open(0, 0, on_home, NULL, NULL, &home));
}

static void spawn_order(void *user) {
    (void)user;
    insula_spawn_options options = watched();
    CHECK(insula_spawn(&options, order, NULL, NULL, NULL, NULL));
}

static void spawn_fails(void *user) {
    (void)user;
    insula_spawn_options options = watched();
    CHECK(insula_spawn(&options, fails, NULL, NULL, NULL, NULL));
}

static void spawn_throws(void *user) {
    (void)user;
    insula_spawn_options options = watched();
    CHECK(insula_spawn(&options, throws, NULL, NULL, NULL, NULL));
}

static void spawn_throws_twice(void *user) {
    (void)user;
    insula_spawn_options options = watched();
    options.flags = INSULA_SPAWN_ERRORS_NOT_FATAL;
    CHECK(insula_spawn(&options, throws_twice, NULL, NULL, NULL, NULL));
}

static void spawn_exits(void *user) {
    (void)user;
    insula_spawn_options options = watched();
    CHECK(insula_spawn(&options, exits, NULL, NULL, NULL, NULL));
}

static void spawn_paused(void *user) {
    (void)user;
    insula_spawn_options options = INSULA_SPAWN_OPTIONS_INIT;
    options.flags = INSULA_SPAWN_PAUSED;
    CHECK(insula_spawn(&options, says, NULL, NULL, NULL, &child));
    insula_value pong = insula_string("pong", 4);
    CHECK(insula_isolate_ping(child, home, &pong, INSULA_PRIORITY_IMMEDIATE));
    CHECK(insula_isolate_add_exit_listener(child, home, NULL));
    CHECK(insula_isolate_remove_exit_listener(child, home));
    insula_value bye = insula_string("bye", 3);
    CHECK(insula_isolate_add_exit_listener(child, home, &bye));
    CHECK(insula_isolate_add_error_listener(child, home));
    CHECK(insula_isolate_remove_error_listener(child, home));
}

/* ---- finalizers ---- */

static int external_freed;
static int pointer_freed;

static void free_external(void *peer) {
    (void)peer;
    external_freed += 1;
}

static void free_pointer(void *peer) {
    EXPECT(peer == &pointer_freed);
    pointer_freed += 1;
}

static void post_both(insula_port port) {
    static char data[16];
    insula_value items[2];
    items[0] = insula_external(INSULA_ELEMENT_UINT8, data, sizeof data, data, free_external);
    items[1] = insula_native_pointer(&pointer_freed, 8, free_pointer);
    insula_value message = insula_array(items, 2);
    CHECK(insula_post(port, &message));
}

static insula_port sink;

static void on_sink(void *user, insula_port port, const insula_value *message) {
    (void)user;
    (void)port;
    EXPECT(message->length == 2);
    /* Not before the callback has returned. */
    EXPECT(external_freed == 0);
}

static void deliver_one(void *user) {
    (void)user;
    CHECK(insula_port_open(0, INSULA_PORT_WEAK, on_sink, NULL, NULL, &sink));
    post_both(sink);
}

static void drop_one(void *user) {
    (void)user;
    post_both(sink);
    CHECK(insula_port_close(sink));
}

static void finalizers(void) {
    uint32_t state = INSULA_ROOT_MORE;
    CHECK(insula_root_enter(root, deliver_one, NULL));
    while (state == INSULA_ROOT_MORE) {
        CHECK(insula_root_handle_message(root, &state));
    }
    /* Delivered: the data was freed, and the pointer belongs to the receiver. */
    EXPECT(external_freed == 1 && pointer_freed == 0);
    CHECK(insula_root_enter(root, drop_one, NULL));
    state = INSULA_ROOT_MORE;
    while (state == INSULA_ROOT_MORE) {
        CHECK(insula_root_handle_message(root, &state));
    }
    /* Dropped in the queue: both were freed. */
    EXPECT(external_freed == 2 && pointer_freed == 1);
}

/* ---- errors without a listener ---- */

static flag hooked = FLAG_INIT;

static void on_error(void *user, const char *isolate, const char *what) {
    EXPECT(strcmp(isolate, "alone") == 0);
    EXPECT(strstr(what, "the entry returned 3") != NULL);
    flag_set((flag *)user);
}

static void free_hook(void *user) {
    (void)user;
    say("unhooked");
}

static void hook(void) {
    CHECK(insula_set_error_hook(on_error, &hooked, free_hook));
    insula_spawn_options options = INSULA_SPAWN_OPTIONS_INIT;
    options.name = "alone";
    CHECK(insula_spawn(&options, fails, NULL, NULL, NULL, &child));
    flag_wait(&hooked);
    uint32_t reason;
    char why[64];
    CHECK(insula_isolate_wait(child, 10 * SECOND, &reason, why, sizeof why));
    EXPECT(reason == INSULA_EXIT_FAILED && strcmp(why, "failed: the entry returned 3") == 0);
    CHECK(insula_isolate_release(child));
    CHECK(insula_set_error_hook(NULL, NULL, NULL));
    EXPECT(strcmp(text, "unhooked") == 0);
    text[0] = 0;
}

/* ---- a computation that checks ---- */

static void kill_computation(void) {
    static flag computing = FLAG_INIT;
    CHECK(insula_spawn(NULL, computes, &computing, NULL, NULL, &child));
    flag_wait(&computing);
    EXPECT(insula_isolate_wait(child, 1000000, NULL, NULL, 0) == INSULA_ERROR_TIMED_OUT);
    CHECK(insula_isolate_kill(child, INSULA_PRIORITY_IMMEDIATE));
    uint32_t reason;
    CHECK(insula_isolate_wait(child, 10 * SECOND, &reason, NULL, 0));
    EXPECT(reason == INSULA_EXIT_KILLED);
    CHECK(insula_isolate_release(child));
}

static void run(insula_task_fn task, const char *wanted) {
    CHECK(insula_root_enter(root, task, NULL));
    expect(wanted);
}

int main(void) {
    insula_config config = INSULA_CONFIG_INIT;
    CHECK(insula_init(&config));
    CHECK(insula_root_create("main", notify, NULL, NULL, &root));
    CHECK(insula_root_enter(root, open_home, NULL));

    run(spawn_order, "entry first event micro zero timer period 0 finished");
    run(spawn_fails, "the entry returned 3 - child 1 3 failed: the entry returned 3");
    run(spawn_throws, "before after a fault - child 1 3 failed: a fault");
    run(spawn_throws_twice, "in a timer - child 0 in a timer - child 0 0 finished");
    run(spawn_exits, "last 1 exited");
    run(spawn_paused, "pong");
    CHECK(insula_isolate_resume(child, 0));
    expect("entry bye");
    CHECK(insula_isolate_release(child));
    finalizers();
    hook();
    kill_computation();

    CHECK(insula_root_close(root));
    CHECK(insula_shut_down(10 * SECOND));
    printf("isolates live and end as they should\n");
    return 0;
}
