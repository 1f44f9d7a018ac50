// Lets a limited number of goroutines through.
#pragma once

#include <runnel/sync.h>

#include <mutex>

namespace wordfreq {

// A counting semaphore at which the last to come is the first to get in. That takes a walk to the
// leaves of the tree, and goes on with the directories above only when those below are through: so
// few are begun at any time.
class alignas(64) gate {  // not in a cache line with what others read all the time
 public:
  explicit gate(int places) : free_(places) {}

  // Waits for a place and takes it.
  void enter() {
    waiter self;
    {
      const std::lock_guard guard(lock_);
      if (free_ > 0) {
        --free_;
        return;
      }
      self.turn.add(1);
      self.next = waiting_;
      waiting_ = &self;
    }
    self.turn.wait();
  }

  // Gives the place to one who waits, or back. Any goroutine may do so for any other.
  void leave() {
    waiter* first;
    {
      const std::lock_guard guard(lock_);
      first = waiting_;
      if (first == nullptr) {
        ++free_;
        return;
      }
      waiting_ = first->next;
    }
    first->turn.done();
  }

 private:
  struct waiter {
    runnel::wait_group turn;  // its one count is given by leave()
    waiter* next = nullptr;
  };

  runnel::mutex lock_;
  int free_;                   // free_ > 0 => waiting_ is null
  waiter* waiting_ = nullptr;  // on the stacks of those who wait
};

}  // namespace wordfreq
