// The mux: a tree of segments for each host and method. Literals before wildcards before rests; that is the same as the most
// specific pattern first, since patterns that conflict are refused.

#include "runnel/http/mux.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "net/http/pattern.h"
#include "net/http/text.h"
#include "runnel/http/request.h"
#include "runnel/http/response.h"
#include "runnel/panic.h"

namespace runnel::http {
namespace {

struct route {
  pattern what;
  handler answer;
};

struct node {
  struct child {
    std::string text;
    std::unique_ptr<node> next;
  };
  std::vector<child> literals;
  std::unique_ptr<node> wild;
  const route* leaf = nullptr;
  const route* rest = nullptr;
};

struct tree {
  std::string host;
  std::string method;
  node root;
};

void insert(node& root, const route& r) {
  node* at = &root;
  for (const pattern::segment& s : r.what.segments) {
    if (s.rest) {
      at->rest = &r;
      return;
    }
    if (s.wild) {
      if (at->wild == nullptr) at->wild = std::make_unique<node>();
      at = at->wild.get();
      continue;
    }
    auto found = std::ranges::find(at->literals, s.text, &node::child::text);
    if (found == at->literals.end()) {
      at->literals.push_back({s.text, std::make_unique<node>()});
      found = at->literals.end() - 1;
    }
    at = found->next.get();
  }
  at->leaf = &r;
}

bool is_segment(std::string_view sent, const std::string& literal) {
  if (sent.find('%') == std::string_view::npos) return sent == literal;
  std::string decoded;
  return percent_decode(sent, false, decoded) && decoded == literal;
}

// `path`: what is left, beginning with a slash, or "". Values of wildcards are appended.
const route* find(const node& at, std::string_view path, std::vector<field>& values) {
  if (path.empty()) return at.leaf;
  std::string_view segment = path.substr(1, path.find('/', 1) - 1);
  std::string_view left = path.substr(segment.size() + 1);
  bool end = segment.empty();  // a slash at the end; elsewhere there are no empty segments
  for (const node::child& one : at.literals) {
    if (end ? one.text != "/" : !is_segment(segment, one.text)) continue;
    if (const route* found = find(*one.next, left, values)) return found;
    break;
  }
  if (at.wild != nullptr && !end) {
    std::size_t mark = values.size();
    values.push_back({{}, segment});
    if (const route* found = find(*at.wild, left, values)) return found;
    values.resize(mark);
  }
  if (at.rest != nullptr) values.push_back({{}, path.substr(1)});
  return at.rest;
}

std::string_view without_port(std::string_view host) noexcept {
  std::size_t colon = host.rfind(':');
  if (colon == std::string_view::npos || host.ends_with(']')) return host;
  return host.substr(0, colon);
}

}  // namespace

struct mux::impl {
  std::vector<std::unique_ptr<route>> routes;
  std::vector<std::unique_ptr<tree>> trees;  // those of hosts before those of any
  bool hosts = false;

  tree& tree_of(const pattern& p) {
    for (auto& one : trees) {
      if (one->method == p.method && same_name(one->host, p.host)) return *one;
    }
    auto made = std::make_unique<tree>();
    made->host = p.host;
    made->method = p.method;
    tree& t = *made;
    hosts |= !p.host.empty();
    trees.insert(p.host.empty() ? trees.end() : trees.begin(), std::move(made));
    return t;
  }

  const route* find_in(std::string_view host, std::string_view method, std::string_view path,
                       std::vector<field>& values) const {
    for (const auto& one : trees) {
      if (one->method != method || !same_name(one->host, host)) continue;
      values.clear();
      if (const route* found = find(one->root, path, values)) return found;
    }
    return nullptr;
  }

  const route* match(std::string_view host, std::string_view method, std::string_view path,
                     std::vector<field>& values) const {
    for (bool any_host = !hosts;; any_host = true) {
      std::string_view h = any_host ? std::string_view() : host;
      if (const route* found = find_in(h, method, path, values)) return found;
      if (method == "HEAD") {
        if (const route* found = find_in(h, "GET", path, values)) return found;
      }
      if (const route* found = find_in(h, "", path, values)) return found;
      if (any_host) return nullptr;
    }
  }

  // The methods for which there is a pattern.
  std::string allowed(std::string_view host, std::string_view path) const {
    std::vector<std::string> methods;
    std::vector<field> values;
    for (const auto& one : trees) {
      if (!one->host.empty() && !same_name(one->host, host)) continue;
      values.clear();
      if (find(one->root, path, values) == nullptr) continue;
      methods.push_back(one->method);
      if (one->method == "GET") methods.emplace_back("HEAD");
    }
    std::ranges::sort(methods);
    std::string list;
    for (std::size_t i = 0; i < methods.size(); ++i) {
      if (i != 0 && methods[i] == methods[i - 1]) continue;
      list += (list.empty() ? "" : ", ") + methods[i];
    }
    return list;
  }
};

namespace {

// Whether the pattern names the path, and not only something above it.
bool is_exact(const route* r, std::string_view path) noexcept {
  if (r == nullptr) return false;
  const auto& segments = r->what.segments;
  if (!segments.back().rest) return true;
  return path.ends_with('/') &&
         std::ranges::count(path, '/') == static_cast<std::ptrdiff_t>(segments.size());
}

void redirect(request& req, response& res, std::string to) {
  if (!req.raw_query().empty()) to.append("?").append(req.raw_query());
  res.redirect(to, 301);
}

}  // namespace

mux::mux() : impl_(std::make_shared<impl>()) {}

void mux::handle(std::string_view text, handler f) {
  if (!f) throw runtime_error("http: a null handler for \"" + std::string(text) + "\"");
  auto made = std::make_unique<route>(parse_pattern(text), std::move(f));
  for (const auto& other : impl_->routes) {
    if (conflict(other->what, made->what)) {
      throw runtime_error("http: pattern \"" + made->what.text + "\" conflicts with \"" +
                          other->what.text + "\"");
    }
  }
  insert(impl_->tree_of(made->what).root, *made);
  impl_->routes.push_back(std::move(made));
}

void mux::operator()(request& req, response& res) const {
  const impl& self = *impl_;
  std::string_view path = req.raw_path();
  std::string_view host = self.hosts ? without_port(req.host()) : std::string_view();
  bool tunnel = req.method() == "CONNECT";
  std::string cleaned;
  if (!tunnel && !is_clean(path)) {
    if (!path.starts_with('/')) return res.error(req.method() == "OPTIONS" ? 404 : 400);
    cleaned = clean(path);
    path = cleaned;
  }
  const route* found = self.match(host, req.method(), path, req.path_values_);
  if (!tunnel && !path.ends_with('/') && !is_exact(found, path)) {
    std::string below = std::string(path) + "/";
    std::vector<field> ignored;
    if (is_exact(self.match(host, req.method(), below, ignored), below)) {
      return redirect(req, res, std::move(below));
    }
  }
  if (!cleaned.empty()) return redirect(req, res, std::move(cleaned));
  if (found == nullptr) {
    std::string methods = self.allowed(host, path);
    if (methods.empty()) return res.error(404, "404 page not found");
    res.header("Allow", methods);
    return res.error(405);
  }
  std::size_t next = 0;
  for (const pattern::segment& s : found->what.segments) {
    if (!s.wild || next == req.path_values_.size()) continue;
    req.path_values_[next++].name = s.text;
  }
  req.pattern_ = found->what.text;
  found->answer(req, res);
}

}  // namespace runnel::http
