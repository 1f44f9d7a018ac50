#pragma once
// Goroutines that can never wake: those that wait for others, and that nothing can reach any more which could still act.
//
// Everything stands still for the search: the world, and then by a signal every thread (platform/stop_threads.h), so that
// no address is on its way from one place to another. What is then found is true for ever: who is not reachable now never
// will be. Whenever something cannot be known (a thread does not answer, /proc is not there), nothing is found.

#include "platform/page_array.h"
#include "platform/stack_walk.h"
#include "sched/leak_trail.h"
#include "sched/survey.h"

namespace runnel::sched {

class leak_search {
 public:
  // By any thread without a P; `caller`: its registers in the function for which this is done, whose frames count.
  // Calls found(sample) for each leaked goroutine with the world stopped, but threads going on: it may allocate. False:
  // nothing is known, for the reason in why_not().
  // Never a part of its caller: what the search leaves in its frame would count.
  template <class Found>
  [[gnu::noinline]] bool run(const platform::registers& caller, Found found) {
    struct world {
      world() noexcept { hold(); }
      ~world() { let_go(); }
    } stopped;
    // Gone before the world goes on: another search would find their addresses here.
    platform::page_array<g*> leaked;
    if (!search(caller, leaked)) return false;
    goroutine_sample sample;
    for (const g* one : leaked) {
      take_parked(*one, sample);
      found(sample);
    }
    return true;
  }

  const char* why_not() const noexcept { return why_not_; }
  int silent_thread() const noexcept { return silent_thread_; }  // if that was the reason

 private:
  static void hold() noexcept;
  static void let_go() noexcept;
  bool search(const platform::registers& caller, platform::page_array<g*>& leaked);
  bool search_standing(const platform::registers& caller, platform::page_array<g*>& leaked,
                       leak_trails* trails) noexcept;

  const char* why_not_ = nullptr;
  int silent_thread_ = 0;
};

// With RUNNEL_DEBUG=leak=1, on standard error, when main has returned.
void report_leaks_at_exit() noexcept;

}  // namespace runnel::sched
