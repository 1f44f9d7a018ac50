// Values of goroutine_local: a short list per goroutine, or per plain thread.

#include <memory>
#include <vector>

#include "runnel/goroutine_local.h"
#include "sched/goroutine.h"
#include "sched/switch.h"

namespace runnel::sched {
namespace {

struct local_value {
  std::uint64_t key;
  void* value;
  void (*destroy)(void*);
};

// Few to a goroutine: a linear search beats a table.
struct local_list {
  std::vector<local_value> values;

  // Values may make others while they are destroyed; these are destroyed too.
  ~local_list() {
    while (!values.empty()) {
      local_value last = values.back();
      values.pop_back();
      last.destroy(last.value);
    }
  }
};

// Not inlined: on a plain thread only, but the compiler cannot know that the goroutine's thread may change.
[[gnu::noinline]] std::unique_ptr<local_list>& thread_list() {
  static thread_local std::unique_ptr<local_list> list;
  asm volatile("" ::: "memory");
  return list;
}

local_list* current_list() noexcept {
  if (m* self = current_m()) return static_cast<local_list*>(self->current->locals);
  return thread_list().get();
}

}  // namespace

void destroy_locals(g& me) noexcept {
  // The list stays reachable meanwhile, for destructors that use other locals.
  auto* list = static_cast<local_list*>(me.locals);
  while (!list->values.empty()) {
    local_value last = list->values.back();
    list->values.pop_back();
    last.destroy(last.value);
  }
  me.locals = nullptr;
  delete list;
}

}  // namespace runnel::sched

namespace runnel::detail {

using namespace runnel::sched;

void* local_find(std::uint64_t key) noexcept {
  local_list* list = current_list();
  if (list == nullptr) return nullptr;
  for (const local_value& v : list->values) {
    if (v.key == key) return v.value;
  }
  return nullptr;
}

void local_store(std::uint64_t key, void* value, void (*destroy)(void*)) {
  local_list* list = current_list();
  if (list == nullptr) {
    auto made = std::make_unique<local_list>();
    list = made.get();
    if (m* self = current_m()) {
      self->current->locals = made.release();
    } else {
      thread_list() = std::move(made);
    }
  }
  list->values.push_back({key, value, destroy});
}

std::uint64_t local_new_key() noexcept {
  return rt().next_local_key.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace runnel::detail
