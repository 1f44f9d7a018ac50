// File serving. Paths are resolved by the kernel, below the directory's descriptor (openat2, RESOLVE_BENEATH), so that neither ".."
// nor links nor races lead out of it.

#include "runnel/http/files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>
#include <tuple>

#include "net/http/text.h"
#include "runnel/go.h"
#include "runnel/http/error.h"
#include "runnel/http/request.h"
#include "runnel/http/response.h"
#include "runnel/panic.h"

namespace runnel::http {
namespace {

class descriptor_owner {
 public:
  explicit descriptor_owner(int fd = -1) noexcept : fd_(fd) {}
  descriptor_owner(descriptor_owner&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  descriptor_owner& operator=(descriptor_owner&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~descriptor_owner() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_;
};

descriptor_owner open_below(int directory, const std::string& path) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (;;) {
    long fd = syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how);
    if (fd >= 0 || (errno_ref() != EINTR && errno_ref() != EAGAIN)) {
      return descriptor_owner(static_cast<int>(fd));
    }
  }
}

bool may_be_seen(std::string_view path) noexcept {
  if (path.find('\0') != std::string_view::npos) return false;
  return !path.starts_with('.') && path.find("/.") == std::string_view::npos;
}

std::string etag_of(const struct stat& s) {
  char text[64];
  int n = std::snprintf(text, sizeof text, "\"%llx-%llx%09lx\"",
                        static_cast<unsigned long long>(s.st_size),
                        static_cast<unsigned long long>(s.st_mtim.tv_sec),
                        static_cast<unsigned long>(s.st_mtim.tv_nsec));
  return {text, static_cast<std::size_t>(n)};
}

bool etag_in(std::string_view list, std::string_view etag) noexcept {
  while (!list.empty()) {
    std::size_t comma = list.find(',');
    std::string_view one = trim(list.substr(0, comma));
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == etag || one == "*") return true;
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return false;
}

bool is_unchanged(const request& req, std::string_view etag, std::time_t modified) {
  std::string_view none_match = req.header("If-None-Match");
  if (!none_match.empty()) return etag_in(none_match, etag);
  auto since = parse_date(req.header("If-Modified-Since"));
  return since && modified <= *since;
}

struct part {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

// One range. Nothing: all is to be sent. A count of 0: it cannot be satisfied.
std::optional<part> asked_range(const request& req, std::string_view etag,
                                std::string_view modified, std::uint64_t size) {
  std::string_view text = req.header("Range");
  if (!text.starts_with("bytes=") || text.find(',') != std::string_view::npos) return {};
  std::string_view only_if = req.header("If-Range");
  if (!only_if.empty() && only_if != etag && only_if != modified) return {};
  text.remove_prefix(6);
  std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return {};
  std::string_view from = trim(text.substr(0, dash));
  std::string_view to = trim(text.substr(dash + 1));
  auto first = parse_decimal(from);
  auto last = parse_decimal(to);
  if (from.empty()) {
    if (!last) return {};
    std::uint64_t count = std::min(*last, size);
    return part{size - count, count};
  }
  if (!first || (!last && !to.empty()) || (last && *last < *first)) return {};
  if (*first >= size) return part{};
  return part{*first, std::min(last.value_or(size - 1), size - 1) - *first + 1};
}

void send(request& req, response& res, int fd, const struct stat& s, std::string_view name) {
  std::string etag = etag_of(s);
  char modified[date_size + 1];
  write_date(s.st_mtim.tv_sec, modified);
  auto size = static_cast<std::uint64_t>(s.st_size);
  if (res.header("ETag").empty()) res.header("ETag", etag);
  res.header("Last-Modified", {modified, date_size});
  res.header("Accept-Ranges", "bytes");
  if (is_unchanged(req, etag, s.st_mtim.tv_sec)) {
    res.status(304);
    return;
  }
  if (res.header("Content-Type").empty()) res.header("Content-Type", type_of_file(name));
  part what{0, size};
  if (auto range = asked_range(req, etag, {modified, date_size}, size)) {
    if (range->count == 0) {
      res.error(416);
      res.header("Content-Range", "bytes */" + std::to_string(size));
      return;
    }
    what = *range;
    res.status(206);
    res.header("Content-Range", "bytes " + std::to_string(what.first) + "-" +
                                    std::to_string(what.first + what.count - 1) + "/" +
                                    std::to_string(size));
  }
  res.header("Content-Length", std::to_string(what.count));
  if (req.method() != "HEAD") std::ignore = res.write_file(fd, what.first, what.count);
}

bool is_get(request& req, response& res) {
  if (req.method() == "GET" || req.method() == "HEAD") return true;
  res.header("Allow", "GET, HEAD");
  res.error(405);
  return false;
}

void redirect_to_slash(request& req, response& res) {
  // Relative to what was asked for, so that nothing in it is taken for a host.
  std::string_view path = req.raw_path();
  std::string to(path.substr(path.rfind('/') + 1));
  to = "./" + to + "/";
  if (!req.raw_query().empty()) to.append("?").append(req.raw_query());
  res.redirect(to, 301);
}

}  // namespace

std::string_view type_of_file(std::string_view name) noexcept {
  static constexpr std::string_view types[][2] = {
      {"html", "text/html; charset=utf-8"},
      {"htm", "text/html; charset=utf-8"},
      {"css", "text/css; charset=utf-8"},
      {"js", "text/javascript; charset=utf-8"},
      {"mjs", "text/javascript; charset=utf-8"},
      {"json", "application/json"},
      {"txt", "text/plain; charset=utf-8"},
      {"md", "text/markdown; charset=utf-8"},
      {"csv", "text/csv; charset=utf-8"},
      {"xml", "text/xml; charset=utf-8"},
      {"svg", "image/svg+xml"},
      {"png", "image/png"},
      {"jpg", "image/jpeg"},
      {"jpeg", "image/jpeg"},
      {"gif", "image/gif"},
      {"webp", "image/webp"},
      {"avif", "image/avif"},
      {"ico", "image/x-icon"},
      {"pdf", "application/pdf"},
      {"wasm", "application/wasm"},
      {"woff2", "font/woff2"},
      {"mp4", "video/mp4"},
      {"webm", "video/webm"},
      {"mp3", "audio/mpeg"},
      {"zip", "application/zip"},
      {"gz", "application/gzip"},
  };
  std::size_t dot = name.rfind('.');
  if (dot != std::string_view::npos) {
    for (const auto& [end, type] : types) {
      if (same_name(name.substr(dot + 1), end)) return type;
    }
  }
  return "application/octet-stream";
}

void serve_file(request& req, response& res, const std::string& path) {
  if (!is_get(req, res)) return;
  descriptor_owner file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat s{};
  if (!file || fstat(file.fd(), &s) != 0 || !S_ISREG(s.st_mode)) {
    return res.error(404, "404 page not found");
  }
  send(req, res, file.fd(), s, path);
}

handler file_server(const std::string& directory) {
  auto root =
      std::make_shared<descriptor_owner>(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!*root) throw runtime_error("http: file_server: no directory " + directory);
  return [root](request& req, response& res) {
    if (!is_get(req, res)) return;
    bool below = req.pattern().ends_with("{path...}");
    std::string path = below ? req.path_value("path") : std::string(req.path());
    path.erase(0, std::min(path.find_first_not_of('/'), path.size()));
    bool slash = path.empty() || path.ends_with('/');
    descriptor_owner file;
    struct stat s{};
    if (may_be_seen(path)) file = open_below(root->fd(), path.empty() ? "." : path);
    if (file && fstat(file.fd(), &s) == 0 && S_ISDIR(s.st_mode)) {
      if (!slash) return redirect_to_slash(req, res);
      path += "index.html";
      file = open_below(root->fd(), path);
      slash = false;
    }
    if (!file || slash || fstat(file.fd(), &s) != 0 || !S_ISREG(s.st_mode)) {
      return res.error(404, "404 page not found");
    }
    send(req, res, file.fd(), s, path);
  };
}

}  // namespace runnel::http
