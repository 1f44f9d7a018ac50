#include "net/http/client_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

#include "runnel/go.h"

namespace runnel::http {
namespace {

constexpr std::size_t buffer_size = 4096;
constexpr std::size_t buffer_spare = 1024;

time_point now() noexcept { return std::chrono::steady_clock::now(); }

}  // namespace

std::error_code client_connection::read_head(std::size_t size_max) {
  silent = true;
  for (;;) {
    in.compact(buffer_size);
    in.reserve(buffer_size);
    head_scanner scanner(size_max);
    for (;;) {
      auto found = scanner.scan(in.pending());
      if (found == head_scanner::state::complete) break;
      if (found == head_scanner::state::faulty) {
        return scanner.why() == fault::bad_request ? errc::malformed : errc::too_large;
      }
      if (in.room() == 0) in.reserve(2 * in.pending().size());
      auto n = in.fill();
      if (!n) return n.error();
      if (*n == 0) return errc::ended_early;
      silent = false;
    }
    silent = false;
    if (scanner.begin() != 0) return errc::malformed;
    if (in.room() < buffer_spare) in.reserve(in.pending().size() + buffer_spare);
    std::string_view text = in.pending().substr(0, scanner.end());
    in.consume(scanner.end());
    in.keep();
    if (parse_response(text, head) != fault::none) return errc::malformed;
    if (head.status >= 200) return {};
    if (head.status == 101) return errc::malformed;  // nobody has asked for another protocol
  }
}

void client_connection::start_body(bool of_head_request) {
  reusable = !head.close && (head.minor == 1 || head.keep_alive);
  if (of_head_request || head.status == 204 || head.status == 304) {
    body.start_empty();
  } else if (head.chunked) {
    body.start_chunked(UINT64_MAX);
  } else if (head.content_length) {
    body.start_length(*head.content_length, UINT64_MAX);
  } else {
    body.start_until_end(UINT64_MAX);
    reusable = false;
  }
}

bool client_connection::is_fresh() const {
  char byte;
  ssize_t n = recv(conn.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n > 0) return secure;  // TLS has messages of its own
  return n < 0 && (errno_ref() == EAGAIN || errno_ref() == EWOULDBLOCK);
}

std::unique_ptr<client_connection> connection_pool::take(const std::string& key) {
  for (;;) {
    std::unique_ptr<client_connection> found;
    {
      std::lock_guard hold(mu_);
      // The one used last is the most likely to be open.
      for (std::size_t i = idle_.size(); i-- > 0 && found == nullptr;) {
        if (idle_[i]->key != key) continue;
        found = std::move(idle_[i]);
        idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    if (found == nullptr) return nullptr;
    if (now() - found->since < options_.idle_timeout && found->is_fresh()) {
      found->reused = true;
      return found;
    }
  }
}

void connection_pool::put(std::unique_ptr<client_connection> c) {
  if (options_.max_idle_per_host == 0 || options_.max_idle == 0) return;
  std::unique_ptr<client_connection> crowded_out;
  std::lock_guard hold(mu_);
  auto same = [&](const auto& other) { return other->key == c->key; };
  bool host_full =
      static_cast<std::size_t>(std::ranges::count_if(idle_, same)) >= options_.max_idle_per_host;
  if (host_full || idle_.size() >= options_.max_idle) {
    auto oldest = host_full ? std::ranges::find_if(idle_, same) : idle_.begin();
    crowded_out = std::move(*oldest);
    idle_.erase(oldest);
  }
  c->since = now();
  idle_.push_back(std::move(c));
  if (reaping_) return;
  reaping_ = true;
  after_func(options_.idle_timeout, [self = weak_from_this()] {
    if (auto pool = self.lock()) pool->reap();
  });
}

void connection_pool::reap() {
  std::vector<std::unique_ptr<client_connection>> expired;
  std::lock_guard hold(mu_);
  time_point limit = now() - options_.idle_timeout;
  auto kept = std::ranges::find_if(idle_, [&](const auto& c) { return c->since > limit; });
  std::move(idle_.begin(), kept, std::back_inserter(expired));
  idle_.erase(idle_.begin(), kept);
  reaping_ = !idle_.empty();
  if (!reaping_) return;
  after_func(idle_.front()->since - limit, [self = weak_from_this()] {
    if (auto pool = self.lock()) pool->reap();
  });
}

void connection_pool::clear() {
  std::vector<std::unique_ptr<client_connection>> gone;
  std::lock_guard hold(mu_);
  gone.swap(idle_);
}

}  // namespace runnel::http
