#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "runnel/detail/hazard.h"
#include "runnel/detail/spin_bit.h"

namespace runnel {

namespace detail {

// What a key's entry is to the map; the key and the value follow in a derived class. Constant once published,
// except: next_retired (its owner's, after unlinking), references, erased.
struct map_entry {
  explicit map_entry(std::uint64_t h) noexcept : hash(h) {}
  const std::uint64_t hash;
  map_entry* next_retired = nullptr;
  std::atomic<std::uint32_t> references{1};  // the map's, and those of range()
  std::atomic<bool> erased{false};
};

// Written once, with the entry's first publication in this table; then only the entry changes.
struct map_slot {
  std::atomic<std::uint64_t> hash;
  std::atomic<map_entry*> entry;
};

// Followed by its slots.
struct alignas(16) map_table {
  std::size_t mask;
  std::size_t used;  // slots that are not empty; under the shard's lock
  map_table* next_retired;
  map_slot* slots() noexcept { return reinterpret_cast<map_slot*>(this + 1); }
};

// Where a search has ended.
struct map_place {
  std::uint64_t hash;
  map_table* table = nullptr;
  map_slot* slot = nullptr;
  map_entry* entry = nullptr;  // nullptr: there is none
  std::uint64_t inserts = 0;   // the shard's count from before the search
};

// The map without its types: src/sync/sync_map.cpp.
class map_core {
 public:
  explicit constexpr map_core(void (*destroy)(map_entry*) noexcept) noexcept : destroy_(destroy) {}
  ~map_core();
  map_core(const map_core&) = delete;
  map_core& operator=(const map_core&) = delete;

  // Finds the entry of that hash that `equal` accepts. The place is good as long as `guard`, whose hazards protect
  // the table and the entry.
  template <class Equal>
  map_place find(hazard_guard& guard, std::uint64_t hash, Equal&& equal) const;
  // The same by one who will insert if there is none.
  template <class Equal>
  map_place find_to_insert(hazard_guard& guard, std::uint64_t hash, Equal&& equal);

  // Each changes nothing and returns false if the map has changed under the place: search again.
  bool insert(const map_place& where, map_entry* fresh);  // throws std::bad_alloc
  bool replace(const map_place& where, map_entry* fresh) noexcept;
  bool erase(const map_place& where) noexcept;

  void clear() noexcept;
  std::size_t size() const noexcept;

  // Entries of one shard at one moment, each with a reference that release() gives back.
  static constexpr int shards = 64;
  void snapshot(int shard, std::vector<map_entry*>& to) const;  // throws std::bad_alloc
  void release(map_entry* e) const noexcept {
    if (e->references.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy_(e);
  }

  static map_entry* tombstone() noexcept { return reinterpret_cast<map_entry*>(1); }

 private:
  struct alignas(64) writer_side {
    spin_bit lock;
    std::atomic<std::uint64_t> inserts{0};
    std::atomic<std::size_t> live{0};
    map_entry* retired = nullptr;  // unlinked, perhaps still read
    map_table* retired_tables = nullptr;
    std::size_t retired_weight = 0;
    std::size_t reclaim_at = reclaim_at_least;
  };
  struct body {
    std::atomic<map_table*> tables[shards]{};  // what loads read, apart from what stores write
    writer_side writers[shards];
  };
  static constexpr std::size_t reclaim_at_least = 64;

  static std::size_t shard_of(std::uint64_t hash) noexcept { return hash >> 58; }
  body& need_body();
  bool exchange(const map_place& where, map_entry* next) noexcept;
  void retire_table_locked(writer_side& w, map_table* t) noexcept;
  map_table* rebuild_locked(writer_side& w, std::atomic<map_table*>& link);
  void reclaim(writer_side& w) noexcept;

  void (*const destroy_)(map_entry*) noexcept;
  std::atomic<body*> body_{nullptr};
};

template <class Equal>
map_place map_core::find(hazard_guard& guard, std::uint64_t hash, Equal&& equal) const {
  map_place found{.hash = hash};
  body* b = body_.load(std::memory_order_acquire);
  if (b == nullptr) return found;
  const std::atomic<map_table*>& link = b->tables[shard_of(hash)];
restart:
  map_table* t = link.load(std::memory_order_acquire);
  for (;;) {
    if (t == nullptr) return found;
    guard.announce(0, t);
    map_table* now = link.load(std::memory_order_acquire);
    if (now == t) break;
    t = now;
  }
  map_slot* slots = t->slots();
  for (std::size_t i = hash & t->mask;; i = (i + 1) & t->mask) {
    map_slot& s = slots[i];
    map_entry* e = s.entry.load(std::memory_order_acquire);
    if (e == nullptr) return found;  // every table has an empty slot
    if (s.hash.load(std::memory_order_relaxed) != hash) continue;
    while (e != tombstone()) {
      guard.announce(1, e);
      map_entry* now = s.entry.load(std::memory_order_acquire);
      // The table, too: an entry unlinked from its successor stays in here.
      if (link.load(std::memory_order_acquire) != t) goto restart;
      if (now == e) {
        if (!equal(*e)) break;
        found.table = t;
        found.slot = &s;
        found.entry = e;
        return found;
      }
      e = now;
    }
  }
}

template <class Equal>
map_place map_core::find_to_insert(hazard_guard& guard, std::uint64_t hash, Equal&& equal) {
  std::uint64_t inserts =
      need_body().writers[shard_of(hash)].inserts.load(std::memory_order_acquire);
  map_place found = find(guard, hash, equal);
  found.inserts = inserts;
  return found;
}

// Every bit of the hash decides: std::hash of an integer is the integer.
inline std::uint64_t spread_hash(std::uint64_t h) noexcept {
  __extension__ using wide = unsigned __int128;
  wide product = static_cast<wide>(h ^ 0x9e3779b97f4a7c15u) * 0xd6e8feb86659fd93u;
  return static_cast<std::uint64_t>(product >> 64) ^ static_cast<std::uint64_t>(product);
}

}  // namespace detail

// A map for many goroutines and threads at once (sync.Map). Best where keys are written once and read often, or where
// different goroutines work on different keys. All methods may be called by any thread, at the same time; none
// of them waits for another's user code.
//
//   key        load()   load_or_store(v)        swap(v)             compare_and_swap(o, n)  load_and_erase()
//   absent     nullopt  {v, false}, stores v    nullopt, stores v   false                   nullopt
//   present x  x        {x, true}               x, stores v         x == o; if so stores n  x, erases
//
// Each method on one key is atomic, and what precedes a store happens before a load that returns its value.
//
// K and V are copyable. Hash, Equal, K and V's copying and comparing are called without locks, and may park; Equal
// must not throw away what the map relies on: equal keys have equal hashes. What they throw, and std::bad_alloc,
// leaves the map as it was. A V that is erased or replaced is destroyed later: by some later change of the
// map, on the goroutine that makes it, or with the map. So are the keys: a store brings its own copy.
//
// The destructor must not run at the same time as anything else.
template <class K, class V, class Hash = std::hash<K>, class Equal = std::equal_to<K>>
class sync_map {
 public:
  struct load_or_store_result {
    V value;
    bool loaded;  // it was there
  };

  constexpr sync_map() noexcept(std::is_nothrow_default_constructible_v<Hash> &&
                                std::is_nothrow_default_constructible_v<Equal>) = default;
  explicit sync_map(Hash hash, Equal equal = Equal())
      : hash_(std::move(hash)), equal_(std::move(equal)) {}
  sync_map(const sync_map&) = delete;
  sync_map& operator=(const sync_map&) = delete;

  // A copy of the value. Writes to no memory that others use.
  std::optional<V> load(const K& key) const {
    detail::hazard_guard guard;
    auto at = core_.find(guard, hash_of(key), is(key));
    if (at.entry == nullptr) return std::nullopt;
    return std::optional<V>(std::in_place, value_of(at));
  }

  void store(const K& key, V value) {
    std::uint64_t h = hash_of(key);
    put(std::make_unique<entry>(h, key, std::move(value)));
  }

  // The value that is there, or else stores the given one and returns it.
  load_or_store_result load_or_store(const K& key, V value) {
    std::uint64_t h = hash_of(key);
    std::unique_ptr<entry> fresh;
    detail::hazard_guard guard;
    for (;;) {
      auto at = core_.find_to_insert(guard, h, is(key));
      if (at.entry != nullptr) return {value_of(at), true};
      if (fresh == nullptr) fresh = std::make_unique<entry>(h, key, value);
      if (core_.insert(at, fresh.get())) {
        (void)fresh.release();
        return {std::move(value), false};
      }
    }
  }

  // Erases the key and returns its value.
  std::optional<V> load_and_erase(const K& key) {
    std::uint64_t h = hash_of(key);
    detail::hazard_guard guard;
    for (;;) {
      auto at = core_.find(guard, h, is(key));
      if (at.entry == nullptr) return std::nullopt;
      // Copied first: if that throws, nothing has happened.
      std::optional<V> value(std::in_place, value_of(at));
      if (core_.erase(at)) return value;
    }
  }

  // Stores and returns the value that was there.
  std::optional<V> swap(const K& key, V value) {
    std::uint64_t h = hash_of(key);
    auto fresh = std::make_unique<entry>(h, key, std::move(value));
    detail::hazard_guard guard;
    for (;;) {
      auto at = core_.find_to_insert(guard, h, is(key));
      std::optional<V> previous;
      if (at.entry != nullptr) previous.emplace(value_of(at));
      if (link(at, fresh)) return previous;
    }
  }

  // Stores `desired` if the key is there and its value == `expected`. Whether it did.
  bool compare_and_swap(const K& key, const V& expected, V desired)
    requires std::equality_comparable<V>
  {
    std::uint64_t h = hash_of(key);
    std::unique_ptr<entry> fresh;
    detail::hazard_guard guard;
    for (;;) {
      auto at = core_.find(guard, h, is(key));
      if (at.entry == nullptr || !(value_of(at) == expected)) return false;
      if (fresh == nullptr) fresh = std::make_unique<entry>(h, key, std::move(desired));
      if (core_.replace(at, fresh.get())) {
        (void)fresh.release();
        return true;
      }
    }
  }

  // Erases the key if its value == `expected`. Whether it did.
  bool compare_and_erase(const K& key, const V& expected)
    requires std::equality_comparable<V>
  {
    std::uint64_t h = hash_of(key);
    detail::hazard_guard guard;
    for (;;) {
      auto at = core_.find(guard, h, is(key));
      if (at.entry == nullptr || !(value_of(at) == expected)) return false;
      if (core_.erase(at)) return true;
    }
  }

  // Whether it was there.
  bool erase(const K& key) {
    std::uint64_t h = hash_of(key);
    detail::hazard_guard guard;
    for (;;) {
      auto at = core_.find(guard, h, is(key));
      if (at.entry == nullptr) return false;
      if (core_.erase(at)) return true;
    }
  }

  // Calls f(key, value) for each entry, until f returns false (f may return void). Not one snapshot of the map: a key
  // that is stored, replaced or erased meanwhile may be visited or not, with any value that it had during
  // the call; no key is visited twice. f may take its time and call every method of the map, and nobody is kept
  // waiting. Allocates for a 64th of the map.
  template <class F>
    requires std::invocable<F&, const K&, const V&>
  void range(F&& f) const {
    snapshot_refs some{core_, {}, 0};
    for (int shard = 0; shard < detail::map_core::shards; ++shard) {
      core_.snapshot(shard, some.entries);
      for (some.next = 0; some.next < some.entries.size();) {
        const auto* e = static_cast<const entry*>(some.entries[some.next]);
        if (!e->erased.load(std::memory_order_acquire)) {
          if constexpr (std::is_void_v<std::invoke_result_t<F&, const K&, const V&>>) {
            std::invoke(f, e->key, e->value);
          } else {
            if (!std::invoke(f, e->key, e->value)) return;
          }
        }
        core_.release(some.entries[some.next++]);
      }
      some.entries.clear();
    }
  }

  // Erases everything that was there before, a part of the map at a time.
  void clear() { core_.clear(); }

  // Entries. While others change the map: a number that lags behind.
  std::size_t size() const noexcept { return core_.size(); }

 private:
  struct entry : detail::map_entry {
    template <class Value>
    entry(std::uint64_t h, const K& k, Value&& v)
        : map_entry(h), key(k), value(std::forward<Value>(v)) {}
    static void destroy(map_entry* e) noexcept { delete static_cast<entry*>(e); }
    const K key;
    const V value;
  };

  // The references that range() has yet to give back, if f throws.
  struct snapshot_refs {
    const detail::map_core& core;
    std::vector<detail::map_entry*> entries;
    std::size_t next;
    ~snapshot_refs() {
      while (next < entries.size()) core.release(entries[next++]);
    }
  };

  std::uint64_t hash_of(const K& key) const {
    return detail::spread_hash(static_cast<std::uint64_t>(hash_(key)));
  }
  auto is(const K& key) const {
    return [this, &key](const detail::map_entry& e) -> bool {
      return equal_(static_cast<const entry&>(e).key, key);
    };
  }
  static const V& value_of(const detail::map_place& at) noexcept {
    return static_cast<const entry*>(at.entry)->value;
  }

  void put(std::unique_ptr<entry> fresh) {
    detail::hazard_guard guard;
    while (!link(core_.find_to_insert(guard, fresh->hash, is(fresh->key)), fresh)) {
    }
  }
  bool link(const detail::map_place& at, std::unique_ptr<entry>& fresh) {
    bool done =
        at.entry != nullptr ? core_.replace(at, fresh.get()) : core_.insert(at, fresh.get());
    if (done) (void)fresh.release();
    return done;
  }

  [[no_unique_address]] Hash hash_;
  [[no_unique_address]] Equal equal_;
  detail::map_core core_{&entry::destroy};
};

}  // namespace runnel
