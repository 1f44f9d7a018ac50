// Memory is freed twice: the C library finds out.
// status: 2
// expect: double free detected
// expect: ^fatal error: SIGABRT: abort$
// expect: ^goroutine 1 \[running\]:$
// expect: ^(message::~message|main::.*operator)\(\)
// skip: asan tsan
#include <runnel/runnel.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

struct message {
  char* text;
  [[gnu::noinline]] ~message() { std::free(text); }
};

// A copy that frees what the original frees too.
[[gnu::noinline]] std::size_t length_of(message copy) { return std::strlen(copy.text); }

int main() {
  runnel::run([] {
    message hello{strdup("hello")};
    std::printf("%zu\n", length_of(hello));
  });
}
