#pragma once
// The nodes of the tree of contexts. Not for programs.
//
// A node is counted by contexts and by the nodes below it, which keep it whole, and by weak references, which keep only its
// memory. Parents know their children only as long as these are kept by others.

#include <atomic>
#include <cstdint>
#include <utility>

namespace runnel::detail {

class cancel_node;

class context_node {
 public:
  // `parent`: nullptr is the background. It is kept.
  context_node(context_node* parent, cancel_node* scope) noexcept;
  context_node(const context_node&) = delete;
  context_node& operator=(const context_node&) = delete;

  void retain() noexcept { strong_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (strong_.fetch_sub(1, std::memory_order_acq_rel) == 1) release_last();
  }
  // False: it is about to end.
  bool try_retain() noexcept;

  void retain_weak() noexcept { weak_.fetch_add(1, std::memory_order_relaxed); }
  void release_weak() noexcept {
    if (weak_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  context_node* parent() const noexcept { return parent_; }
  // Who is cancelled when this is: itself or one above; nullptr: nobody.
  cancel_node* scope() const noexcept { return scope_; }
  // The node's own value for the key, or nullptr.
  virtual const void* find(const void*) const noexcept { return nullptr; }

 protected:
  virtual ~context_node() = default;
  // Nobody keeps it any more; its memory may stay.
  virtual void dispose() noexcept {}
  void set_scope(cancel_node* scope) noexcept { scope_ = scope; }

 private:
  void release_last() noexcept;

  std::atomic<std::uint32_t> strong_{1};
  std::atomic<std::uint32_t> weak_{1};  // all the strong ones are one
  context_node* const parent_;
  cancel_node* scope_;
};

template <class Key>
inline constexpr char context_key_address = 0;

template <class Key>
class value_node final : public context_node {
 public:
  template <class V>
  value_node(context_node* parent, cancel_node* scope, V&& value)
      : context_node(parent, scope), value_(std::forward<V>(value)) {}

  const void* find(const void* key) const noexcept override {
    return key == &context_key_address<Key> ? &value_ : nullptr;
  }

 private:
  const typename Key::type value_;
};

}  // namespace runnel::detail
