// Whatever a server sends: the client neither breaks, nor understands it differently when it comes in other pieces.

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "memory_stream.h"
#include "net/http/client_connection.h"

namespace runnel {
namespace {

std::string understood(std::string_view text, std::size_t piece, bool head_request) {
  http::client_connection c("x", net::conn(std::make_shared<fuzz::memory_stream>(text, piece)));
  std::string all;
  for (;;) {
    if (std::error_code why = c.read_head(2048)) return all + why.message();
    c.start_body(head_request);
    all += std::to_string(c.head.status);
    for (const auto& f : c.head.fields) all.append(f.name).append(f.value);
    for (;;) {
      char buffer[100];
      auto n = c.body.read(buffer);
      if (!n) return all + n.error().message();
      if (*n == 0) break;
      all.append(buffer, *n);
    }
    for (const auto& f : c.body.trailers()) all.append(f.name).append(f.value);
    if (!c.reusable) return all;
  }
}

}  // namespace
}  // namespace runnel

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  bool head_request = (text.back() & 1) != 0;
  std::string whole = runnel::understood(text, size, head_request);
  std::string pieces = runnel::understood(text, 1 + size % 5, head_request);
  if (whole != pieces) {
    std::fprintf(stderr, "in one piece:\n%s\nin several:\n%s\n", whole.c_str(), pieces.c_str());
    std::abort();
  }
  return 0;
}
