// An exception that leaves a callback ends the process, and does nothing worse: the stack of the
// library is not unwound, so no operation of it is left half done.
#include "insula.h"

#include <csignal>
#include <cstdio>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

void throws(void *) { throw 7; }

void nothing(void *) {}

// The child's code. It does not return.
void run() {
    rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    // The text of the abort is not an error of this test.
    std::fclose(stderr);
    insula_config config = INSULA_CONFIG_INIT;
    insula_root root = 0;
    if (insula_init(&config) != INSULA_OK ||
        insula_root_create("throws", nothing, nullptr, nullptr, &root) != INSULA_OK) {
        _exit(1);
    }
    insula_root_enter(root, throws, nullptr);
    _exit(2);
}

} // namespace

int main() {
    // Before the start, so that the child may use the library.
    pid_t child = fork();
    if (child == 0) {
        run();
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        return 1;
    }
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) {
        std::fprintf(stderr, "the child ended with status %d\n", status);
        return 1;
    }
    std::printf("the process was aborted\n");
    return 0;
}
