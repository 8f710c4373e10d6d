/*
 * Forks at random moments under load: every child is refused every call at once, whatever locks
 * were held at the fork, and the parent does not notice.
 */
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

#define FORKS 100
#define THREADS 3

static insula_port port;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int is_over;
static long posted, handled;

static void on_message(void *user, insula_port self, const insula_value *message) {
    (void)user;
    (void)self;
    (void)message;
    pthread_mutex_lock(&mutex);
    handled += 1;
    pthread_mutex_unlock(&mutex);
}

static int32_t entry(void *user, const insula_value *message) {
    (void)user;
    (void)message;
    return 0;
}

static void *work(void *user) {
    (void)user;
    for (;;) {
        pthread_mutex_lock(&mutex);
        int stop = is_over;
        posted += 1;
        pthread_mutex_unlock(&mutex);
        CHECK(insula_post_int64(port, 1));
        insula_mailbox mailbox;
        CHECK(insula_mailbox_new(&mailbox));
        CHECK(insula_mailbox_release(mailbox));
        CHECK(insula_spawn(NULL, entry, NULL, NULL, NULL, NULL));
        if (stop) {
            return NULL;
        }
    }
}

/* Returns whether a status is the one of every call in a child. */
static int is_refused(insula_status status) {
    return status == INSULA_ERROR_FORKED;
}

static int child(void) {
    insula_mailbox mailbox;
    insula_config config = INSULA_CONFIG_INIT;
    insula_value value = insula_string("x", 1);
    return is_refused(insula_post(port, &value)) && is_refused(insula_mailbox_new(&mailbox)) &&
           is_refused(insula_port_close(port)) &&
           is_refused(insula_spawn(NULL, entry, NULL, NULL, NULL, NULL)) &&
           is_refused(insula_init(&config)) && is_refused(insula_shut_down(INSULA_FOREVER)) &&
           strcmp(insula_last_error(), insula_status_text(INSULA_ERROR_FORKED)) == 0;
}

int main(void) {
    insula_config config = INSULA_CONFIG_INIT;
    CHECK(insula_init(&config));
    CHECK(insula_native_port_open("sink", 1, on_message, NULL, NULL, &port));
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        EXPECT(pthread_create(&threads[i], NULL, work, NULL) == 0);
    }
    for (int i = 0; i < FORKS; i++) {
        struct timespec moment = { 0, (i * 7919 % 500) * 1000L };
        nanosleep(&moment, NULL);
        pid_t pid = fork();
        EXPECT(pid >= 0);
        if (pid == 0) {
            /* A hang would show as the signal that ends the child. */
            alarm(20);
            _exit(child() ? 7 : 1);
        }
        int status;
        EXPECT(waitpid(pid, &status, 0) == pid);
        EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    }
    pthread_mutex_lock(&mutex);
    is_over = 1;
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK(insula_shut_down(30 * SECOND));
    EXPECT(posted == handled);
    printf("%d children were refused\n", FORKS);
    return 0;
}
