#pragma once
// What nghttp2 calls: all of it within nghttp2_session_mem_recv and _mem_send, under the session's lock.

#include <nghttp2/nghttp2.h>

namespace runnel::http::h2 {

struct callbacks {
  static const nghttp2_session_callbacks* table();
};

}  // namespace runnel::http::h2
