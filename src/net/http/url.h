#pragma once
// Which proxy a URL is reached by.

#include <optional>
#include <string_view>

#include "runnel/http/url.h"

namespace runnel::http {

// The proxy for it by http_proxy and no_proxy; nothing: none.
std::optional<url> proxy_of(const url& to);
// no_proxy: names, with everything below them; addresses; "*"; each with a port perhaps.
bool is_excluded(const url& to, std::string_view no_proxy);

}  // namespace runnel::http
