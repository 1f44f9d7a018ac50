// runnel::sync_map: sharded open-addressing tables of pointers to immutable entries.
//
// The upper bits of a hash choose one of 64 shards, its lower bits the slot where linear probing begins. Loads take no
// lock and write to nothing shared: they announce the table and then the entry in hazard pointers (hazard.cpp).
// Changes search in the same way, comparing keys as they like; then they take the shard's spin bit, see
// whether what they found still holds, and exchange one pointer. So no user code ever runs under a lock.
//
// Slot: empty -> entry <-> entry' <-> tombstone. Its hash is written before the first entry and never again, and a
// tombstone is reused by keys of that hash only: what a reader sees of a slot is of one piece.
//
// Invariants ("lock" is the shard's)
//   an entry or a table is unlinked        =>  it is retired, and freed once no hazard names it
//   tables[s] == t, slot of t holds e      =>  e is linked. Under lock, or with both announced before they were read
//   t was replaced                         =>  t never changes again and its entries are linked in its successor
//   used <= 5/8 of a table                 =>  it has an empty slot: every search ends
//   inserts is as it was before a search   =>  what the search did not find is not there, under lock
//   references == 0                        =>  retired, without hazards, and no range() has it: destroyed once
// Pairings
//   slot.entry release (insert, exchange)  ->  acquire (find): the entry's key and value, the slot's hash
//   tables[s] release (rebuild)            ->  acquire (find): the table's slots
//   inserts release                        ->  acquire (find_to_insert): the slot of that insertion
//
// Rejected
//   a hash trie as Go's: four dependent loads and more where we have three
//   seqlocks per bucket: only for trivially copyable types
//   a reader count per P: a parked copy constructor would hold up every writer
//   epochs: one frozen reader, and nothing is ever freed again
//   entries freed at once by whoever unlinks them: a system call for each
// A shard's retired are looked at 64 at a time, so a map may keep some thousand that nobody can reach.

#include "runnel/sync/sync_map.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <new>

#include "base/check.h"

namespace runnel::detail {
namespace {

constexpr std::size_t smallest_table = 8;
constexpr std::size_t limit_of(std::size_t capacity) noexcept { return capacity * 5 / 8; }

map_table* make_table(std::size_t capacity) {
  void* memory = ::operator new(sizeof(map_table) + capacity * sizeof(map_slot));
  auto* t = ::new (memory) map_table{capacity - 1, 0, nullptr};
  std::uninitialized_value_construct_n(t->slots(), capacity);
  return t;
}

// Counted as the entries that would take as much memory.
std::size_t weight_of(const map_table& t) noexcept { return (t.mask + 1) / 4; }

void free_table(map_table* t) noexcept { ::operator delete(t); }

// Of a table that nobody else sees yet, or under lock: the hash is not in it, and there is room.
void place(map_table& t, std::uint64_t hash, map_entry* e) noexcept {
  map_slot* slots = t.slots();
  std::size_t i = hash & t.mask;
  for (;; i = (i + 1) & t.mask) {
    map_entry* there = slots[i].entry.load(std::memory_order_relaxed);
    if (there == nullptr) {
      ++t.used;
      slots[i].hash.store(hash, std::memory_order_relaxed);
      break;
    }
    if (there == map_core::tombstone() && slots[i].hash.load(std::memory_order_relaxed) == hash) {
      break;
    }
  }
  slots[i].entry.store(e, std::memory_order_release);
}

template <class F>
void each_entry(map_table* t, F f) {
  if (t == nullptr) return;
  for (std::size_t i = 0; i <= t->mask; ++i) {
    map_entry* e = t->slots()[i].entry.load(std::memory_order_relaxed);
    if (e != nullptr && e != map_core::tombstone()) f(e);
  }
}

}  // namespace

map_core::~map_core() {
  body* b = body_.load(std::memory_order_acquire);
  if (b == nullptr) return;
  for (int i = 0; i < shards; ++i) {
    writer_side& w = b->writers[i];
    map_table* t = b->tables[i].load(std::memory_order_acquire);
    each_entry(t, [this](map_entry* e) { release(e); });
    if (t != nullptr) free_table(t);
    while (map_entry* e = w.retired) {
      w.retired = e->next_retired;
      release(e);
    }
    while (map_table* old = w.retired_tables) {
      w.retired_tables = old->next_retired;
      free_table(old);
    }
  }
  delete b;
}

map_core::body& map_core::need_body() {
  body* b = body_.load(std::memory_order_acquire);
  if (b == nullptr) [[unlikely]] {
    auto fresh = std::make_unique<body>();
    if (body_.compare_exchange_strong(b, fresh.get(), std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
      b = fresh.release();
    }
  }
  return *b;
}

bool map_core::insert(const map_place& where, map_entry* fresh) {
  body& b = *body_.load(std::memory_order_acquire);
  std::size_t s = shard_of(where.hash);
  writer_side& w = b.writers[s];
  bool due = false;
  {
    std::lock_guard hold(w.lock);
    std::uint64_t inserts = w.inserts.load(std::memory_order_relaxed);
    if (inserts != where.inserts) return false;
    map_table* t = b.tables[s].load(std::memory_order_relaxed);
    if (t == nullptr || t->used >= limit_of(t->mask + 1)) {
      t = rebuild_locked(w, b.tables[s]);
      due = w.retired_weight >= w.reclaim_at;
    }
    place(*t, where.hash, fresh);
    w.live.store(w.live.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    w.inserts.store(inserts + 1, std::memory_order_release);
  }
  if (due) reclaim(w);
  return true;
}

// Room for as many again as live, without the tombstones.
map_table* map_core::rebuild_locked(writer_side& w, std::atomic<map_table*>& link) {
  std::size_t capacity = smallest_table;
  while ((w.live.load(std::memory_order_relaxed) + 1) * 2 > capacity) capacity *= 2;
  map_table* next = make_table(capacity);
  map_table* old = link.load(std::memory_order_relaxed);
  each_entry(old, [next](map_entry* e) { place(*next, e->hash, e); });
  link.store(next, std::memory_order_release);
  if (old != nullptr) retire_table_locked(w, old);
  return next;
}

void map_core::retire_table_locked(writer_side& w, map_table* t) noexcept {
  t->next_retired = w.retired_tables;
  w.retired_tables = t;
  w.retired_weight += weight_of(*t);
}

bool map_core::exchange(const map_place& where, map_entry* next) noexcept {
  body& b = *body_.load(std::memory_order_acquire);
  std::size_t s = shard_of(where.hash);
  writer_side& w = b.writers[s];
  bool due;
  {
    std::lock_guard hold(w.lock);
    // Both are held by the caller's hazards: no other can have come to the same addresses.
    if (b.tables[s].load(std::memory_order_relaxed) != where.table) return false;
    if (where.slot->entry.load(std::memory_order_relaxed) != where.entry) return false;
    where.slot->entry.store(next, std::memory_order_release);
    if (next == tombstone()) {
      where.entry->erased.store(true, std::memory_order_release);
      w.live.store(w.live.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
    }
    where.entry->next_retired = w.retired;
    w.retired = where.entry;
    due = ++w.retired_weight >= w.reclaim_at;
  }
  if (due) reclaim(w);
  return true;
}

bool map_core::replace(const map_place& where, map_entry* fresh) noexcept {
  return exchange(where, fresh);
}

bool map_core::erase(const map_place& where) noexcept { return exchange(where, tombstone()); }

// Runs destructors of keys and values: nothing is held.
void map_core::reclaim(writer_side& w) noexcept {
  map_entry* entries;
  map_table* tables;
  std::size_t weight;
  {
    std::lock_guard hold(w.lock);
    entries = std::exchange(w.retired, nullptr);
    tables = std::exchange(w.retired_tables, nullptr);
    weight = std::exchange(w.retired_weight, 0);
  }
  map_entry* kept = nullptr;
  map_entry* kept_last = nullptr;
  map_table* kept_tables = nullptr;
  map_table* kept_tables_last = nullptr;
  std::size_t kept_weight = 0;
  bool know = true;
  std::vector<const void*> held;
  try {
    held = held_hazards();
  } catch (const std::bad_alloc&) {
    know = false;  // keep everything until there is memory
  }
  auto may_free = [&](const void* p) {
    return know && !std::binary_search(held.begin(), held.end(), p, std::less<const void*>());
  };
  while (tables != nullptr) {
    map_table* t = std::exchange(tables, tables->next_retired);
    if (may_free(t)) {
      free_table(t);
    } else {
      t->next_retired = kept_tables;
      if (kept_tables == nullptr) kept_tables_last = t;
      kept_tables = t;
      kept_weight += weight_of(*t);
    }
  }
  while (entries != nullptr) {
    map_entry* e = std::exchange(entries, entries->next_retired);
    if (may_free(e)) {
      release(e);
    } else {
      e->next_retired = kept;
      if (kept == nullptr) kept_last = e;
      kept = e;
      ++kept_weight;
    }
  }
  if (!know) kept_weight = weight;
  std::lock_guard hold(w.lock);
  // Those that are held by sleepers must not be looked at again with every change.
  w.reclaim_at = std::max(reclaim_at_least, 2 * kept_weight);
  w.retired_weight += kept_weight;
  if (kept != nullptr) {
    kept_last->next_retired = w.retired;
    w.retired = kept;
  }
  if (kept_tables != nullptr) {
    kept_tables_last->next_retired = w.retired_tables;
    w.retired_tables = kept_tables;
  }
}

void map_core::clear() noexcept {
  body* b = body_.load(std::memory_order_acquire);
  if (b == nullptr) return;
  for (int s = 0; s < shards; ++s) {
    writer_side& w = b->writers[s];
    {
      std::lock_guard hold(w.lock);
      map_table* t = b->tables[s].load(std::memory_order_relaxed);
      if (t == nullptr) continue;
      b->tables[s].store(nullptr, std::memory_order_release);
      each_entry(t, [&w](map_entry* e) {
        e->erased.store(true, std::memory_order_release);
        e->next_retired = w.retired;
        w.retired = e;
        ++w.retired_weight;
      });
      retire_table_locked(w, t);
      w.live.store(0, std::memory_order_relaxed);
    }
    reclaim(w);
  }
}

std::size_t map_core::size() const noexcept {
  body* b = body_.load(std::memory_order_acquire);
  std::size_t sum = 0;
  if (b != nullptr) {
    for (auto& w : b->writers) sum += w.live.load(std::memory_order_relaxed);
  }
  return sum;
}

void map_core::snapshot(int shard, std::vector<map_entry*>& to) const {
  body* b = body_.load(std::memory_order_acquire);
  if (b == nullptr) return;
  writer_side& w = b->writers[shard];
  for (;;) {
    std::size_t room = w.live.load(std::memory_order_relaxed);
    to.reserve(room + room / 4);  // not under the lock
    std::lock_guard hold(w.lock);
    if (w.live.load(std::memory_order_relaxed) > to.capacity()) continue;
    each_entry(b->tables[shard].load(std::memory_order_relaxed), [&to](map_entry* e) {
      e->references.fetch_add(1, std::memory_order_relaxed);
      to.push_back(e);
    });
    return;
  }
}

}  // namespace runnel::detail
