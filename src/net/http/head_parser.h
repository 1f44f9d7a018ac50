#pragma once
// Heads of requests and responses.
//
// The grammar is http_parser's (libhttp-parser), the parser that Node.js had. Debian's build of it is lenient where proxies
// and servers could understand a message differently: names with spaces, bare line feeds, folded lines, repeated lengths,
// anything after CR in a chunk. So a scanner looks at the lines first, each part is checked after it was parsed, and bodies are not
// its matter (body_reader.h).

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "runnel/http/headers.h"

namespace runnel::http {

// What a malformed message is answered with.
enum class fault : int {
  none = 0,
  bad_request = 400,
  uri_too_long = 414,
  fields_too_large = 431,
  not_implemented = 501,
  version = 505,
};

// Looks for the end of a head as it arrives.
class head_scanner {
 public:
  enum class state { more, complete, faulty };

  explicit head_scanner(std::size_t size_max) noexcept : size_max_(size_max) {}
  // `data` begins with the same bytes each time.
  state scan(std::string_view data) noexcept;
  // Of the complete head: empty lines before it are not part of it.
  std::size_t begin() const noexcept { return begin_; }
  std::size_t end() const noexcept { return line_; }
  fault why() const noexcept { return why_; }

 private:
  state fail(fault why) noexcept {
    why_ = why;
    return state::faulty;
  }
  std::size_t size_max_;
  std::size_t begin_ = 0;
  std::size_t line_ = 0;  // where the line under way begins
  std::size_t seen_ = 0;  // no line end in it up to here
  fault why_ = fault::none;
};

// Views into the text that was parsed.
struct message_head {
  std::string_view method;
  std::string_view target;
  int status = 0;
  int major = 1;
  int minor = 1;
  std::vector<field> fields;
  std::string_view host;
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool no_body = false;     // a request's end is here
  bool close = false;       // Connection: close
  bool keep_alive = false;  // Connection: keep-alive
  bool upgrade = false;
  bool expect_continue = false;
};

// `text`: as the scanner found it. Reuses the memory of `head`.
fault parse_request(std::string_view text, message_head& head);
fault parse_response(std::string_view text, message_head& head);

// "name: value" without its line end. False: malformed.
bool parse_field(std::string_view line, field& found) noexcept;

}  // namespace runnel::http
