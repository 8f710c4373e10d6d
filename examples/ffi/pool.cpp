// A service on a pool of workers, an isolate and its port, with wrappers that release what they
// hold: C++17 over the C header.
#include "insula.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

// A status that is not OK.
class Error : public std::runtime_error {
public:
    explicit Error(insula_status status)
        : std::runtime_error(insula_last_error()), status(status) {}
    insula_status status;
};

void check(insula_status status) {
    if (status != INSULA_OK) {
        throw Error(status);
    }
}

// The runtime, which is shut down at the end of the scope.
class Runtime {
public:
    Runtime() {
        insula_config config = INSULA_CONFIG_INIT;
        check(insula_init(&config));
    }
    ~Runtime() {
        if (insula_shut_down(10000000000u) != INSULA_OK) {
            std::fprintf(stderr, "%s\n", insula_last_error());
            std::abort();
        }
    }
    Runtime(const Runtime &) = delete;
    Runtime &operator=(const Runtime &) = delete;
};

// A handle that is released at the end of the scope.
template <insula_status (*Release)(std::uint64_t)>
class Handle {
public:
    explicit Handle(std::uint64_t bits) : bits_(bits) {}
    Handle(Handle &&other) noexcept : bits_(std::exchange(other.bits_, 0)) {}
    Handle &operator=(Handle &&) = delete;
    ~Handle() {
        if (bits_ != 0) {
            Release(bits_);
        }
    }
    std::uint64_t get() const { return bits_; }

private:
    std::uint64_t bits_;
};

using Isolate = Handle<insula_isolate_release>;
using Service = Handle<insula_service_release>;
using NativePort = Handle<insula_port_close>;

// A C++ function as a callback. No exception may leave it.
template <typename F>
struct Callable {
    static void message(void *user, insula_port port, const insula_value *value) noexcept {
        (*static_cast<F *>(user))(port, *value);
    }
    static void request(void *user, const insula_value *value) noexcept {
        (*static_cast<F *>(user))(*value);
    }
    static void done(void *user, insula_status status, std::uint32_t,
                     const insula_value *reply) noexcept {
        (*static_cast<F *>(user))(status, *reply);
    }
    static void free(void *user) noexcept { delete static_cast<F *>(user); }
};

template <typename F>
NativePort open_native_port(const char *name, F function) {
    auto owned = std::make_unique<F>(std::move(function));
    insula_port port = 0;
    check(insula_native_port_open(name, 1, Callable<F>::message, owned.get(),
                                  Callable<F>::free, &port));
    owned.release();
    return NativePort(port);
}

template <typename F>
Service open_service(const char *name, std::uint32_t workers, F function) {
    auto owned = std::make_unique<F>(std::move(function));
    insula_service_options options = INSULA_SERVICE_OPTIONS_INIT;
    options.name = name;
    options.workers = workers;
    insula_service service = 0;
    check(insula_service_open(&options, Callable<F>::request, owned.get(), Callable<F>::free,
                              &service));
    owned.release();
    return Service(service);
}

// A buffer that moves into a message. The message's last owner deletes it.
insula_value moved(std::vector<double> numbers, std::atomic<int> &deleted) {
    struct Owner {
        std::vector<double> numbers;
        std::atomic<int> *deleted;
    };
    auto *owner = new Owner{std::move(numbers), &deleted};
    return insula_external(
        INSULA_ELEMENT_FLOAT64, owner->numbers.data(),
        owner->numbers.size() * sizeof(double), owner, [](void *peer) {
            auto *owner = static_cast<Owner *>(peer);
            owner->deleted->fetch_add(1);
            delete owner;
        });
}

// Calls the service, and returns a future of the sum.
std::future<double> sum(const Service &service, const insula_value &numbers) {
    auto promise = std::make_shared<std::promise<double>>();
    auto future = promise->get_future();
    auto done = [promise](insula_status status, const insula_value &reply) {
        if (status == INSULA_OK) {
            promise->set_value(reply.real);
        } else {
            auto text = static_cast<const char *>(reply.data);
            promise->set_exception(std::make_exception_ptr(std::runtime_error(text)));
        }
    };
    using Done = decltype(done);
    auto owned = std::make_unique<Done>(std::move(done));
    check(insula_service_call(service.get(), &numbers, INSULA_FOREVER, Callable<Done>::done,
                              owned.get(), Callable<Done>::free, nullptr));
    owned.release();
    return future;
}

void run() {
    std::atomic<int> deleted{0};
    {
        Runtime runtime;
        Service service = open_service("sums", 2, [](const insula_value &request) noexcept {
            if (request.kind != INSULA_KIND_EXTERNAL_TYPED_DATA) {
                insula_fail("not a list of numbers");
                return;
            }
            auto first = static_cast<const double *>(request.data);
            auto last = first + request.length / sizeof(double);
            insula_value reply = insula_double(std::accumulate(first, last, 0.0));
            insula_reply(&reply);
        });

        std::vector<std::future<double>> sums;
        for (int count : {10, 1000, 100000}) {
            std::vector<double> numbers(static_cast<std::size_t>(count), 0.5);
            sums.push_back(sum(service, moved(std::move(numbers), deleted)));
        }
        for (auto &it : sums) {
            std::printf("sum %.1f\n", it.get());
        }
        try {
            sum(service, insula_int64(7)).get();
        } catch (const std::runtime_error &error) {
            std::printf("error: %s\n", error.what());
        }

        std::promise<std::string> heard;
        NativePort port = open_native_port(
            "greetings", [&heard](insula_port, const insula_value &message) noexcept {
                heard.set_value(static_cast<const char *>(message.data));
            });
        insula_value home = insula_send_port(port.get());
        insula_isolate isolate = 0;
        check(insula_spawn(
            nullptr,
            [](void *, const insula_value *message) -> std::int32_t {
                insula_value text = insula_string("hello from an isolate", 21);
                return insula_post(insula_handle_of(message), &text);
            },
            nullptr, nullptr, &home, &isolate));
        Isolate owned(isolate);
        std::printf("%s\n", heard.get_future().get().c_str());
    }
    std::printf("%d buffers moved and deleted\n", deleted.load());
}

} // namespace

int main() {
    try {
        run();
    } catch (const Error &error) {
        std::fprintf(stderr, "status %d: %s\n", static_cast<int>(error.status), error.what());
        return 1;
    }
    return 0;
}
