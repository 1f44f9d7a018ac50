#pragma once
// Which handler answers a request: Go 1.22's ServeMux.
//
//   mux.handle("GET /items/{id}", f);         a method, which for GET means HEAD, too; a wildcard for one segment
//   mux.handle("/files/{path...}", f);        a wildcard for the rest
//   mux.handle("/static/", f);                everything below; /static is redirected to it
//   mux.handle("/{$}", f);                    the path / alone
//   mux.handle("example.org/", f);            a host
//
// The most specific pattern wins; of two that match some paths in common, neither more specific, handle panics. Where only
// the method does not match, the answer is 405 with Allow. A path with . or .. or // is redirected to the clean one.

#include <functional>
#include <memory>
#include <string_view>

namespace runnel::http {

class request;
class response;

// What answers a request, called on the request's goroutine: it may wait as long as it likes, and several run at a time. Both
// arguments are valid until it returns. What it throws is answered with 500 and logged; see status_error, abort_handler.
using handler = std::function<void(request&, response&)>;

// A handler around a handler. Called once for each, when the server begins to serve.
using middleware = std::function<handler(handler)>;

// A handler, cheap to copy: copies are the same mux.
class mux {
 public:
  mux();
  // Throws runtime_error for a pattern that is malformed, or conflicts with one that is there. Not while requests are served.
  void handle(std::string_view pattern, handler f);
  // Answers with the handler of the pattern, or with a redirection, 404 or 405. Any number at a time.
  void operator()(request& req, response& res) const;

 private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace runnel::http
