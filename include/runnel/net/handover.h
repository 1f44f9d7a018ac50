#pragma once
// Listeners that go from one process to the next: from systemd, or from a process that is replaced by a newer one while
// clients go on connecting.
//
//   auto given = net::inherited_listeners();
//   net::listener on = given->empty() ? *net::listen("tcp", ":8080") : given->front().on;
//   … serve, on a goroutine
//   net::tell_predecessor();                    // it may go now
//   …
//   case SIGHUP: if (net::start_successor(ctx, {{"http", on}})) server.shutdown(ctx);   // it is ready; otherwise we go on
//
// Both processes have the same socket with the same backlog, so that no connection is lost on the way: until the successor
// says that it is ready, this process accepts; then both do; and once it shuts down, the successor alone.
//
// The protocol is systemd's: the descriptors begin at 3, LISTEN_FDS says how many there are, LISTEN_PID for which process, and
// LISTEN_FDNAMES how they are called, separated by colons. In addition, RUNNEL_READY_FD is the descriptor by which the
// successor says "READY=1".

#include <sys/types.h>

#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "runnel/context.h"
#include "runnel/net/error.h"
#include "runnel/net/listener.h"

namespace runnel::net {

struct named_listener {
  std::string name;  // "unknown" if nobody has given it one
  listener on;
};

// What this process has been given, in order; empty: nothing, or it has been taken already. The variables are removed from the
// environment, which no other thread may be reading: call it early. An error if one of them is no socket that listens.
result<std::vector<named_listener>> inherited_listeners();

struct successor_options {
  // The program. Default: how this process was started (its first argument), or where its file lies now, if that has no
  // slash: in either case what has been installed there meanwhile.
  std::string program = {};
  // With the program's name as the first. Default: those of this process.
  std::vector<std::string> arguments = {};
  // "NAME=value", in addition to this process's, or instead.
  std::vector<std::string> environment = {};
};

// Starts a program with these listeners, and waits until it says that it is ready: then its process id is the result.
// Otherwise it does not live any more: errc::not_ready, with what became of it, if it ended; why it could not be executed;
// the context's errc::canceled or timed_out, and it was killed. Paths of Unix sockets are the successor's from then on: they are
// not removed when this process closes them. Unless it is ready, nothing has changed.
result<pid_t> start_successor(const context& ctx, std::span<const named_listener> listeners,
                              const successor_options& how = {});
inline result<pid_t> start_successor(const context& ctx,
                                     std::initializer_list<named_listener> listeners,
                                     const successor_options& how = {}) {
  return start_successor(ctx, std::span(listeners.begin(), listeners.size()), how);
}

// By the successor, when it serves. Nothing, if there is no predecessor, or it has been told already.
void tell_predecessor();

}  // namespace runnel::net
