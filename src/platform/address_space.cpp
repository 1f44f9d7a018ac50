#include "platform/address_space.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "platform/sanitizer.h"

// Newer than the oldest headers we build with; the numbers are the kernel's interface.
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

namespace runnel::platform {
namespace {

constexpr std::size_t batch_max = 64;  // ranges to a call of process_madvise

// PIDFD_SELF_THREAD_GROUP (Linux 6.14): names the calling process without a descriptor.
constexpr int pidfd_self = -10001;

// Facts about the kernel, found once.
enum class answer : int { unknown, no, yes };
std::atomic<answer> light_guards{answer::unknown};
std::atomic<answer> vectored_advice{answer::unknown};

bool madvise_one(const range& r, int advice) noexcept {
  int rc;
  do rc = madvise(r.begin, r.size, advice);
  while (rc != 0 && (errno == EAGAIN || errno == EINTR));
  return rc == 0;
}

// One call for up to batch_max ranges. Returns false, having done nothing that hurts when done again,
// where the kernel cannot: the caller goes one by one.
bool madvise_many(std::span<const range> ranges, int advice) noexcept {
  // Valgrind does not know the call and says so at length.
  if (vectored_advice.load(std::memory_order_relaxed) == answer::no || running_on_valgrind()) {
    return false;
  }
  iovec vec[batch_max];
  std::size_t total = 0;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    vec[i] = {ranges[i].begin, ranges[i].size};
    total += ranges[i].size;
  }
  long done = syscall(SYS_process_madvise, pidfd_self, vec, ranges.size(), advice, 0);
  if (done == static_cast<long>(total)) {
    vectored_advice.store(answer::yes, std::memory_order_relaxed);
    return true;
  }
  if (done < 0 && errno != EAGAIN && errno != EINTR) {
    vectored_advice.store(answer::no, std::memory_order_relaxed);
  }
  return false;
}

void advise(std::span<const range> ranges, int advice) noexcept {
  while (!ranges.empty()) {
    auto part = ranges.first(ranges.size() < batch_max ? ranges.size() : batch_max);
    ranges = ranges.subspan(part.size());
    if (part.size() > 1 && madvise_many(part, advice)) continue;
    for (const range& r : part) madvise_one(r, advice);
  }
}

// Half of vm.max_map_count in guards that are mappings: the other half is the program's.
std::size_t mapping_budget() noexcept {
  std::size_t maps = 65530;
  if (std::FILE* f = std::fopen("/proc/sys/vm/max_map_count", "re")) {
    unsigned long value = 0;
    if (std::fscanf(f, "%lu", &value) == 1) maps = value;
    std::fclose(f);
  }
  return maps / 4;  // two mappings to a guard
}

std::size_t protect(std::span<const range> ranges) noexcept {
  static std::atomic<std::size_t> left{mapping_budget()};
  std::size_t done = 0;
  for (const range& r : ranges) {
    if (left.load(std::memory_order_relaxed) == 0) break;
    if (mprotect(r.begin, r.size, PROT_NONE) != 0) break;
    left.fetch_sub(1, std::memory_order_relaxed);
    ++done;
  }
  return done;
}

// Whether a byte can be read; the kernel answers instead of faulting. `unknown`: could not be found out now.
answer kernel_reads(const void* at) noexcept {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return answer::unknown;
  bool refused = write(pipe_ends[1], at, 1) < 0 && errno == EFAULT;
  close(pipe_ends[0]);
  close(pipe_ends[1]);
  return refused ? answer::no : answer::yes;
}

// `unknown`: could not be found out now.
answer probe_light_guards() noexcept {
  // LeakSanitizer reads whatever /proc/self/maps calls readable, and light guards do not show there.
  if (has_asan) return answer::no;
  // RUNNEL_GUARD=mprotect exists to test the fallback on kernels that have light guards.
  const char* wish = std::getenv("RUNNEL_GUARD");
  if (wish != nullptr && wish[0] == 'm') return answer::no;
  std::size_t size = page_size();
  void* page = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return answer::unknown;
  // Some emulators answer any advice with success: the kernel must refuse to read the page.
  answer found = answer::no;
  if (madvise(page, size, MADV_GUARD_INSTALL) == 0) {
    answer read = kernel_reads(page);
    found = read == answer::unknown ? read : read == answer::no ? answer::yes : answer::no;
  }
  munmap(page, size);
  return found;
}

}  // namespace

std::size_t page_size() noexcept {
  static const std::size_t size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

void* reserve(std::size_t size, std::size_t alignment) noexcept {
  std::size_t slack = alignment > page_size() ? alignment : 0;
  void* p = mmap(nullptr, size + slack, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  auto begin = reinterpret_cast<std::uintptr_t>(p);
  auto aligned = slack == 0 ? begin : (begin + alignment - 1) & ~(alignment - 1);
  if (aligned != begin) munmap(p, aligned - begin);
  std::size_t tail = begin + size + slack - (aligned + size);
  if (tail != 0) munmap(reinterpret_cast<void*>(aligned + size), tail);
  auto* result = reinterpret_cast<void*>(aligned);
  // One touched page must stay one page, whatever transparent_hugepage says.
  madvise(result, size, MADV_NOHUGEPAGE);
  return result;
}

void unreserve(void* begin, std::size_t size) noexcept { munmap(begin, size); }

void prefer_huge_pages(void* begin, std::size_t size) noexcept {
  madvise(begin, size, MADV_HUGEPAGE);
}

bool has_light_guards() noexcept {
  answer a = light_guards.load(std::memory_order_relaxed);
  if (a == answer::unknown) {
    a = probe_light_guards();
    light_guards.store(a, std::memory_order_relaxed);
  }
  return a == answer::yes;
}

std::size_t install_guards(std::span<const range> ranges) noexcept {
  if (!has_light_guards()) return protect(ranges);
  std::size_t done = 0;
  while (done < ranges.size()) {
    auto part = ranges.subspan(done);
    if (part.size() > batch_max) part = part.first(batch_max);
    if (!madvise_many(part, MADV_GUARD_INSTALL)) {
      for (const range& r : part) {
        if (!madvise_one(r, MADV_GUARD_INSTALL)) return done;
        ++done;
      }
    } else {
      done += part.size();
    }
  }
  return done;
}

bool readable(std::uintptr_t address) noexcept {
  return kernel_reads(reinterpret_cast<const void*>(address)) != answer::no;
}

void discard(std::span<const range> ranges) noexcept { advise(ranges, MADV_DONTNEED); }

}  // namespace runnel::platform
