// Publish and subscribe: a broker hands every message to all subscribers of its topic, in the order
// in which its publisher sent it. A subscriber may leave at any time; a publisher that is about to
// wait for it does not.
#include <runnel/chan.h>
#include <runnel/go.h>
#include <runnel/select.h>
#include <runnel/sync.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace {

struct message {
  std::string topic;
  std::size_t publisher;
  int number;
};

struct subscription {
  std::string topic;
  runnel::chan<message> messages = runnel::make_chan<message>(4);  // closed when the broker is
  runnel::chan<runnel::unit> left = runnel::make_chan<runnel::unit>();
};
using subscription_ptr = std::shared_ptr<const subscription>;

class broker {
 public:
  subscription_ptr subscribe(std::string topic) {
    auto s = std::make_shared<const subscription>(subscription{std::move(topic)});
    const std::lock_guard guard(lock_);
    subscriptions_.push_back(s);
    return s;
  }

  void unsubscribe(const subscription_ptr& s) {
    s->left.close();
    const std::lock_guard guard(lock_);
    std::erase(subscriptions_, s);
  }

  void publish(const message& m) {
    for (const subscription_ptr& s : subscribers(m.topic)) {
      runnel::select(runnel::send(s->messages, m), runnel::recv(s->left));
    }
  }

  // May be called when nobody publishes any more.
  void close() {
    const std::lock_guard guard(lock_);
    for (const subscription_ptr& s : subscriptions_) s->messages.close();
    subscriptions_.clear();
  }

 private:
  std::vector<subscription_ptr> subscribers(const std::string& topic) {
    const std::lock_guard guard(lock_);
    std::vector<subscription_ptr> found;
    for (const subscription_ptr& s : subscriptions_) {
      if (s->topic == topic) found.push_back(s);
    }
    return found;
  }

  runnel::mutex lock_;
  std::vector<subscription_ptr> subscriptions_;
};

constexpr std::size_t publishers = 8;
constexpr int messages_each = 300;  // a third of them to each topic
constexpr int enough = 10;          // for a reader who does not stay
const std::vector<std::string> topics = {"weather", "sport", "news"};

struct report {
  int received = 0, sum = 0;
  bool in_order = true;
};

void read(broker& b, const subscription_ptr& s, bool stays, report& r) {
  std::array<int, publishers> last{};
  for (message m : s->messages) {
    ++r.received;
    r.sum += m.number;
    r.in_order = r.in_order && m.topic == s->topic && m.number > last[m.publisher];
    last[m.publisher] = m.number;
    if (!stays && r.received == enough) return b.unsubscribe(s);
  }
}

}  // namespace

int main() {
  // Of every topic, the last of four readers does not stay.
  std::vector<report> reports(4 * topics.size());
  runnel::run([&] {
    broker b;
    runnel::wait_group readers, writers;
    for (std::size_t i = 0; i < reports.size(); ++i) {
      readers.go([&, i, s = b.subscribe(topics[i / 4])] { read(b, s, i % 4 != 3, reports[i]); });
    }
    for (std::size_t publisher = 0; publisher < publishers; ++publisher) {
      writers.go([&, publisher] {
        for (int n = 1; n <= messages_each; ++n) {
          b.publish({topics[static_cast<std::size_t>(n) % topics.size()], publisher, n});
        }
      });
    }
    writers.wait();
    b.close();
    readers.wait();
  });

  for (std::size_t i = 0; i < reports.size(); ++i) {
    const report& r = reports[i];
    std::printf("%s: reader %zu got %d messages, in order: %s", topics[i / 4].c_str(), i % 4,
                r.received, r.in_order ? "true" : "false");
    if (i % 4 != 3) std::printf(", the sum of their numbers: %d", r.sum);
    std::printf("\n");
  }
}
