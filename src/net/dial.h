#pragma once
// Connecting to the best of several addresses.

#include <memory>
#include <string>
#include <vector>

#include "net/address.h"
#include "runnel/net/conn.h"
#include "runnel/net/dial.h"

namespace runnel::net {

using name_of_conn = std::shared_ptr<const std::string>;

// Starts one attempt after another; the first that succeeds wins, the others are given up. By a goroutine.
failure connect_to_first(const context& parent, const network_kind& kind, const name_of_conn& name,
                         const std::vector<endpoint>& addresses, conn& made);

}  // namespace runnel::net
