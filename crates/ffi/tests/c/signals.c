/*
 * A signal every millisecond interrupts the system calls of the library: no wait ends early, none
 * fails, and the host's handler stays installed.
 */
#define _XOPEN_SOURCE 700
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "common.h"

/* Any thread may be interrupted. */
static int signals;

static void on_signal(int number) {
    (void)number;
    __atomic_fetch_add(&signals, 1, __ATOMIC_RELAXED);
}

static insula_requester requester;
static insula_responder responder;

static void on_request(void *user, insula_responder side, const uint8_t *bytes,
                       uint64_t length) {
    (void)user;
    CHECK(insula_responder_respond(side, bytes, length));
    if (length == 0) {
        CHECK(insula_responder_stop(side));
    }
}

static int32_t work(void *user, const insula_value *message) {
    (void)user;
    (void)message;
    CHECK(insula_responder_message_loop(responder, on_request, NULL));
    return 0;
}

static void on_done(void *user, insula_status status, uint32_t may_have_run,
                    const insula_value *reply) {
    (void)user;
    (void)may_have_run;
    (void)reply;
    EXPECT(status == INSULA_OK);
}

static void on_service(void *user, const insula_value *request) {
    (void)user;
    CHECK(insula_reply(request));
}

static void ask(uint64_t length) {
    insula_buffer answer;
    CHECK(insula_requester_request(requester, (const uint8_t *)"question", length,
                                   INSULA_FOREVER, &answer));
    EXPECT(answer.length == length);
    CHECK(insula_buffer_free(answer.handle));
}

int main(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    EXPECT(sigaction(SIGALRM, &action, NULL) == 0);
    struct itimerval every = { { 0, 1000 }, { 0, 1000 } };
    EXPECT(setitimer(ITIMER_REAL, &every, NULL) == 0);

    insula_config config = INSULA_CONFIG_INIT;
    CHECK(insula_init(&config));
    CHECK(insula_rendezvous_new(&requester, &responder));
    insula_isolate isolate;
    CHECK(insula_spawn(NULL, work, NULL, NULL, NULL, &isolate));
    insula_service service;
    CHECK(insula_service_open(NULL, on_service, NULL, NULL, &service));
    insula_mailbox mailbox;
    CHECK(insula_mailbox_new(&mailbox));
    while (__atomic_load_n(&signals, __ATOMIC_RELAXED) < 100) {
        ask(8);
        CHECK(insula_service_call_blocking(service, NULL, INSULA_FOREVER, on_done, NULL));
        /* A time-out is never early. */
        struct timespec before, after;
        insula_buffer none;
        clock_gettime(CLOCK_MONOTONIC, &before);
        EXPECT(insula_mailbox_take(mailbox, 3000000, &none) == INSULA_ERROR_TIMED_OUT);
        clock_gettime(CLOCK_MONOTONIC, &after);
        long passed = (long)(after.tv_sec - before.tv_sec) * 1000000000L +
                      (after.tv_nsec - before.tv_nsec);
        EXPECT(passed >= 3000000L);
    }
    ask(0);
    CHECK(insula_isolate_wait(isolate, INSULA_FOREVER, NULL, NULL, 0));
    CHECK(insula_shut_down(30 * SECOND));

    struct sigaction now;
    EXPECT(sigaction(SIGALRM, NULL, &now) == 0 && now.sa_handler == on_signal);
    EXPECT(sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    EXPECT(sigaction(SIGCHLD, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    printf("no signal was noticed\n");
    return 0;
}
