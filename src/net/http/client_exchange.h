#pragma once
// A client's request and its answer, over a connection of some version of HTTP.

#include <memory>
#include <span>
#include <system_error>

#include "net/http/client_connection.h"
#include "net/http/url.h"
#include "runnel/context.h"
#include "runnel/http/client.h"

namespace runnel::http {

// The answer's head has come, its body comes. The end of its context ends it.
class client_exchange {
 public:
  virtual ~client_exchange() = default;
  virtual result<std::size_t> read(std::span<char> into) = 0;
  virtual const headers& trailers() const noexcept = 0;

  int status = 0;
  headers fields;
};

// What has come of a request.
struct client_attempt {
  std::unique_ptr<client_exchange> made = nullptr;
  std::error_code why = {};  // otherwise
  // Whether the server may have done something about it. perhaps: on a connection that was kept, which has ended silently.
  enum { no, perhaps, yes } looked_at = yes;
  bool source_used = false;  // the body's
};

client_attempt exchange_http1(std::shared_ptr<connection_pool> pool,
                              std::unique_ptr<client_connection> over, const context& ctx,
                              const client_request& req, const url& to, bool by_proxy,
                              const client_options& options);

}  // namespace runnel::http
