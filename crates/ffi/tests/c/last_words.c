/*
 * Threads whose storage is gone, at exit and in destructors of pthread_key. Whatever a call returns
 * there: if it fails, it has moved nothing and freed nothing; if it succeeds, it frees once; and
 * the shutdown ends.
 */
#include <unistd.h>

#include "common.h"

#define SLOTS 256

/* The data that one call hands over. */
typedef struct {
    insula_status status;
    const char *call;
    int freed;
} item;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static item items[SLOTS];
static int used;
static insula_port native;
static insula_callback group;
static insula_service service;
static insula_mailbox mailbox;
static insula_isolate sleeper;
static insula_root root;
static int accepted, refused;

static item *fresh(const char *call) {
    pthread_mutex_lock(&mutex);
    item *it = &items[used++];
    pthread_mutex_unlock(&mutex);
    it->call = call;
    return it;
}

static void release(void *peer) {
    pthread_mutex_lock(&mutex);
    ((item *)peer)->freed += 1;
    pthread_mutex_unlock(&mutex);
}

static void on_message(void *user, insula_port self, const insula_value *message) {
    (void)user;
    (void)self;
    (void)message;
}

static void on_call(void *user, insula_callback self, const insula_value *arguments) {
    (void)user;
    (void)self;
    (void)arguments;
    (void)insula_reply(NULL);
}

static void on_request(void *user, const insula_value *request) {
    (void)user;
    (void)request;
    (void)insula_reply(NULL);
}

static void on_done(void *user, insula_status status, uint32_t may_have_run,
                    const insula_value *reply) {
    (void)user;
    (void)status;
    (void)may_have_run;
    (void)reply;
}

static void on_notify(void *user) {
    (void)user;
}

static int32_t idle(void *user, const insula_value *message) {
    (void)user;
    (void)message;
    return 0;
}

static int32_t stay(void *user, const insula_value *message) {
    (void)message;
    insula_port port;
    CHECK(insula_port_open(0, 0, on_message, NULL, NULL, &port));
    CHECK(insula_callback_open(INSULA_CALLBACK_GROUP_BOUND, 0, on_call, NULL, NULL, &group));
    flag_set(user);
    return 0;
}

/* Checks a call that took `it`: a failure leaves it as it was. */
static void judge(item *it, insula_status status) {
    it->status = status;
    pthread_mutex_lock(&mutex);
    if (status != INSULA_OK && it->freed != 0) {
        fprintf(stderr, "%s failed with %d and freed what it got\n", it->call, (int)status);
        _exit(1);
    }
    *(status == INSULA_OK ? &accepted : &refused) += 1;
    /* All calls work there, except for a root isolate, which the thread's storage would have to
       hold. */
    if (status != INSULA_OK && status != INSULA_ERROR_BAD_STATE) {
        fprintf(stderr, "%s: %s (%d)\n", it->call, insula_status_text(status), (int)status);
        _exit(1);
    }
    pthread_mutex_unlock(&mutex);
}

static void say_everything(void) {
    item *it = fresh("post");
    insula_value value = insula_external(INSULA_ELEMENT_UINT8, items, 1, it, release);
    judge(it, insula_post(native, &value));

    it = fresh("callback_call");
    value.peer = it;
    judge(it, insula_callback_call(group, &value, SECOND, NULL, NULL));

    it = fresh("service_call_blocking");
    value.peer = it;
    judge(it, insula_service_call_blocking(service, &value, SECOND, NULL, NULL));

    it = fresh("service_call");
    judge(it, insula_service_call(service, NULL, INSULA_FOREVER, on_done, it, release, NULL));

    insula_root another = 0;
    it = fresh("root_create");
    judge(it, insula_root_create("late", on_notify, it, release, &another));
    EXPECT(it->status == INSULA_ERROR_BAD_STATE);

    insula_service opened = 0;
    it = fresh("service_open");
    judge(it, insula_service_open(NULL, on_request, it, release, &opened));
    if (it->status == INSULA_OK) {
        CHECK(insula_service_close(opened, SECOND));
    }

    insula_port port = 0;
    it = fresh("native_port_open");
    judge(it, insula_native_port_open("late", 1, on_message, it, release, &port));

    it = fresh("spawn");
    judge(it, insula_spawn(NULL, idle, it, release, NULL, NULL));

    it = fresh("set_error_hook");
    judge(it, insula_set_error_hook(NULL, it, release));

    insula_buffer buffer;
    insula_status status = insula_mailbox_take(mailbox, SECOND / 1000, &buffer);
    EXPECT(status == INSULA_ERROR_TIMED_OUT);
    status = insula_isolate_wait(sleeper, SECOND / 1000, NULL, NULL, 0);
    EXPECT(status == INSULA_ERROR_TIMED_OUT);
}

static void at_key(void *value) {
    (void)value;
    say_everything();
}

static void *thread_main(void *argument) {
    pthread_key_t *key = argument;
    /* The library knows the thread, and so has destroyed its storage. */
    CHECK(insula_post_int64(native, 1));
    CHECK(insula_service_call_blocking(service, NULL, INSULA_FOREVER, NULL, NULL));
    insula_root mine;
    CHECK(insula_root_create("mine", on_notify, NULL, NULL, &mine));
    pthread_setspecific(*key, key);
    return NULL;
}

static void at_end(void) {
    say_everything();
    insula_status status = insula_shut_down(10 * SECOND);
    if (status != INSULA_OK) {
        fprintf(stderr, "shut_down: %s (%d)\n", insula_last_error(), (int)status);
        _exit(1);
    }
    for (int i = 0; i < used; i++) {
        int expected = items[i].status == INSULA_OK;
        if (items[i].freed != expected) {
            fprintf(stderr, "%s returned %d and was freed %d times\n", items[i].call,
                    (int)items[i].status, items[i].freed);
            _exit(1);
        }
    }
    fprintf(stderr, "%d accepted, %d refused\n", accepted, refused);
    puts("nothing was freed twice");
}

int main(void) {
    alarm(60);
    atexit(at_end);
    insula_config config = INSULA_CONFIG_INIT;
    config.threads = 2;
    CHECK(insula_init(&config));
    CHECK(insula_native_port_open("n", 1, on_message, NULL, NULL, &native));
    CHECK(insula_service_open(NULL, on_request, NULL, NULL, &service));
    CHECK(insula_mailbox_new(&mailbox));
    flag opened = FLAG_INIT;
    CHECK(insula_spawn(NULL, stay, &opened, NULL, NULL, &sleeper));
    flag_wait(&opened);
    pthread_key_t key;
    EXPECT(pthread_key_create(&key, at_key) == 0);
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, thread_main, &key) == 0);
    pthread_join(thread, NULL);
    /* Besides what a thread leaves behind, this one leaves a root, and its last error. */
    CHECK(insula_root_create("root", on_notify, NULL, NULL, &root));
    EXPECT(insula_port_close(0) == INSULA_ERROR_BAD_HANDLE);
    return 0;
}
