// dialer: which ports answer, asked many at a time.
//
//   ./dev run dialer localhost 1-1024
//   ./dev run dialer 127.0.0.1-20 22,80,8000-8100 500 200
//
// Shows a pipeline whose results come in order: a channel of channels. Each attempt has a channel of
// its own, and these stand in line in another one, whose capacity bounds what is under way. How long
// an attempt may take is its context's matter.

#include <runnel/net.h>
#include <runnel/runnel.h>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <ranges>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace {

namespace net = runnel::net;

constexpr const char* usage = R"(Usage: dialer HOST PORTS [JOBS [MILLISECONDS]]

Tries to connect to every port of every address, and prints those that answer.

  HOST           a name, an address, [::1], or a range in the last number: 192.168.1.1-254
  PORTS          22,80,8000-8100
  JOBS           so many attempts at a time (128)
  MILLISECONDS   how long one may take (1000)

Exit status: 0 if something answered, 1 if nothing did, 2 for arguments that make no sense.
)";

struct options {
  std::string host;
  std::vector<std::uint16_t> ports;
  unsigned jobs = 128;
  std::chrono::milliseconds patience{1000};
};

unsigned number(const char* what, std::string_view text, unsigned least, unsigned most) {
  unsigned value = 0;
  const auto [end, why] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (why == std::errc() && end == text.data() + text.size() && least <= value && value <= most) {
    return value;
  }
  throw std::invalid_argument(std::string(what) + " has numbers from " + std::to_string(least) +
                              " to " + std::to_string(most) + ", not '" + std::string(text) + "'");
}

// "7", or "7-9": 7, 8, 9.
auto range(const char* what, std::string_view text, unsigned least, unsigned most) {
  const std::size_t dash = text.find('-');
  const unsigned first = number(what, text.substr(0, dash), least, most);
  const bool single = dash == std::string_view::npos;
  const unsigned last = single ? first : number(what, text.substr(dash + 1), first, most);
  return std::views::iota(first, last + 1);
}

options parse(int argc, char** argv) {
  if (argc < 3 || argc > 5 || *argv[2] == '\0')
    throw std::invalid_argument("want a host and its ports");
  options o{.host = argv[1], .ports = {}};
  for (const auto part : std::views::split(std::string_view(argv[2]), ',')) {
    for (unsigned port : range("PORTS", std::string_view(part.begin(), part.end()), 1, 65'535)) {
      o.ports.push_back(static_cast<std::uint16_t>(port));
    }
  }
  if (argc > 3) o.jobs = number("JOBS", argv[3], 1, 10'000);
  if (argc > 4) o.patience = std::chrono::milliseconds(number("MILLISECONDS", argv[4], 1, 600'000));
  return o;
}

// Looked up once, not for every port.
std::vector<net::endpoint> addresses_of(const std::string& host) {
  std::vector<std::string> names{host};
  if (host.contains('-') && host.find_first_not_of("0123456789.-") == host.npos) {
    const std::size_t last = host.rfind('.') + 1;
    names.clear();
    for (unsigned n : range("HOST", std::string_view(host).substr(last), 0, 255)) {
      names.push_back(host.substr(0, last) + std::to_string(n));
    }
  }
  std::vector<net::endpoint> all;
  for (const std::string& name : names) {
    const auto found = net::resolve(runnel::background(), "tcp", name + ":0");
    if (!found) throw std::system_error(found.error());
    all.insert(all.end(), found->begin(), found->end());
  }
  return all;
}

struct attempt {
  std::string address;
  std::error_code why;  // none: it answered
};

attempt dial(const std::string& address, std::chrono::milliseconds patience) {
  auto [ctx, cancel] = runnel::with_timeout(runnel::background(), patience);
  const runnel::defer at_end(cancel);
  const auto made = net::dial(ctx, "tcp", address);
  return {address, made ? std::error_code() : made.error()};
}

int dial_all(const options& o) {
  const std::vector<net::endpoint> hosts = addresses_of(o.host);
  const auto began = std::chrono::steady_clock::now();
  // One more is under way: the one that is being waited for stands in line no more.
  auto in_line = runnel::make_chan<runnel::recv_chan<attempt>>(o.jobs - 1);
  runnel::go([in_line, &o, &hosts] {
    for (const net::endpoint& host : hosts) {
      for (std::uint16_t port : o.ports) {
        auto result = runnel::make_chan<attempt>(1);
        in_line.send(result);
        runnel::go([&o, result, to = host.with_port(port).to_string()] {
          result.send(dial(to, o.patience));
        });
      }
    }
    in_line.close();
  });

  unsigned tried = 0, open = 0;
  std::map<std::string, unsigned> reasons;
  for (const auto& result : in_line) {
    const attempt one = *result.recv();
    ++tried;
    if (one.why) {
      ++reasons[one.why.default_error_condition().message()];
    } else {
      ++open;
      std::printf("%s\n", one.address.c_str());
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::fprintf(stderr, "%u of %u answered, in %.2f s\n", open, tried, took.count());
  for (const auto& [reason, count] : reasons)
    std::fprintf(stderr, "%u: %s\n", count, reason.c_str());
  return open > 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc == 2 && std::string_view(argv[1]) == "--help") return std::fputs(usage, stdout) < 0;
  return runnel::run(dial_all, parse(argc, argv));
} catch (const std::invalid_argument& e) {
  std::fprintf(stderr, "dialer: %s\n%s", e.what(), usage);
  return 2;
} catch (const std::exception& e) {
  std::fprintf(stderr, "dialer: %s\n", e.what());
  return 1;
}
