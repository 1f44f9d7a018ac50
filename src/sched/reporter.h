#pragma once
// The thread that tells what went wrong.
//
// A thread of its own, asleep until it is needed: whoever is in trouble may have no stack left to do it on, hold locks,
// or be in the middle of malloc. It holds no lock of the runtime while it sleeps, and its memory comes from its own malloc
// arena. Who is in trouble writes the first lines, which say what happened, hands over its registers, and waits; when the
// report is out, it ends the process. If the report does not get on, it writes bare return addresses before.
//
// It also serves those who want to see all goroutines (debug::stacks), and SIGQUIT.
//
// Invariants
//   trouble != nullptr     =>  base::begin_report() has let one thread through, and it waits in tell_and_exit
//   a dump_wish is listed  =>  its thread waits until it has been served

#include <signal.h>

#include <cstdint>
#include <string>

#include "base/text_writer.h"
#include "platform/parker.h"
#include "sched/dump.h"
#include "sched/incident.h"

namespace runnel::sched {

// Ends the process with status 2, or by the signal where RUNNEL_TRACEBACK=crash, after the report. The caller has called
// base::begin_report() and written what happened. From any thread, on any stack, also in a signal handler.
[[noreturn]] void tell_and_exit(const incident& what) noexcept;

// By the handler of a fault, first of all: if it is the reporter's and this is its thread, whoever waits for the report
// goes on with bare addresses, and the call does not return.
void give_report_up() noexcept;

// Text of all goroutines, made by the reporter: into `to`, or to the descriptor. From any thread without a P. False: for
// lack of memory it is not complete.
bool dump_by_reporter(std::string* to, int fd, bool fold) noexcept;

// Text of one goroutine.
bool text_by_reporter(std::string& to, const goroutine_sample& one) noexcept;

// Once, before the first M.
void start_reporter() noexcept;

// SIGQUIT shows all goroutines, once there is a reporter, and unless the program, or whoever started it, has other plans for
// the signal.
void dump_on_quit() noexcept;
bool is_dump_on_quit(const struct sigaction& action) noexcept;

}  // namespace runnel::sched
