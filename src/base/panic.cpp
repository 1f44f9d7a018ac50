#include "runnel/panic.h"

namespace runnel {

// Here, so that there is one vtable and one type_info.
panic_error::~panic_error() = default;
runtime_error::~runtime_error() = default;

}  // namespace runnel
