/*
 * Wake-ups from signal handlers that interrupt the library anywhere, also while it holds its locks:
 * none waits for the interrupted code, and each is followed by a message.
 */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

enum { WAKEUPS = 5000, POSTERS = 2, ONE_BY_ONE = 2000, AT_ONCE = 2000, MOST = 64 };

/* Written before the handlers are installed, an order that a sanitizer does not see. */
static insula_signal alarms, users;
static long raised, failed;

/* Set when a shutdown has begun; a signal raised before may still see it. */
static int is_ending;

static void raise_it(insula_signal it) {
    int before = errno;
    __atomic_fetch_add(&raised, 1, __ATOMIC_SEQ_CST);
    int is_refused = insula_signal_raise(it) != INSULA_OK;
    int may_be_refused = __atomic_load_n(&is_ending, __ATOMIC_SEQ_CST);
    if ((is_refused && !may_be_refused) || errno != before) {
        __atomic_fetch_add(&failed, 1, __ATOMIC_SEQ_CST);
    }
}

static void on_signal(int number) {
    insula_signal *it = number == SIGALRM ? &alarms : &users;
    raise_it(__atomic_load_n(it, __ATOMIC_SEQ_CST));
}

/* The number of wake-ups that had been raised when the latest message was handled. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static long delivered;

static void on_wakeup(void *user, insula_port self, const insula_value *message) {
    (void)user;
    (void)self;
    EXPECT(message->kind == INSULA_KIND_INT64);
    EXPECT(message->integer == SIGALRM || message->integer == SIGUSR1);
    long now = __atomic_load_n(&raised, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&mutex);
    if (now > delivered) {
        delivered = now;
    }
    pthread_cond_broadcast(&condition);
    pthread_mutex_unlock(&mutex);
}

/* The signals are not blocked, so the wait is interrupted, too. */
static void wait_for_delivery_of(long count) {
    pthread_mutex_lock(&mutex);
    while (delivered < count) {
        pthread_cond_wait(&condition, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

static insula_port other;

static void on_message(void *user, insula_port self, const insula_value *message) {
    (void)user;
    (void)self;
    (void)message;
}

/* Uses functions that take different locks of the library. */
static void use_locks(void) {
    CHECK(insula_post_int64(other, 1));
    insula_mailbox mailbox;
    CHECK(insula_mailbox_new(&mailbox));
    CHECK(insula_mailbox_release(mailbox));
    insula_signal it;
    CHECK(insula_signal_open(other, 1, &it));
    CHECK(insula_signal_raise(it));
    CHECK(insula_signal_close(it));
    insula_status_info info = INSULA_STATUS_INFO_INIT;
    CHECK(insula_inspect(&info));
}

static int is_over;

static void *post(void *user) {
    (void)user;
    while (!__atomic_load_n(&is_over, __ATOMIC_SEQ_CST)) {
        use_locks();
    }
    return NULL;
}

static void every(long microseconds) {
    struct itimerval time = { { 0, microseconds }, { 0, microseconds } };
    EXPECT(setitimer(ITIMER_REAL, &time, NULL) == 0);
}

static void interrupted_everywhere(void) {
    pthread_t posters[POSTERS];
    for (int i = 0; i < POSTERS; i++) {
        EXPECT(pthread_create(&posters[i], NULL, post, NULL) == 0);
    }
    every(100);
    for (int i = 0; __atomic_load_n(&raised, __ATOMIC_SEQ_CST) < WAKEUPS; i++) {
        use_locks();
        EXPECT(pthread_kill(posters[i % POSTERS], SIGUSR1) == 0);
    }
    every(0);
    __atomic_store_n(&is_over, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(posters[i], NULL);
    }
    long all = __atomic_load_n(&raised, __ATOMIC_SEQ_CST);
    wait_for_delivery_of(all);
}

static void one_by_one(void) {
    for (int i = 0; i < ONE_BY_ONE; i++) {
        EXPECT(raise(i % 2 ? SIGUSR1 : SIGALRM) == 0);
        wait_for_delivery_of(__atomic_load_n(&raised, __ATOMIC_SEQ_CST));
    }
}

typedef struct {
    flag has_begun, may_go_on, is_woken;
    insula_port port;
} crowded;

static void on_crowded(void *user, insula_port self, const insula_value *message) {
    crowded *it = user;
    if (message->integer == SIGUSR1) {
        CHECK(insula_port_close(self));
        flag_set(&it->is_woken);
    }
}

static int32_t be_crowded(void *user, const insula_value *message) {
    (void)message;
    crowded *it = user;
    CHECK(insula_port_open(1, 0, on_crowded, it, NULL, &it->port));
    flag_set(&it->has_begun);
    flag_wait(&it->may_go_on);
    return 0;
}

/* Neither the port nor the socket of the thread that posts has room. */
static void to_a_port_that_is_full(void) {
    crowded it = { FLAG_INIT, FLAG_INIT, FLAG_INIT, 0 };
    CHECK(insula_spawn(NULL, be_crowded, &it, NULL, NULL, NULL));
    flag_wait(&it.has_begun);
    CHECK(insula_post_int64(it.port, 0));
    EXPECT(insula_post_int64(it.port, 0) == INSULA_ERROR_FULL);
    insula_signal signal;
    CHECK(insula_signal_open(it.port, SIGUSR1, &signal));
    for (int i = 0; i < AT_ONCE; i++) {
        raise_it(signal);
    }
    flag_set(&it.may_go_on);
    flag_wait(&it.is_woken);
    /* Its port is closed now. */
    CHECK(insula_signal_raise(signal));
    CHECK(insula_signal_close(signal));
}

static void statuses(insula_port port) {
    insula_signal signals[MOST], one_more = 0;
    /* Two are open. */
    for (int i = 0; i < MOST - 2; i++) {
        CHECK(insula_signal_open(other, i, &signals[i]));
    }
    EXPECT(insula_signal_open(other, 0, &one_more) == INSULA_ERROR_OUT_OF_RESOURCES);
    CHECK(insula_signal_close(signals[0]));
    CHECK(insula_signal_open(other, INT64_MIN, &one_more));
    EXPECT(one_more != signals[0]);
    EXPECT(insula_signal_raise(signals[0]) == INSULA_ERROR_STALE_HANDLE);
    EXPECT(insula_signal_close(signals[0]) == INSULA_ERROR_STALE_HANDLE);
    CHECK(insula_signal_raise(one_more));
    for (int i = 1; i < MOST - 2; i++) {
        CHECK(insula_signal_close(signals[i]));
    }
    /* The shutdown closes the signals that are still open. */
    EXPECT(insula_signal_raise(0) == INSULA_ERROR_BAD_HANDLE);
    EXPECT(insula_signal_raise(UINT64_MAX) == INSULA_ERROR_BAD_HANDLE);
    EXPECT(insula_signal_raise(port) == INSULA_ERROR_BAD_HANDLE);
    EXPECT(insula_signal_close(port) == INSULA_ERROR_WRONG_TYPE);
    EXPECT(insula_signal_close(0) == INSULA_ERROR_BAD_HANDLE);
    EXPECT(insula_post_int64(one_more, 1) == INSULA_ERROR_BAD_HANDLE);
    insula_mailbox mailbox;
    insula_signal none = 0;
    CHECK(insula_mailbox_new(&mailbox));
    EXPECT(insula_signal_open(mailbox, 0, &none) == INSULA_ERROR_WRONG_TYPE);
    EXPECT(insula_signal_open(0, 0, &none) == INSULA_ERROR_BAD_HANDLE);
    EXPECT(insula_signal_open(port, 0, NULL) == INSULA_ERROR_NULL_POINTER);
    CHECK(insula_mailbox_release(mailbox));
    pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        _exit(insula_signal_raise(one_more) == INSULA_ERROR_FORKED ? 0 : 1);
    }
    int status = 1;
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
}

/* A handler that waited for the code that it interrupted would wait forever. */
static void *watch(void *user) {
    (void)user;
    sleep(120);
    fprintf(stderr, "a wake-up was not delivered, or its handler waits\n");
    _exit(1);
}

int main(void) {
    /* No signal may interrupt the watcher. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t watcher;
    EXPECT(pthread_create(&watcher, NULL, watch, NULL) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    /* Twice: the second time, thread and socket exist already. */
    for (int round = 0; round < 2; round++) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_handler = SIG_IGN;
        action.sa_flags = SA_RESTART;
        EXPECT(sigaction(SIGALRM, &action, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
        is_over = is_ending = 0;
        insula_config config = INSULA_CONFIG_INIT;
        config.threads = 2;
        CHECK(insula_init(&config));
        insula_port port;
        CHECK(insula_native_port_open(NULL, 1, on_wakeup, NULL, NULL, &port));
        CHECK(insula_native_port_open(NULL, 1, on_message, NULL, NULL, &other));
        insula_signal opened[2];
        CHECK(insula_signal_open(port, SIGALRM, &opened[0]));
        CHECK(insula_signal_open(port, SIGUSR1, &opened[1]));
        __atomic_store_n(&alarms, opened[0], __ATOMIC_SEQ_CST);
        __atomic_store_n(&users, opened[1], __ATOMIC_SEQ_CST);
        statuses(port);
        action.sa_handler = on_signal;
        EXPECT(sigaction(SIGALRM, &action, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
        __atomic_store_n(&raised, 0, __ATOMIC_SEQ_CST);
        delivered = 0;
        interrupted_everywhere();
        one_by_one();
        to_a_port_that_is_full();
        __atomic_store_n(&is_ending, 1, __ATOMIC_SEQ_CST);
        CHECK(insula_shut_down(INSULA_FOREVER));
        EXPECT(__atomic_load_n(&failed, __ATOMIC_SEQ_CST) == 0);
        EXPECT(insula_signal_raise(alarms) == INSULA_ERROR_STALE_HANDLE);
        EXPECT(insula_signal_close(users) == INSULA_ERROR_SHUT_DOWN);
        insula_status_info info = INSULA_STATUS_INFO_INIT;
        CHECK(insula_inspect(&info));
        EXPECT(info.handles == 0 && info.callbacks == 0);
    }
    printf("every wake-up was followed by a message\n");
    return 0;
}
