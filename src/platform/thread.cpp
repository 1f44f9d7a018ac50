#include "platform/thread.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "platform/signal_stack.h"

namespace runnel::platform {
namespace {

struct start_info {
  void (*body)(void*);
  void* argument;
  char name[16];
};

// A thread begins with the registers of the one that made it, and its first frames keep them for ever: whoever looks
// for what can be reached would find there what the caller happened to have in hand.
[[gnu::always_inline]] inline void forget_registers() noexcept {
#if defined(__x86_64__)
  asm volatile(
      "xorl %%ebx, %%ebx\n\t"
      "xorl %%r12d, %%r12d\n\t"
      "xorl %%r13d, %%r13d\n\t"
      "xorl %%r14d, %%r14d\n\t"
      "xorl %%r15d, %%r15d"
      :
      :
      : "rbx", "r12", "r13", "r14", "r15", "cc");
#elif defined(__aarch64__)
  asm volatile(
      "mov x20, xzr\n\t"
      "mov x21, xzr\n\t"
      "mov x22, xzr\n\t"
      "mov x23, xzr\n\t"
      "mov x24, xzr\n\t"
      "mov x25, xzr\n\t"
      "mov x26, xzr\n\t"
      "mov x27, xzr\n\t"
      "mov x28, xzr"
      :
      :
      : "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28");
#endif
}

void* start(void* raw) {
  std::unique_ptr<start_info> info(static_cast<start_info*>(raw));
  pthread_setname_np(pthread_self(), info->name);
  signal_stack for_handlers;
  // Kept: the C library remembers its address for as long as the thread lives, and whoever was given that memory meanwhile
  // would look reachable.
  info->body(info->argument);
  return nullptr;
}

}  // namespace

int start_thread(void (*body)(void*), void* argument, const char* name) noexcept {
  auto* info = new (std::nothrow) start_info{body, argument, {}};
  if (info == nullptr) return ENOMEM;
  std::snprintf(info->name, sizeof info->name, "%s", name);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  forget_registers();
  int rc = pthread_create(&thread, &attributes, &start, info);
  pthread_attr_destroy(&attributes);
  if (rc != 0) delete info;
  return rc;
}

int thread_id() noexcept { return static_cast<int>(syscall(SYS_gettid)); }

stack_bounds current_thread_stack() noexcept {
  pthread_attr_t attributes;
  stack_bounds bounds{nullptr, 0};
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return bounds;
  pthread_attr_getstack(&attributes, &bounds.lowest, &bounds.size);
  pthread_attr_destroy(&attributes);
  return bounds;
}

bool thread_sleeps(int tid) noexcept {
  int saved = errno;
  char path[48];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
  bool sleeps = false;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    // "tid (name) state …"; the name may hold anything, so the state follows the last parenthesis.
    char text[128];
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n > 0) {
      text[n] = '\0';
      const char* end = std::strrchr(text, ')');
      if (end != nullptr && end[1] == ' ') sleeps = std::strchr("SDTt", end[2]) != nullptr;
    }
  }
  errno = saved;
  return sleeps;
}

bool all_threads_are(bool (*one_of)(int tid) noexcept) noexcept {
  int saved = errno;
  DIR* tasks = opendir("/proc/self/task");
  bool all = tasks != nullptr;
  while (all) {
    const dirent* entry = readdir(tasks);
    if (entry == nullptr) break;
    int tid = std::atoi(entry->d_name);  // 0: "." and ".."
    all = tid == 0 || one_of(tid);
  }
  if (tasks != nullptr) closedir(tasks);
  errno = saved;
  return all;
}

}  // namespace runnel::platform
