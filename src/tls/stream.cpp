#include "tls/stream.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <tuple>

#include "platform/clock.h"
#include "tls/errors.h"

namespace runnel::net {
namespace {

constexpr std::size_t record_max = 16 << 10;
constexpr std::size_t send_at = 64 << 10;  // so much is made at most before it is sent
constexpr std::int64_t last_words_ns = 100'000'000;

std::string selected_protocol(SSL* ssl) {
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &protocol, &size);
  return {reinterpret_cast<const char*>(protocol), size};
}

}  // namespace

tls_stream::tls_stream(conn over, std::shared_ptr<const tls_context::impl> how,
                       openssl_ptr<SSL> ssl)
    : over_(std::move(over)), how_(std::move(how)), ssl_(std::move(ssl)) {
  endpoint far = over_.remote();
  name_ = (far.family() == AF_UNIX ? "unix " : "tcp ") +
          (far.to_string().empty() ? over_.local() : far).to_string();
  incoming_ = BIO_new(BIO_s_mem());
  outgoing_ = BIO_new(BIO_s_mem());
  if (incoming_ == nullptr || outgoing_ == nullptr) {
    BIO_free(incoming_);
    BIO_free(outgoing_);
    throw std::bad_alloc();
  }
  BIO_set_mem_eof_return(incoming_, -1);  // empty: more may come
  BIO_set_mem_eof_return(outgoing_, -1);
  SSL_set_bio(ssl_.get(), incoming_, outgoing_);
}

std::error_code tls_stream::why_failed_locked(int openssl_error) {
  long verified = SSL_get_verify_result(ssl_.get());
  unsigned long first = ERR_peek_error();
  if (verified != X509_V_OK && ERR_GET_LIB(first) == ERR_LIB_SSL &&
      ERR_GET_REASON(first) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    ERR_clear_error();
    return of_certificate(verified);
  }
  if (openssl_error == SSL_ERROR_SYSCALL && first == 0) return of_tls(tls_errc::truncated);
  return of_openssl(tls_errc::protocol);
}

template <class Call>
tls_stream::step tls_stream::work(Call call) {
  std::lock_guard hold(state_);
  step now;
  now.seen = received_;
  if (closed_) {
    now.failed = error_of("tls", failure::of(errc::closed));
    return now;
  }
  if (failed_) {
    now.failed = failed_;
    return now;
  }
  ERR_clear_error();
  int rc = call(ssl_.get(), &now.done);
  if (rc == 1) return now;
  now.done = 0;
  switch (int error = SSL_get_error(ssl_.get(), rc)) {
    case SSL_ERROR_WANT_READ: now.wants_bytes = true; break;
    case SSL_ERROR_ZERO_RETURN: now.at_end = true; break;
    default: now.failed = failed_ = why_failed_locked(error);
  }
  return now;
}

// Until bytes have come that `seen` does not count.
std::error_code tls_stream::receive(std::uint64_t seen) {
  std::lock_guard turn(receiving_);
  {
    std::lock_guard hold(state_);
    if (received_ != seen) return {};  // while another had the turn
  }
  std::byte room[record_max];
  auto n = over().read(room);
  if (!n) return n.error();
  std::lock_guard hold(state_);
  ++received_;
  if (*n == 0) {
    BIO_set_mem_eof_return(incoming_, 0);
  } else if (BIO_write(incoming_, room, static_cast<int>(*n)) != static_cast<int>(*n)) {
    return std::make_error_code(std::errc::not_enough_memory);
  }
  return {};
}

bool tls_stream::has_outgoing() {
  std::lock_guard hold(state_);
  return BIO_ctrl_pending(outgoing_) != 0 && !send_error_;
}

// By the holder of sending_.
std::error_code tls_stream::send_all() {
  std::vector<std::byte> bytes;
  for (;;) {
    {
      std::lock_guard hold(state_);
      if (send_error_) return send_error_;
      char* made = nullptr;
      long size = BIO_get_mem_data(outgoing_, &made);
      if (size <= 0) return {};
      bytes.resize(static_cast<std::size_t>(size));
      std::memcpy(bytes.data(), made, bytes.size());
      (void)BIO_reset(outgoing_);
    }
    std::span<const std::byte> part(bytes);
    auto sent = over().write({&part, 1});
    if (!sent) {
      std::lock_guard hold(state_);
      send_error_ = sent.error();
      return send_error_;
    }
  }
}

std::error_code tls_stream::send_outgoing(patience how) {
  std::error_code failed;
  if (how == patience::waits_for_turn) {
    sending_.lock();
    failed = send_all();
    sending_.unlock();
  }
  // What others leave to us while we have the turn, and what is left to nobody.
  while (!failed && has_outgoing() && sending_.try_lock()) {
    failed = send_all();
    sending_.unlock();
  }
  return failed;
}

std::error_code tls_stream::handshake() {
  for (;;) {
    step now = work([](SSL* ssl, std::size_t*) { return SSL_do_handshake(ssl); });
    // Also what tells the other end why we refuse.
    std::error_code unsent = send_outgoing(patience::waits_for_turn);
    if (now.failed) return now.failed;
    if (now.at_end) return of_tls(tls_errc::truncated);
    if (unsent) return unsent;
    if (!now.wants_bytes) break;
    if (std::error_code failed = receive(now.seen)) return failed;
  }
  std::lock_guard hold(state_);
  protocol_ = selected_protocol(ssl_.get());
  return {};
}

result<std::size_t> tls_stream::read(std::span<std::byte> into) {
  if (into.empty()) return 0;
  for (;;) {
    step now = work([&](SSL* ssl, std::size_t* done) {
      return SSL_read_ex(ssl, into.data(), into.size(), done);
    });
    if (has_outgoing()) std::ignore = send_outgoing(patience::leaves_it);
    if (now.done != 0) return now.done;
    if (now.at_end) return 0;
    std::error_code failed = now.failed;
    if (!failed) failed = receive(now.seen);
    if (failed) return std::unexpected(error_of("read", name_, failed));
  }
}

// Into outgoing_.
std::error_code tls_stream::write_record(std::span<const std::byte> record) {
  while (!record.empty()) {
    step now = work([&](SSL* ssl, std::size_t* done) {
      return SSL_write_ex(ssl, record.data(), record.size(), done);
    });
    if (now.failed) return now.failed;
    if (now.at_end) return of_tls(tls_errc::truncated);
    if (now.wants_bytes) {
      std::error_code failed = send_outgoing(patience::waits_for_turn);
      if (!failed) failed = receive(now.seen);
      if (failed) return failed;
    }
    record = record.subspan(now.done);
  }
  return {};
}

result<std::size_t> tls_stream::write(std::span<const std::span<const std::byte>> parts) {
  std::lock_guard whole(writing_);
  std::array<std::byte, record_max> small;  // parts that make a record together
  std::size_t gathered = 0;
  std::size_t total = 0;
  std::size_t unsent = 0;
  std::error_code failed;
  auto put = [&](std::span<const std::byte> record) {
    failed = write_record(record);
    unsent += record.size();
    if (!failed && unsent >= send_at) {
      failed = send_outgoing(patience::waits_for_turn);
      unsent = 0;
    }
  };
  {
    std::lock_guard hold(state_);
    if (write_closed_) failed = std::make_error_code(std::errc::broken_pipe);
    if (send_error_) failed = send_error_;
  }
  for (std::span<const std::byte> part : parts) {
    total += part.size();
    while (!part.empty() && !failed) {
      if (gathered == 0 && part.size() >= record_max) {
        put(part.first(record_max));
        part = part.subspan(record_max);
        continue;
      }
      std::size_t n = std::min(part.size(), record_max - gathered);
      std::memcpy(small.data() + gathered, part.data(), n);
      gathered += n;
      part = part.subspan(n);
      if (gathered < record_max) continue;
      gathered = 0;
      put(small);
    }
  }
  if (!failed && gathered != 0) put(std::span(small).first(gathered));
  if (!failed) failed = send_outgoing(patience::waits_for_turn);
  if (failed) return std::unexpected(error_of("write", name_, failed));
  return total;
}

std::error_code tls_stream::close_write() {
  std::lock_guard whole(writing_);
  {
    std::lock_guard hold(state_);
    if (closed_) return error_of("shutdown", name_, failure::of(errc::closed));
    if (!write_closed_ && !failed_) {
      ERR_clear_error();
      SSL_shutdown(ssl_.get());
      ERR_clear_error();
    }
    write_closed_ = true;
  }
  std::error_code failed = send_outgoing(patience::waits_for_turn);
  return failed ? error_of("shutdown", name_, failed) : failed;
}

std::error_code tls_stream::close() {
  {
    std::lock_guard hold(state_);
    if (closed_) return error_of("close", name_, failure::of(errc::closed));
    closed_ = true;
    if (!failed_ && !write_closed_ && SSL_is_init_finished(ssl_.get()) == 1) {
      ERR_clear_error();
      SSL_shutdown(ssl_.get());
      ERR_clear_error();
    }
  }
  // Goodbye, if it can be said soon. Who is sending is not waited for.
  if (has_outgoing() && sending_.try_lock()) {
    over().set_write_deadline(platform::nanotime() + last_words_ns);
    std::ignore = send_all();
    sending_.unlock();
  }
  return over().close();
}

tls_state tls_stream::state() {
  std::lock_guard hold(state_);
  SSL* ssl = ssl_.get();
  tls_state found;
  found.version = SSL_get_version(ssl);
  if (const char* cipher = SSL_get_cipher_name(ssl)) found.cipher = cipher;
  found.protocol = selected_protocol(ssl);
  if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) {
    found.server_name = name;
  }
  openssl_ptr<X509> own(SSL_get1_peer_certificate(ssl));
  if (!own) return found;
  found.verified = how_->verifies() && SSL_get_verify_result(ssl) == X509_V_OK;
  auto text_of = [](auto print) {
    openssl_ptr<BIO> out(BIO_new(BIO_s_mem()));
    print(out.get());
    char* text = nullptr;
    long length = BIO_get_mem_data(out.get(), &text);
    return std::string(text, static_cast<std::size_t>(std::max(length, 0L)));
  };
  found.peer = text_of([&](BIO* out) {
    X509_NAME_print_ex(out, X509_get_subject_name(own.get()), 0, XN_FLAG_ONELINE);
  });
  auto pem_of = [&](X509* one) { return text_of([&](BIO* out) { PEM_write_bio_X509(out, one); }); };
  found.peer_certificates.push_back(pem_of(own.get()));
  STACK_OF(X509)* chain = SSL_get_peer_cert_chain(ssl);
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    X509* one = sk_X509_value(chain, i);
    // A client is shown the server's own in the chain, too; a server the client's not.
    if (X509_cmp(one, own.get()) != 0) found.peer_certificates.push_back(pem_of(one));
  }
  return found;
}

}  // namespace runnel::net
