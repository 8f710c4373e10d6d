/*
 * Every number at its extremes, and too little memory or too few threads: each gives a status, and
 * never ends the process or writes to the standard error stream. A failed call has moved nothing.
 */
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

static int freed;

static void on_free(void *user) {
    (void)user;
    freed += 1;
}

static void on_message(void *user, insula_port port, const insula_value *message) {
    (void)user;
    (void)port;
    (void)message;
}

static void on_request(void *user, const insula_value *request) {
    (void)user;
    (void)request;
}

static void on_tick(void *user, insula_timer timer, uint64_t tick) {
    (void)user;
    (void)timer;
    (void)tick;
}

static void is_one_of(insula_status status, insula_status a, insula_status b, int line) {
    if (status != a && status != b) {
        fprintf(stderr, "%s:%d: %d: %s\n", __FILE__, line, (int)status, insula_last_error());
        exit(1);
    }
}

#define ONE_OF(status, a, b) is_one_of(status, a, b, __LINE__)

static const uint32_t counts[] = { 0, 1, 1000, 65536, 65537, INT32_MAX, UINT32_MAX };
static const uint64_t times[] = { 1, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 1 };

#define EACH(i, table) (size_t i = 0; i < sizeof(table) / sizeof *(table); i++)

static void the_numbers_of_threads(void) {
    for EACH(i, counts) {
        insula_config config = INSULA_CONFIG_INIT;
        config.threads = counts[i];
        CHECK(insula_init(&config));
        CHECK(insula_shut_down(INSULA_FOREVER));
        config.threads = 1;
        config.spare_threads = counts[i];
        CHECK(insula_init(&config));
        CHECK(insula_shut_down(INSULA_FOREVER));
        config.flags = counts[i];
        ONE_OF(insula_init(&config), INSULA_OK, INSULA_ERROR_BAD_VALUE);
        ONE_OF(insula_shut_down(INSULA_FOREVER), INSULA_OK, INSULA_ERROR_SHUT_DOWN);
    }
}

static int32_t use_stack(void *user, const insula_value *message) {
    (void)message;
    volatile uint8_t bytes[3 << 20];
    for (size_t i = 0; i < sizeof bytes; i += 4096) {
        bytes[i] = 1;
    }
    flag_set(user);
    return bytes[0] - 1;
}

static void the_sizes_of_stacks(void) {
    static const uint64_t sizes[] = { 1, 65536, (16u << 20) + 1, 1u << 30 };
    static const uint64_t too_large[] = { (1u << 30) + 1, UINT32_MAX, (uint64_t)UINT32_MAX + 1,
                                          INT64_MAX, UINT64_MAX };
    for EACH(i, sizes) {
        insula_config config = INSULA_CONFIG_INIT;
        config.threads = 1;
        config.stack_size = sizes[i];
        CHECK(insula_init(&config));
        /* Larger than a thread's default stack. */
        for (uint32_t flags = 0; sizes[i] > (3u << 20) && flags <= INSULA_SPAWN_PINNED;
             flags += INSULA_SPAWN_PINNED) {
            insula_spawn_options options = INSULA_SPAWN_OPTIONS_INIT;
            options.flags = flags;
            flag is_over = FLAG_INIT;
            CHECK(insula_spawn(&options, use_stack, &is_over, NULL, NULL, NULL));
            flag_wait(&is_over);
        }
        CHECK(insula_shut_down(INSULA_FOREVER));
    }
    for EACH(i, too_large) {
        insula_config config = INSULA_CONFIG_INIT;
        config.stack_size = too_large[i];
        EXPECT(insula_init(&config) == INSULA_ERROR_BAD_VALUE);
    }
}

static void the_numbers_of_services(void) {
    /* Large numbers of workers take long to start, and test nothing new. */
    static const uint32_t workers[] = { 1, 3, 65537, INT32_MAX, UINT32_MAX };
    for EACH(i, workers) {
        insula_service_options options = INSULA_SERVICE_OPTIONS_INIT;
        options.workers = workers[i];
        insula_service service;
        freed = 0;
        insula_status status = insula_service_open(&options, on_request, NULL, on_free, &service);
        ONE_OF(status, INSULA_OK, INSULA_ERROR_OUT_OF_RESOURCES);
        EXPECT((status == INSULA_OK) == (workers[i] < 65537));
        if (status == INSULA_OK) {
            CHECK(insula_service_close(service, 0));
        }
        EXPECT(freed == (status == INSULA_OK));
    }
    for EACH(i, counts) {
        insula_service_options options = INSULA_SERVICE_OPTIONS_INIT;
        options.workers = 1;
        options.queue = counts[i];
        insula_service service;
        CHECK(insula_service_open(&options, on_request, NULL, NULL, &service));
        for EACH(t, times) {
            insula_status status =
                insula_service_call_blocking(service, NULL, times[t], NULL, NULL);
            ONE_OF(status, INSULA_OK, INSULA_ERROR_TIMED_OUT);
        }
        CHECK(insula_service_close(service, i % 2 ? UINT64_MAX : (uint64_t)INT64_MAX));
    }
}

static void the_numbers_of_native_ports(void) {
    for EACH(i, counts) {
        insula_port port;
        CHECK(insula_native_port_open(NULL, counts[i], on_message, NULL, NULL, &port));
        CHECK(insula_post_int64(port, INT64_MIN));
        CHECK(insula_port_close(port));
    }
}

/* The numbers that only an isolate can pass. */
static int32_t the_numbers_of_isolates(void *user, const insula_value *message) {
    (void)message;
    static const uint64_t limits[] = { 0, 1, UINT32_MAX, INT64_MAX, UINT64_MAX };
    for EACH(i, limits) {
        insula_port port;
        insula_status status = insula_port_open(limits[i], 0, on_message, NULL, NULL, &port);
        ONE_OF(status, INSULA_OK, INSULA_ERROR_BAD_LENGTH);
        if (status == INSULA_OK) {
            CHECK(insula_post_int64(port, INT64_MAX));
            CHECK(insula_port_close(port));
        }
    }
    for EACH(i, times) {
        insula_timer timer;
        CHECK(insula_timer_start(times[i], 0, on_tick, NULL, NULL, &timer));
        if (times[i] != 1) {
            CHECK(insula_timer_cancel(timer));
        }
        CHECK(insula_timer_start(0, times[i], on_tick, NULL, NULL, &timer));
        CHECK(insula_timer_cancel(timer));
    }
    insula_isolate self;
    CHECK(insula_isolate_current(&self));
    uint64_t length;
    char name[8];
    CHECK(insula_isolate_name(self, NULL, UINT64_MAX, &length));
    CHECK(insula_isolate_name(self, name, 1, &length));
    EXPECT(name[0] == 0);
    CHECK(insula_isolate_release(self));
    flag_set(user);
    return 0;
}

static void the_numbers_of_waits(void) {
    insula_mailbox mailbox;
    insula_mutex mutex;
    CHECK(insula_mailbox_new(&mailbox));
    CHECK(insula_mutex_new(&mutex));
    for EACH(i, times) {
        insula_buffer buffer;
        CHECK(insula_mailbox_put(mailbox, NULL, 0, times[i]));
        CHECK(insula_mailbox_take(mailbox, times[i], &buffer));
        CHECK(insula_buffer_free(buffer.handle));
        CHECK(insula_mutex_lock(mutex, times[i]));
        CHECK(insula_mutex_unlock(mutex));
    }
    CHECK(insula_mutex_release(mutex));
    CHECK(insula_mailbox_release(mailbox));
}

static void the_lengths_of_bytes(void) {
    insula_mailbox mailbox;
    insula_port port;
    CHECK(insula_mailbox_new(&mailbox));
    CHECK(insula_native_port_open(NULL, 1, on_message, NULL, NULL, &port));
    const uint8_t byte = 0;
    /* No memory has room for so many bytes, so they are never read. */
    static const uint64_t lengths[] = { INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX };
    for EACH(i, lengths) {
        insula_status status = insula_mailbox_put(mailbox, &byte, lengths[i], 0);
        ONE_OF(status, INSULA_ERROR_BAD_LENGTH, INSULA_ERROR_OUT_OF_RESOURCES);
        insula_value value = insula_typed_data(INSULA_ELEMENT_UINT8, &byte, lengths[i]);
        status = insula_post(port, &value);
        ONE_OF(status, INSULA_ERROR_BAD_LENGTH, INSULA_ERROR_OUT_OF_RESOURCES);
        value = insula_array((const insula_value *)&value, lengths[i]);
        status = insula_post(port, &value);
        ONE_OF(status, INSULA_ERROR_BAD_LENGTH, INSULA_ERROR_TOO_DEEP);
    }
    CHECK(insula_mailbox_release(mailbox));
    CHECK(insula_port_close(port));
}

/* Returns the memory that the process uses now, or 0. */
static rlim_t size_of_process(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    if (file != NULL) {
        if (fscanf(file, "%lu", &pages) != 1) {
            pages = 0;
        }
        fclose(file);
    }
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* Runs `function` in a child with little memory beyond what it uses. */
static void with_little_memory(rlim_t more, void (*function)(void)) {
    rlim_t size = size_of_process();
    if (IS_SANITIZED || size == 0) {
        return;
    }
    pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        struct rlimit limit = { size + more, size + more };
        EXPECT(setrlimit(RLIMIT_AS, &limit) == 0);
        alarm(30);
        function();
        exit(0);
    }
    int status = 0;
    EXPECT(waitpid(child, &status, 0) == child);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void no_thread_can_be_started(void) {
    insula_config config = INSULA_CONFIG_INIT;
    config.threads = 1;
    EXPECT(insula_init(&config) == INSULA_ERROR_OUT_OF_RESOURCES);
    EXPECT(insula_checkpoint() == INSULA_ERROR_NOT_STARTED);
}

enum { MANY = 64 << 20 };
static uint8_t *many;

static void no_memory_for_a_stack(void) {
    insula_config config = INSULA_CONFIG_INIT;
    config.threads = 1;
    config.stack_size = 1u << 30;
    EXPECT(insula_init(&config) == INSULA_ERROR_OUT_OF_RESOURCES);
    config.stack_size = 1u << 20;
    CHECK(insula_init(&config));
    CHECK(insula_shut_down(INSULA_FOREVER));
}

static void no_memory_for_a_copy(void) {
    insula_config config = INSULA_CONFIG_INIT;
    config.threads = 1;
    CHECK(insula_init(&config));
    insula_port port;
    insula_mailbox mailbox;
    CHECK(insula_native_port_open(NULL, 1, on_message, NULL, NULL, &port));
    CHECK(insula_mailbox_new(&mailbox));
    EXPECT(insula_mailbox_put(mailbox, many, MANY, 0) == INSULA_ERROR_OUT_OF_RESOURCES);
    freed = 0;
    insula_value items[] = {
        insula_external(INSULA_ELEMENT_UINT8, many, 1, many, on_free),
        insula_typed_data(INSULA_ELEMENT_UINT8, many, MANY),
    };
    insula_value message = insula_array(items, 2);
    EXPECT(insula_post(port, &message) == INSULA_ERROR_OUT_OF_RESOURCES);
    items[1] = insula_string((const char *)many, MANY);
    EXPECT(insula_post(port, &message) == INSULA_ERROR_OUT_OF_RESOURCES);
    EXPECT(freed == 0);
    CHECK(insula_shut_down(INSULA_FOREVER));
}

static int32_t never(void *user, const insula_value *message) {
    (void)user;
    (void)message;
    _exit(1);
}

static int32_t has_started(void *user, const insula_value *message) {
    (void)message;
    flag_set(user);
    return 0;
}

/*
 * glibc ends the process when it has no memory to register the destructor of a thread-local, so
 * every thread of the runtime registers its own before memory is short: by then those of the pool
 * have run an isolate and the call after its end.
 */
static void let_all_threads_start(void) {
    flag has_run = FLAG_INIT;
    insula_isolate isolate;
    CHECK(insula_spawn(NULL, has_started, &has_run, NULL, NULL, &isolate));
    flag_wait(&has_run);
    CHECK(insula_isolate_wait(isolate, INSULA_FOREVER, NULL, NULL, 0));
    CHECK(insula_isolate_release(isolate));
}

static void no_thread_for_a_pinned_isolate(void) {
    insula_config config = INSULA_CONFIG_INIT;
    config.threads = 1;
    CHECK(insula_init(&config));
    let_all_threads_start();
    rlim_t size = size_of_process();
    struct rlimit limit = { size + (1 << 20), size + (1 << 20) };
    EXPECT(setrlimit(RLIMIT_AS, &limit) == 0);
    insula_spawn_options options = INSULA_SPAWN_OPTIONS_INIT;
    options.flags = INSULA_SPAWN_PINNED;
    freed = 0;
    insula_value message = insula_external(INSULA_ELEMENT_UINT8, many, 1, many, on_free);
    insula_isolate isolate = 7;
    EXPECT(insula_spawn(&options, never, many, on_free, &message, &isolate) ==
           INSULA_ERROR_OUT_OF_RESOURCES);
    EXPECT(freed == 0 && isolate == 0);
    CHECK(insula_shut_down(INSULA_FOREVER));
    EXPECT(freed == 0);
}

/* Receives the output on the standard error stream, which must be empty. */
static FILE *kept;
static int said;

static void tell(void) {
    fflush(stderr);
    fflush(stdout);
    rewind(kept);
    char line[256];
    int lines = 0;
    while (fgets(line, sizeof line, kept) != NULL) {
        lines += 1;
        if (write(said, line, strlen(line)) < 0) {
            break;
        }
    }
    if (lines != 0) {
        _exit(1);
    }
}

int main(void) {
    alarm(100);
    said = dup(STDERR_FILENO);
    kept = tmpfile();
    EXPECT(said >= 0 && kept != NULL);
    EXPECT(dup2(fileno(kept), STDERR_FILENO) >= 0);
    atexit(tell);

    many = malloc(MANY);
    EXPECT(many != NULL);
    memset(many, 'm', MANY);
    with_little_memory(1 << 20, no_thread_can_be_started);
    with_little_memory(512 << 20, no_memory_for_a_stack);
    with_little_memory(40 << 20, no_memory_for_a_copy);
    with_little_memory(1ul << 30, no_thread_for_a_pinned_isolate);
    free(many);

    the_numbers_of_threads();
    the_sizes_of_stacks();
    insula_config config = INSULA_CONFIG_INIT;
    config.threads = 2;
    CHECK(insula_init(&config));
    the_numbers_of_services();
    the_numbers_of_native_ports();
    flag is_over = FLAG_INIT;
    CHECK(insula_spawn(NULL, the_numbers_of_isolates, &is_over, NULL, NULL, NULL));
    flag_wait(&is_over);
    the_numbers_of_waits();
    the_lengths_of_bytes();
    CHECK(insula_shut_down(INSULA_FOREVER));
    puts("every number has its status");
    return 0;
}
