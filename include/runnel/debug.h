#pragma once
// Seeing inside a program that runs: what its goroutines are doing.
//
// Stacks show functions, also inlined ones, with files and lines where there is debug information and elfutils' libdw.so.1
// is installed; without them, what the dynamic symbol table tells. SIGQUIT (Ctrl-\) shows the same on standard error
// and ends the program with status 2, unless the program handles or ignores that signal itself.

#include <cstdint>
#include <string>
#include <vector>

namespace runnel::debug {

struct stacks_options {
  // Goroutines in the same state and with the same stack together, the most frequent first.
  bool fold = false;
};

// All goroutines as text, as Go's runtime.Stack writes them: id, name, state with its reason and since when, the stack,
// and who created it:
//
//   goroutine 7 "reader" [chan receive, 3 minutes]:
//   read_all(runnel::chan<int>)
//           reader.cpp:30
//   created by start_readers() in goroutine 1
//           main.cpp:12
//
// The other goroutines go on meanwhile, stopped for a fraction of a millisecond at a time: this is no picture of one
// moment. A goroutine that computes is stopped by SIGURG to read its stack, unless the program handles that signal; one in a
// system call outside of blocking() is left alone, and its stack not shown. May be called from any thread; throws
// std::bad_alloc.
std::string stacks(stacks_options how = {});

// The same to a file descriptor, as it is found: a million goroutines take no more memory than a few. What cannot be
// written is dropped.
void write_stacks(int fd, stacks_options how = {});

// What is known of one goroutine.
struct goroutine_info {
  std::uint64_t id = 0;
  std::string name;           // go_options.name
  std::string state;          // in Go's words, with since when: "chan receive, 3 minutes"
  std::vector<void*> frames;  // return addresses, innermost first
  std::uint64_t creator = 0;  // the goroutine that started it; 0: a plain thread
  void* creator_pc = nullptr;
};

// Goroutines that can never wake: they wait for a channel, a lock, a wait group that nothing can reach any more which
// could still act: no goroutine that runs or may, no thread, timer or global. Found by looking at all memory, as a garbage
// collector does; while it looks, every thread stands still, by SIGURG. A call of the system that a signal may end
// (poll, nanosleep) fails with EINTR.
//
// Who is listed has leaked for certain, unless the program hides addresses: exclusive-ored, at odd places in packed
// structures, in pages it has protected from reading, only in the kernel (a pipe) or in another process. Who is not may still have: an old address that lies
// somewhere keeps it off the list. None are listed where memory cannot be seen through: with the allocator of a sanitizer, or
// one other than glibc's, for what it holds; or if a thread blocks SIGURG.
//
// The same at the end of a run, on standard error: RUNNEL_DEBUG=leak=1 in the environment. With leak=2, there and here it is
// also written what holds each one that waits for others and is not listed: the word that leads to it, and what that lies in,
// down to a stack, a global or a goroutine that runs. Any thread; throws std::bad_alloc.
std::vector<goroutine_info> leaks();

// As in stacks(). Takes milliseconds: it reads debug information.
std::string to_string(const goroutine_info& one);

}  // namespace runnel::debug
