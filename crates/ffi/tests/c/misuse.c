/*
 * Every misuse has its status: no crash, no hang, and no effect.
 *
 * In the order of the header's introduction: before the start, versions, null, handles, values,
 * isolates and threads, waits, shutdown, fork.
 */
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

#define FAILS(call, status)                                                              \
    do {                                                                                 \
        insula_status fails_got = (call);                                                \
        if (fails_got != (status)) {                                                     \
            fprintf(stderr, "%s:%d: %s: %d (%s)\n", __FILE__, __LINE__, #call,           \
                    (int)fails_got, insula_status_text(fails_got));                      \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

static int freed;
static int finalized;

static void count_free(void *user) {
    (void)user;
    freed += 1;
}

static void count_finalizer(void *peer) {
    (void)peer;
    finalized += 1;
}

static void on_message(void *user, insula_port port, const insula_value *message) {
    (void)user;
    (void)port;
    (void)message;
}

static void on_timer(void *user, insula_timer timer, uint64_t tick) {
    (void)user;
    (void)timer;
    (void)tick;
}

static void nothing(void *user) {
    (void)user;
}

static int32_t entry(void *user, const insula_value *message) {
    (void)user;
    (void)message;
    return 0;
}

static void before_the_start(void) {
    uint64_t out = 0;
    FAILS(insula_shut_down(0), INSULA_ERROR_NOT_STARTED);
    FAILS(insula_post_int64(1, 1), INSULA_ERROR_NOT_STARTED);
    FAILS(insula_mailbox_new(&out), INSULA_ERROR_NOT_STARTED);
    FAILS(insula_init(NULL), INSULA_ERROR_NULL_POINTER);
    EXPECT(insula_abi_version() == INSULA_ABI_VERSION);
    EXPECT(strlen(insula_last_error()) > 0);
}

static void versions(void) {
    insula_config config = INSULA_CONFIG_INIT;
    config.size -= 1;
    FAILS(insula_init(&config), INSULA_ERROR_VERSION);
    config.size += 1;
    config.abi_version += 1;
    FAILS(insula_init(&config), INSULA_ERROR_VERSION);
    config.abi_version -= 1;
    config.value_size += 8;
    FAILS(insula_init(&config), INSULA_ERROR_VERSION);
    EXPECT(strstr(insula_last_error(), "insula_value") != NULL);
    config.value_size -= 8;
    config.flags = 2;
    FAILS(insula_init(&config), INSULA_ERROR_BAD_VALUE);
    config.flags = 0;
    config.name = "\xff";
    FAILS(insula_init(&config), INSULA_ERROR_BAD_UTF8);
    config.name = NULL;
    CHECK(insula_init(&config));
    FAILS(insula_init(&config), INSULA_ERROR_ALREADY_STARTED);
}

static void null_pointers(void) {
    insula_port port = 0;
    FAILS(insula_native_port_open("x", 1, NULL, NULL, NULL, &port), INSULA_ERROR_NULL_POINTER);
    FAILS(insula_native_port_open("x", 1, on_message, NULL, NULL, NULL),
          INSULA_ERROR_NULL_POINTER);
    FAILS(insula_spawn(NULL, NULL, NULL, NULL, NULL, NULL), INSULA_ERROR_NULL_POINTER);
    FAILS(insula_mailbox_new(NULL), INSULA_ERROR_NULL_POINTER);
    FAILS(insula_rendezvous_new(NULL, NULL), INSULA_ERROR_NULL_POINTER);
    FAILS(insula_inspect(NULL), INSULA_ERROR_NULL_POINTER);
    FAILS(insula_service_find(NULL, &port), INSULA_ERROR_NULL_POINTER);
    FAILS(insula_post(port, NULL), INSULA_ERROR_NULL_POINTER);
}

static void handles(void) {
    uint64_t capability;
    CHECK(insula_capability_new(&capability));
    /* Of another type: refused, and left unchanged. */
    FAILS(insula_mailbox_close(capability), INSULA_ERROR_WRONG_TYPE);
    FAILS(insula_isolate_release(capability), INSULA_ERROR_WRONG_TYPE);
    FAILS(insula_post_int64(capability, 1), INSULA_ERROR_WRONG_TYPE);
    CHECK(insula_capability_release(capability));
    FAILS(insula_capability_release(capability), INSULA_ERROR_STALE_HANDLE);
    /* The slot is used again; the old handle does not lead there. */
    uint64_t other;
    CHECK(insula_capability_new(&other));
    EXPECT(other != capability);
    FAILS(insula_capability_release(capability), INSULA_ERROR_STALE_HANDLE);
    CHECK(insula_capability_release(other));
    /* Never given out. */
    FAILS(insula_capability_release(0), INSULA_ERROR_BAD_HANDLE);
    FAILS(insula_capability_release(UINT64_MAX), INSULA_ERROR_BAD_HANDLE);
    FAILS(insula_capability_release(other + (5ull << 24)), INSULA_ERROR_BAD_HANDLE);
    FAILS(insula_capability_release(other ^ (1ull << 56)), INSULA_ERROR_STALE_HANDLE);
    FAILS(insula_capability_release(0x0800000000ffffffull), INSULA_ERROR_BAD_HANDLE);
}

static void values(void) {
    insula_port port;
    CHECK(insula_native_port_open("values", 1, on_message, NULL, count_free, &port));
    insula_value value = insula_null();
    value.kind = INSULA_KIND_COUNT;
    FAILS(insula_post(port, &value), INSULA_ERROR_BAD_VALUE);
    value.kind = INSULA_KIND_UNSUPPORTED;
    FAILS(insula_post(port, &value), INSULA_ERROR_UNSUPPORTED);
    value = insula_bool(1);
    value.integer = 2;
    FAILS(insula_post(port, &value), INSULA_ERROR_BAD_VALUE);
    value = insula_int32(0);
    value.integer = 1ll << 40;
    FAILS(insula_post(port, &value), INSULA_ERROR_BAD_VALUE);
    value = insula_string("\xff\xfe", 2);
    FAILS(insula_post(port, &value), INSULA_ERROR_BAD_UTF8);
    value = insula_string(NULL, 1);
    FAILS(insula_post(port, &value), INSULA_ERROR_NULL_POINTER);
    value = insula_string("x", UINT64_MAX);
    FAILS(insula_post(port, &value), INSULA_ERROR_BAD_LENGTH);
    value = insula_array(&value, UINT64_MAX / 8);
    FAILS(insula_post(port, &value), INSULA_ERROR_BAD_LENGTH);
    value = insula_array(&value, 1ull << 40);
    FAILS(insula_post(port, &value), INSULA_ERROR_TOO_DEEP);
    value = insula_typed_data(INSULA_ELEMENT_INT32, "abc", 3);
    FAILS(insula_post(port, &value), INSULA_ERROR_BAD_LENGTH);
    value = insula_typed_data(INSULA_ELEMENT_COUNT, "abc", 3);
    FAILS(insula_post(port, &value), INSULA_ERROR_BAD_VALUE);
    value = insula_external(INSULA_ELEMENT_BYTES, &value, 8, NULL, NULL);
    FAILS(insula_post(port, &value), INSULA_ERROR_NULL_POINTER);

    /* Two that contain themselves: one is deep, the second also wide. */
    insula_value circle = insula_array(NULL, 1);
    circle.data = &circle;
    FAILS(insula_post(port, &circle), INSULA_ERROR_TOO_DEEP);
    insula_value wide[2] = { insula_array(wide, 2), insula_array(wide, 2) };
    FAILS(insula_post(port, wide), INSULA_ERROR_TOO_DEEP);

    /* The valid parts of an invalid message stay the caller's. */
    char data[8] = { 0 };
    insula_value mixed[3];
    mixed[0] = insula_external(INSULA_ELEMENT_BYTES, data, 8, data, count_finalizer);
    mixed[1] = insula_native_pointer(data, 8, count_finalizer);
    mixed[2] = insula_string("\xff", 1);
    value = insula_array(mixed, 3);
    FAILS(insula_post(port, &value), INSULA_ERROR_BAD_UTF8);
    EXPECT(finalized == 0);
    CHECK(insula_port_close(port));
    value = insula_array(mixed, 2);
    FAILS(insula_post(port, &value), INSULA_ERROR_STALE_HANDLE);
    EXPECT(finalized == 0);
    FAILS(insula_value_take(&mixed[0]), INSULA_ERROR_NOT_FOUND);
    insula_status_info info = INSULA_STATUS_INFO_INIT;
    CHECK(insula_inspect(&info));
    EXPECT(info.external_values == 0 && info.handles == 0);
}

static void outside_of_isolates(void) {
    uint64_t out;
    int before = freed;
    FAILS(insula_port_open(0, 0, on_message, NULL, count_free, &out), INSULA_ERROR_NO_ISOLATE);
    FAILS(insula_timer_start(0, 0, on_timer, NULL, count_free, &out), INSULA_ERROR_NO_ISOLATE);
    FAILS(insula_timer_start(1, 1, on_timer, NULL, count_free, &out), INSULA_ERROR_BAD_VALUE);
    FAILS(insula_callback_open(9, 0, on_message, NULL, count_free, &out),
          INSULA_ERROR_NO_ISOLATE);
    FAILS(insula_microtask(nothing, NULL, count_free), INSULA_ERROR_NO_ISOLATE);
    FAILS(insula_throw("x"), INSULA_ERROR_NO_ISOLATE);
    FAILS(insula_exit(0, NULL), INSULA_ERROR_NO_ISOLATE);
    FAILS(insula_isolate_current(&out), INSULA_ERROR_NO_ISOLATE);
    FAILS(insula_reply(NULL), INSULA_ERROR_BAD_STATE);
    FAILS(insula_fail(NULL), INSULA_ERROR_BAD_STATE);
    CHECK(insula_checkpoint());
    /* The data of a callback that was refused is still the caller's. */
    EXPECT(freed == before);
}

typedef struct {
    insula_root root;
    insula_port port;
} shared;

static void inside_root(void *user) {
    shared *it = (shared *)user;
    CHECK(insula_port_open(1, 0, on_message, NULL, count_free, &it->port));
    /* The isolate is in use: nested uses are refused, and a shutdown would wait for itself. */
    FAILS(insula_root_enter(it->root, nothing, NULL), INSULA_ERROR_IN_USE);
    FAILS(insula_root_handle_message(it->root, NULL), INSULA_ERROR_IN_USE);
    FAILS(insula_root_close(it->root), INSULA_ERROR_IN_USE);
    FAILS(insula_shut_down(INSULA_FOREVER), INSULA_ERROR_DEADLOCK);
    insula_isolate self;
    CHECK(insula_isolate_current(&self));
    FAILS(insula_isolate_wait(self, INSULA_FOREVER, NULL, NULL, 0), INSULA_ERROR_DEADLOCK);
    CHECK(insula_isolate_release(self));
    uint64_t out;
    FAILS(insula_callback_open(9, 0, on_message, NULL, NULL, &out), INSULA_ERROR_BAD_VALUE);
    FAILS(insula_port_open(0, 8, on_message, NULL, NULL, &out), INSULA_ERROR_BAD_VALUE);
}

static void close_port(void *user) {
    CHECK(insula_port_close(((shared *)user)->port));
}

static void *from_another_thread(void *user) {
    shared *it = (shared *)user;
    FAILS(insula_root_enter(it->root, nothing, NULL), INSULA_ERROR_WRONG_THREAD);
    FAILS(insula_root_handle_message(it->root, NULL), INSULA_ERROR_WRONG_THREAD);
    FAILS(insula_root_close(it->root), INSULA_ERROR_WRONG_THREAD);
    FAILS(insula_port_close(it->port), INSULA_ERROR_NO_ISOLATE);
    return NULL;
}

/* A thread that ends without closing its root isolate ends the root isolate as well. */
static void *leaves_a_root_behind(void *user) {
    insula_root root;
    CHECK(insula_root_create("left", nothing, NULL, count_free, &root));
    *(insula_root *)user = root;
    return NULL;
}

static void threads(void) {
    insula_root left = 0;
    pthread_t leaver;
    int before = freed;
    EXPECT(pthread_create(&leaver, NULL, leaves_a_root_behind, &left) == 0);
    pthread_join(leaver, NULL);
    FAILS(insula_root_close(left), INSULA_ERROR_WRONG_THREAD);
    EXPECT(freed <= before + 1);

    shared it = { 0, 0 };
    CHECK(insula_root_create("misuse", nothing, NULL, NULL, &it.root));
    CHECK(insula_root_enter(it.root, inside_root, &it));
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, from_another_thread, &it) == 0);
    pthread_join(thread, NULL);
    CHECK(insula_post_int64(it.port, 1));
    FAILS(insula_post_int64(it.port, 2), INSULA_ERROR_FULL);
    CHECK(insula_root_enter(it.root, close_port, &it));
    FAILS(insula_post_int64(it.port, 3), INSULA_ERROR_STALE_HANDLE);
    CHECK(insula_root_close(it.root));
    FAILS(insula_root_close(it.root), INSULA_ERROR_STALE_HANDLE);
}

static void waits(void) {
    insula_buffer buffer;
    insula_mailbox mailbox;
    CHECK(insula_mailbox_new(&mailbox));
    FAILS(insula_mailbox_take(mailbox, 0, &buffer), INSULA_ERROR_EMPTY);
    FAILS(insula_mailbox_take(mailbox, 1000000, &buffer), INSULA_ERROR_TIMED_OUT);
    CHECK(insula_mailbox_put(mailbox, NULL, 0, 0));
    FAILS(insula_mailbox_put(mailbox, NULL, 0, 0), INSULA_ERROR_FULL);
    CHECK(insula_mailbox_take(mailbox, 0, &buffer));
    EXPECT(buffer.length == 0 && buffer.bytes != NULL);
    CHECK(insula_buffer_free(buffer.handle));
    FAILS(insula_mailbox_attach(mailbox), INSULA_ERROR_NO_ISOLATE);
    CHECK(insula_mailbox_close(mailbox));
    FAILS(insula_mailbox_put(mailbox, NULL, 0, INSULA_FOREVER), INSULA_ERROR_CLOSED);
    CHECK(insula_mailbox_release(mailbox));

    insula_mutex mutex;
    CHECK(insula_mutex_new(&mutex));
    FAILS(insula_mutex_unlock(mutex), INSULA_ERROR_BAD_STATE);
    CHECK(insula_mutex_lock(mutex, INSULA_FOREVER));
    FAILS(insula_mutex_lock(mutex, INSULA_FOREVER), INSULA_ERROR_DEADLOCK);
    CHECK(insula_mutex_unlock(mutex));
    CHECK(insula_mutex_release(mutex));
}

/* Called when the thread's own storage is gone. */
static void at_the_end_of_a_thread(void *user) {
    (void)user;
    insula_mailbox mailbox;
    CHECK(insula_mailbox_new(&mailbox));
    CHECK(insula_mailbox_release(mailbox));
    FAILS(insula_mailbox_release(mailbox), INSULA_ERROR_STALE_HANDLE);
    EXPECT(insula_last_error() != NULL);
    FAILS(insula_throw("x"), INSULA_ERROR_NO_ISOLATE);
    FAILS(insula_reply(NULL), INSULA_ERROR_BAD_STATE);
    insula_value value = insula_null();
    FAILS(insula_value_take(&value), INSULA_ERROR_NOT_FOUND);
}

static pthread_key_t key;

static void *ends(void *user) {
    EXPECT(pthread_setspecific(key, user) == 0);
    /* The library's storage is destroyed before this is called. */
    insula_value nothing_to_take = insula_null();
    FAILS(insula_mailbox_release(0), INSULA_ERROR_BAD_HANDLE);
    FAILS(insula_reply(NULL), INSULA_ERROR_BAD_STATE);
    FAILS(insula_throw("x"), INSULA_ERROR_NO_ISOLATE);
    FAILS(insula_value_take(&nothing_to_take), INSULA_ERROR_NOT_FOUND);
    return NULL;
}

static void destructors(void) {
    EXPECT(pthread_key_create(&key, at_the_end_of_a_thread) == 0);
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, ends, &key) == 0);
    pthread_join(thread, NULL);
    pthread_key_delete(key);
}

static void spawning(void) {
    int before = freed;
    insula_spawn_options options = INSULA_SPAWN_OPTIONS_INIT;
    options.flags = 1024;
    char data[8] = { 0 };
    insula_value message = insula_external(INSULA_ELEMENT_BYTES, data, 8, data, count_finalizer);
    FAILS(insula_spawn(&options, entry, NULL, count_free, &message, NULL),
          INSULA_ERROR_BAD_VALUE);
    options.flags = 0;
    options.on_exit = 77;
    FAILS(insula_spawn(&options, entry, NULL, count_free, &message, NULL),
          INSULA_ERROR_BAD_HANDLE);
    EXPECT(freed == before && finalized == 0);
    options.on_exit = 0;
    insula_isolate isolate;
    CHECK(insula_spawn(&options, entry, NULL, count_free, &message, &isolate));
    CHECK(insula_isolate_wait(isolate, INSULA_FOREVER, NULL, NULL, 0));
    EXPECT(freed == before + 1 && finalized == 1);
    FAILS(insula_isolate_kill(isolate, 9), INSULA_ERROR_BAD_VALUE);
    CHECK(insula_isolate_kill(isolate, INSULA_PRIORITY_IMMEDIATE));
    CHECK(insula_isolate_release(isolate));
}

/* The child of a fork may not use anything; not even a held lock makes it hang. */
static void fork_is_refused(void) {
    fflush(NULL);
    pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        insula_config config = INSULA_CONFIG_INIT;
        insula_status_info info = INSULA_STATUS_INFO_INIT;
        int all_refused = insula_init(&config) == INSULA_ERROR_FORKED &&
                          insula_post_int64(1, 1) == INSULA_ERROR_FORKED &&
                          insula_inspect(&info) == INSULA_ERROR_FORKED &&
                          insula_shut_down(INSULA_FOREVER) == INSULA_ERROR_FORKED &&
                          insula_checkpoint() == INSULA_ERROR_FORKED;
        _exit(all_refused ? 7 : 1);
    }
    int status;
    EXPECT(waitpid(child, &status, 0) == child);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void after_the_shutdown(void) {
    insula_mailbox mailbox;
    CHECK(insula_mailbox_new(&mailbox));
    CHECK(insula_shut_down(10 * SECOND));
    FAILS(insula_shut_down(10 * SECOND), INSULA_ERROR_SHUT_DOWN);
    FAILS(insula_mailbox_close(mailbox), INSULA_ERROR_SHUT_DOWN);
    FAILS(insula_post_int64(1, 1), INSULA_ERROR_SHUT_DOWN);
    insula_status_info info = INSULA_STATUS_INFO_INIT;
    CHECK(insula_inspect(&info));
    EXPECT(info.phase == INSULA_PHASE_STOPPED);
    EXPECT(info.handles == 0 && info.callbacks == 0 && info.external_values == 0);
    /* And once more: old handles stay stale. */
    insula_config config = INSULA_CONFIG_INIT;
    CHECK(insula_init(&config));
    FAILS(insula_mailbox_close(mailbox), INSULA_ERROR_STALE_HANDLE);
    CHECK(insula_shut_down(10 * SECOND));
}

int main(void) {
    before_the_start();
    versions();
    null_pointers();
    handles();
    values();
    outside_of_isolates();
    threads();
    waits();
    destructors();
    spawning();
    fork_is_refused();
    after_the_shutdown();
    printf("every misuse has its status\n");
    return 0;
}
