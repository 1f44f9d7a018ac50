#pragma once
// What the connections may do with requests and responses.

#include "runnel/http/request.h"
#include "runnel/http/response.h"

namespace runnel::http {

struct message_head;

struct request_access {
  // Describes a head, which stays where it is. False: its target is malformed.
  static bool describe(request& req, const message_head& head, detail::request_source* source);
};

struct response_access {
  static void reset(response& res, detail::response_sink* sink) noexcept { res.reset(sink); }
  static std::error_code finish(response& res) { return res.finish(); }
  static bool nothing_sent(const response& res) noexcept { return !res.head_sent_; }
  // f(name, value) for each field.
  template <class F>
  static void for_each(const response& res, F f) {
    for (const auto& e : res.entries_) f(res.name_of(e), res.value_of(e));
  }
  static bool has_trailers(const response& res) noexcept { return res.has_trailers_; }
  static const headers& trailers(const response& res) noexcept { return res.trailers_; }
  static void forget_content(response& res) { res.reset(res.sink_); }
};

}  // namespace runnel::http
