#include "platform/thread.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>

#include <cerrno>
#include <cstdint>
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

std::uintptr_t thread_descriptor() noexcept {
  static_assert(sizeof(pthread_t) == sizeof(std::uintptr_t));
  return static_cast<std::uintptr_t>(pthread_self());
}

const void* end_of_first_frame() noexcept {
  std::uintptr_t highest = 0;
  // A frame's canonical address is the end of the one it called; the last one shown is what the kernel began with.
  auto note = [](_Unwind_Context* frame, void* to) {
    *static_cast<std::uintptr_t*>(to) = _Unwind_GetCFA(frame);
    return _URC_NO_REASON;
  };
  _Unwind_Backtrace(note, &highest);
  return reinterpret_cast<const void*>(highest);
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
