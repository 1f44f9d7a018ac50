#pragma once
// Signals on channels.
//
//   auto signals = runnel::make_chan<int>(1);
//   runnel::signal::notify(signals, {SIGHUP, SIGUSR1});
//   for (int s : signals) reload(s);
//
//   auto ctx = runnel::signal::notify_context(runnel::background(), {SIGINT, SIGTERM});
//   server.shutdown(ctx) …                       // ctx.cause(): "interrupt signal received"
//   ctx.stop();                                  // from now on ^C ends the program
//
// The semantics are those of Go's package os/signal. All functions may be called by any thread, also before run and between
// runs; what is listened for stays across runs. A program that listens is never told that all its goroutines are asleep.
//
// A signal that comes again before it was passed on is passed on once. Of the signals that faults cause (SIGSEGV, SIGBUS,
// SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT) only those are passed on that were sent with kill and its like; a fault stays a fault.
// SIGQUIT shows no goroutines while somebody listens for it. SIGKILL and SIGSTOP cannot be caught, and are left out.
//
// Other handlers: one that the program had installed before is kept, called after the signal has been noted, and back in its
// place when the last listener has gone; so are SIG_DFL and SIG_IGN. A handler that the program installs later gets the signals
// instead of the listeners, as the kernel knows one only, unless it calls the one that it replaced. It stays in its place.
//
// In a program that says `using namespace runnel`, the C function is called ::signal.

#include <csignal>
#include <initializer_list>
#include <stdexcept>
#include <string>

#include "runnel/chan.h"
#include "runnel/context.h"

namespace runnel::signal {

// Sends each of the signals that comes to the channel, unless it has no room at that moment: give it a buffer, as large as
// what may come at once. No signals: all there are. Called again for the same channel, it adds signals. Several channels may be given the same
// signal; all get it. Panics if the channel is nil. The channel must not be closed before stop.
void notify(const send_chan<int>& to, std::initializer_list<int> signals = {});

// The channel gets no more signals. What came before the call has been sent to it, if it had room; nothing will be once stop has
// returned. What nobody else listens for does what it did before notify.
void stop(const send_chan<int>& to);

// The signals do nothing, and whoever listened for them does not any more. None: all. Processes that are started inherit
// it. reset undoes it.
void ignore(std::initializer_list<int> signals = {});
bool ignored(int signal) noexcept;

// Undoes notify, for all channels, and ignore: the signals do what they did before. None: all.
void reset(std::initializer_list<int> signals = {});

// "interrupt", "terminated", "hangup": as Go says. "signal 40".
std::string name(int signal);

// The cause of a context that a signal has cancelled: "interrupt signal received".
class signal_error : public std::runtime_error {
 public:
  explicit signal_error(int signal)
      : std::runtime_error(name(signal) + " signal received"), signal_(signal) {}
  int signal() const noexcept { return signal_; }

 private:
  int signal_;
};

// A context that signals cancel.
class notified_context : public context {
 public:
  // Cancels it, and stops listening, as stop above. Any thread.
  void stop() const;

 private:
  friend notified_context notify_context(const context&, std::initializer_list<int>);
  explicit notified_context(context ctx) noexcept : context(std::move(ctx)) {}
};

// A child of parent that is cancelled when one of the signals comes; none: any. As in Go, the program goes on listening until
// stop(), also when the context has been cancelled: until then a second ^C does nothing. Stop callbacks
// (context::stop_token) run on the thread that passes signals on, and delay it.
notified_context notify_context(const context& parent, std::initializer_list<int> signals = {});

}  // namespace runnel::signal
