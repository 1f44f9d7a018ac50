#include "runnel/http/files.h"

#if RUNNEL_ZLIB
#include <zlib.h>
#endif

#include <memory>
#include <new>
#include <string>

#include "net/http/text.h"
#include "runnel/http/headers.h"
#include "runnel/http/request.h"
#include "runnel/http/response.h"

namespace runnel::http {

#if RUNNEL_ZLIB
namespace {

constexpr std::size_t worth_it = 512;  // bytes
constexpr int gzip_window = 15 + 16;   // zlib: with gzip's head
constexpr int level = 5;

// "gzip", without "q=0".
bool accepts_gzip(std::string_view list) noexcept {
  while (!list.empty()) {
    std::size_t comma = list.find(',');
    std::string_view one = list.substr(0, comma);
    std::size_t semicolon = one.find(';');
    if (same_name(trim(one.substr(0, semicolon)), "gzip")) {
      std::string_view q = semicolon == std::string_view::npos ? std::string_view()
                                                               : trim(one.substr(semicolon + 1));
      return !(q.starts_with("q=0") && q.find_first_of("123456789") == std::string_view::npos);
    }
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return false;
}

bool is_text(std::string_view type) noexcept {
  type = type.substr(0, type.find(';'));
  return type.starts_with("text/") || type.ends_with("json") || type.ends_with("xml") ||
         type.ends_with("javascript") || type == "application/wasm";
}

class gzip_filter final : public body_filter {
 public:
  ~gzip_filter() override {
    if (begun_) deflateEnd(&z_);
  }

  bool begin(response& head, std::optional<std::string_view> whole) override {
    if (head.status() != 200 || !is_text(head.header("Content-Type"))) return false;
    head.add_header("Vary", "Accept-Encoding");
    if (!head.header("Content-Encoding").empty() || (whole && whole->size() < worth_it)) {
      return false;
    }
    if (deflateInit2(&z_, level, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
      return false;
    }
    begun_ = true;
    head.header("Content-Encoding", "gzip");
    // Another representation: a strong ETag is of its bytes.
    std::string etag(head.header("ETag"));
    if (etag.starts_with('"')) head.header("ETag", "W/" + etag);
    head.remove_header("Accept-Ranges");
    return true;
  }
  void write(std::string_view body, std::string& out) override {
    if (!body.empty()) run(body, Z_NO_FLUSH, out);
  }
  void flush(std::string& out) override { run({}, Z_SYNC_FLUSH, out); }
  void finish(std::string& out) override { run({}, Z_FINISH, out); }

 private:
  void run(std::string_view body, int how, std::string& out) {
    z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
    z_.avail_in = static_cast<uInt>(body.size());
    do {
      char piece[4096];
      z_.next_out = reinterpret_cast<Bytef*>(piece);
      z_.avail_out = sizeof piece;
      deflate(&z_, how);
      out.append(piece, sizeof piece - z_.avail_out);
    } while (z_.avail_out == 0);
  }

  z_stream z_{};
  bool begun_ = false;
};

}  // namespace

handler gzip(handler next) {
  return [next = std::move(next)](request& req, response& res) {
    // A range is of the bytes as they are.
    if (accepts_gzip(req.header("Accept-Encoding")) && req.header("Range").empty()) {
      res.filter(std::make_unique<gzip_filter>());
    }
    next(req, res);
  };
}

#else

handler gzip(handler next) { return next; }

#endif

}  // namespace runnel::http
