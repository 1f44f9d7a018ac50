#include "sched/traceback.h"

#include <cstdlib>
#include <string_view>

namespace runnel::sched {

traceback traceback_level() noexcept {
  const char* wish = std::getenv("RUNNEL_TRACEBACK");
  std::string_view text = wish != nullptr ? wish : "";
  if (text == "none" || text == "0") return traceback::none;
  if (text == "all" || text == "1") return traceback::all;
  if (text == "system" || text == "2") return traceback::system;
  if (text == "crash") return traceback::crash;
  return traceback::single;
}

}  // namespace runnel::sched
