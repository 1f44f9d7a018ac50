// chat: a room over TCP, where everybody hears everybody.
//
//   ./dev run chat 127.0.0.1:7001
//   nc 127.0.0.1 7001                  in two other terminals; then write a name, and talk
//
// Shows what each member has: a goroutine that reads, one that writes, and a channel between the
// others and the writer. A full channel makes those who talk wait, so they cannot be faster than the
// others hear; who takes nothing for long is shown out. The list of members lies behind an ordinary
// std::lock_guard, which nobody holds while waiting.

#include <runnel/net.h>
#include <runnel/runnel.h>
#include <runnel/signal.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

namespace {

using namespace std::chrono_literals;
namespace net = runnel::net;

constexpr const char* usage = R"(Usage: chat ADDRESS

Listens there, 127.0.0.1:7001 or :7001, for people with nc or telnet, until it is interrupted.
Each writes a name first, and then what the others shall read. /who lists them, /quit leaves.
)";

constexpr std::size_t line_max = 1000;   // a longer one comes in pieces
constexpr std::size_t behind_max = 100;  // lines that a member has not taken yet
constexpr auto patience = 2s;            // with one who is so far behind

using line = std::shared_ptr<const std::string>;  // one text for all who get it

// A connection's lines, without what would play tricks with a terminal.
class line_reader {
 public:
  explicit line_reader(net::conn from) : from_(std::move(from)) {}

  // Nothing: the end. What came behind the last line end is no line.
  std::optional<std::string> next() {
    std::size_t end;
    while ((end = text_.find('\n')) == std::string::npos && text_.size() < line_max) {
      auto n = from_.read(buffer_);
      if (!n || *n == 0) return {};
      text_.append(buffer_.data(), *n);
    }
    std::string found = text_.substr(0, std::min(end, line_max));
    text_.erase(0, end <= line_max ? end + 1 : line_max);
    std::erase_if(found, [](unsigned char c) { return c < ' ' || c == 127; });
    return found;
  }

 private:
  net::conn from_;
  std::string text_;
  std::array<char, 512> buffer_;
};

class room {
 public:
  // Nothing: somebody has that name. What the room has to say comes out of the channel.
  std::optional<runnel::chan<line>> enter(const std::string& name, const net::conn& at) {
    const member entering{runnel::make_chan<line>(behind_max), at};
    {
      const std::lock_guard hold(mu_);
      if (!members_.try_emplace(name, entering).second) return {};
    }
    tell_others(name, "* " + name + " is here\n");
    return entering.heard;
  }
  void leave(const std::string& name) {
    {
      const std::lock_guard hold(mu_);
      members_.erase(name);
    }
    tell_others(name, "* " + name + " has gone\n");
  }
  // Waits for those who are behind, so that nothing is lost, but not for ever.
  void tell_others(const std::string& name, std::string text) {
    const auto shared = std::make_shared<const std::string>(std::move(text));
    for (const auto& [each, who] : members()) {
      if (each == name || who.heard.send_for(line(shared), patience)) continue;
      std::ignore = who.at.close();  // and so he leaves
    }
  }
  std::string names() {
    std::string all = "* here:";
    for (const auto& [each, _] : members()) all += " " + each;
    return all + "\n";
  }

 private:
  struct member {
    runnel::chan<line> heard;
    net::conn at;
  };
  std::map<std::string, member> members() {
    const std::lock_guard hold(mu_);
    return members_;
  }

  runnel::mutex mu_;
  std::map<std::string, member> members_;
};

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 20 && !text.starts_with('/') && !text.contains(' ');
}

void attend(room& here, const runnel::context& open, const net::conn& client) {
  const auto stop = runnel::after_func(open, [client] { std::ignore = client.close(); });
  const runnel::defer at_end(stop);
  line_reader lines(client);
  std::optional<std::string> name;
  std::optional<runnel::chan<line>> heard;
  client.set_deadline(std::chrono::steady_clock::now() + 1min);  // for finding a name
  std::string_view ask = "Your name? ";
  while (!heard) {
    if (!client.write(ask) || !(name = lines.next())) return;
    ask = is_name(*name) ? "Somebody has that name. Another: "
                         : "A name has 1 to 20 bytes, no space, no / in front. Another: ";
    if (is_name(*name)) heard = here.enter(*name, client);
  }
  client.set_deadline(runnel::time_point::max());

  runnel::wait_group writer;
  writer.go([&] {
    for (line text; (text = *heard->recv());) {
      if (!client.write(*text)) std::ignore = client.close();  // and so the reader ends
    }
  });
  const auto answer = [&](const std::string& text) {
    heard->send(std::make_shared<const std::string>(text));
  };
  answer(here.names());
  while (auto text = lines.next()) {
    if (*text == "/quit") break;
    if (*text == "/who") {
      answer(here.names());
    } else if (!text->empty()) {
      here.tell_others(*name, *name + ": " + *text + "\n");
    }
  }
  here.leave(*name);
  client.set_write_deadline(std::chrono::steady_clock::now() + patience);
  heard->send(nullptr);  // the writer's last
  writer.wait();
}

int listen_and_serve(const std::string& address) {
  auto listener = net::listen("tcp", address);
  if (!listener) {
    std::fprintf(stderr, "chat: %s\n", listener.error().message().c_str());
    return 1;
  }
  std::printf("%s\n", listener->addr().to_string().c_str());
  std::fflush(stdout);
  const auto open = runnel::signal::notify_context(runnel::background(), {SIGINT, SIGTERM});
  runnel::after_func(open, [listener = *listener] { listener.close(); });
  room here;
  runnel::wait_group members;
  for (;;) {
    auto client = listener->accept();
    if (!client) {
      members.wait();
      if (client.error() == net::errc::closed) return 0;
      std::fprintf(stderr, "chat: %s\n", client.error().message().c_str());
      return 1;
    }
    members.go([&, client = std::move(*client)] { attend(here, open, client); });
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view first = argc == 2 ? argv[1] : "";
  if (first == "--help" || first == "-h") return std::fputs(usage, stdout) < 0;
  if (argc != 2 || first.starts_with('-')) {
    std::fprintf(stderr, "chat: want one address to listen at\n%s", usage);
    return 2;
  }
  return runnel::run(listen_and_serve, std::string(first));
}
