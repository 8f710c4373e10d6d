/* Shared by the examples: a check that ends the program, and a flag to wait for. */
#ifndef INSULA_EXAMPLES_COMMON_H
#define INSULA_EXAMPLES_COMMON_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "insula.h"

#define CHECK(call)                                                                      \
    do {                                                                                 \
        insula_status check_status = (call);                                             \
        if (check_status != INSULA_OK) {                                                 \
            fprintf(stderr, "%s:%d: %s: %s (%d)\n", __FILE__, __LINE__, #call,           \
                    insula_last_error(), (int)check_status);                             \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

#define EXPECT(condition)                                                                \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);      \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

/* One second. */
#define SECOND 1000000000ull

/* A flag that one thread sets, once, and another waits for. */
typedef struct {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    int is_set;
} flag;

#define FLAG_INIT { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 }

static inline void flag_set(flag *it) {
    pthread_mutex_lock(&it->mutex);
    it->is_set = 1;
    pthread_cond_broadcast(&it->condition);
    pthread_mutex_unlock(&it->mutex);
}

static inline void flag_wait(flag *it) {
    pthread_mutex_lock(&it->mutex);
    while (!it->is_set) {
        pthread_cond_wait(&it->condition, &it->mutex);
    }
    pthread_mutex_unlock(&it->mutex);
}

#endif
