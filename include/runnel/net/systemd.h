#pragma once
// What a service tells systemd, without libsystemd: sd_notify(3). Listeners from a .socket unit: inherited_listeners()
// in handover.h.
//
// All functions may be called by any thread. The result: whether somebody was told; false without NOTIFY_SOCKET in the
// environment, that is, when systemd has not started this process, or does not wish to hear.

#include <sys/types.h>

#include <optional>
#include <string_view>

#include "runnel/net/error.h"
#include "runnel/time.h"

namespace runnel::systemd {

// Lines "NAME=value", separated by \n.
result<bool> notify(std::string_view state);

// It serves (READY=1): at the start, and after reloading.
result<bool> ready();
// It reads its configuration anew, or is replaced (RELOADING=1, MONOTONIC_USEC=now): ready() follows.
result<bool> reloading();
// It is about to end (STOPPING=1).
result<bool> stopping();
// For people (STATUS=text).
result<bool> status(std::string_view text);
// From now on this process is the service, and ready (MAINPID=pid, READY=1).
result<bool> main_process(pid_t pid);

// How often systemd wishes to hear watchdog() at least; nothing: it does not watch this process. Half of it is a good interval.
std::optional<duration> watchdog_interval();
// It lives (WATCHDOG=1).
result<bool> watchdog();

}  // namespace runnel::systemd
