#include "runnel/detail/throw_witness.h"

#include <new>
#include <typeinfo>

#include "base/panic_record.h"
#include "runnel/go.h"
#include "sched/own_stack.h"

namespace runnel::detail {

// Its one object is in throw_witness.S.
struct witness_type : std::type_info {
  bool __do_catch(const std::type_info* thrown, void** object,  // NOLINT: the C++ runtime's name
                  unsigned outer) const override;
};

bool witness_type::__do_catch(const std::type_info* thrown, void** object, unsigned) const {
  auto* seen = new (std::nothrow) panic_sighting;
  if (seen == nullptr) return false;
  panic_state& state = current_panic_state();
  seen->type = thrown;
  seen->object = *object;
  seen->previous = state.in_flight;
  // A panic has its stack with it.
  if (*thrown != typeid(panic_error)) {
    seen->goroutine = goroutine_id();
    seen->frame_count = sched::capture_own_stack(seen->frames, panic_sighting::frames_max);
  }
  state.in_flight = seen;
  return false;
}

}  // namespace runnel::detail
