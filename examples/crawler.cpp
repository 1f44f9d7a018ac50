// crawler: visits the pages of a site, and finds the links that lead nowhere.
//
//   ./dev run httpd 127.0.0.1:8080 build/docs/html   (./dev docs makes them; or a directory of yours)
//   ./dev run crawler http://127.0.0.1:8080/         in another terminal
//
// Shows an errgroup with a limit: as many requests at a time, however many pages there are. Pages are
// visited level by level, so each is found on the shortest way from the first, and what is known of
// the site is touched between the levels only: it needs no lock.

#include <runnel/http.h>
#include <runnel/runnel.h>

#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace {

using namespace std::chrono_literals;
namespace http = runnel::http;

constexpr const char* usage = R"(Usage: crawler URL [DEPTH [JOBS]]

Follows the links of the page at URL that stay on its host and port, and prints what it finds.

  URL     http://127.0.0.1:8080/
  DEPTH   how many links away from URL it goes (5)
  JOBS    requests at a time (16)

Exit status: 0 if every link leads somewhere, 1 if not, 2 for arguments that make no sense.
)";

struct page {
  http::url at;
  std::string found_on;
  std::string trouble;  // none: it was there
  std::size_t bytes = 0;
  std::vector<http::url> links = {};
};

bool ends_with_attribute(std::string_view text, std::string_view name) {
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text.size() > name.size() &&
         http::same_name(text.substr(text.size() - name.size()), name) &&
         std::isspace(static_cast<unsigned char>(text[text.size() - name.size() - 1]));
}

// What is quoted behind href= and src=. This is no parser of HTML, but it finds what people write.
std::vector<http::url> links_in(std::string_view html, const http::url& base) {
  std::vector<http::url> found;
  for (std::size_t at = 0; (at = html.find('=', at)) != html.npos; ++at) {
    const std::string_view before = html.substr(0, at);
    if (!ends_with_attribute(before, "href") && !ends_with_attribute(before, "src")) continue;
    const std::size_t open = html.find_first_not_of(' ', at + 1);
    if (open == html.npos || (html[open] != '"' && html[open] != '\'')) continue;
    const std::size_t close = html.find(html[open], open + 1);
    if (close == html.npos) break;
    std::string link(html.substr(open + 1, close - open - 1));
    for (std::size_t i = 0; (i = link.find("&amp;", i)) != link.npos; ++i) link.erase(i + 1, 4);
    if (auto url = http::resolve_url(base, link)) found.push_back(std::move(*url));
    at = close;
  }
  return found;
}

// Fills in what is known only after a visit.
void visit(const http::client& client, page& p) {
  auto answer = client.get(runnel::background(), p.at.text());
  if (!answer) {
    p.trouble = answer.error().message();
    return;
  }
  if (answer->status() >= 400) {
    p.trouble = std::to_string(answer->status()) + " ";
    p.trouble += http::status_text(answer->status());
  }
  const bool is_html = answer->header("Content-Type").starts_with("text/html");
  std::string html;
  std::array<char, 16 << 10> piece;
  for (;;) {
    auto n = answer->read(piece);
    if (!n) p.trouble = n.error().message();
    if (!n || *n == 0) break;
    p.bytes += *n;
    if (is_html) html.append(piece.data(), *n);
  }
  // It may have been redirected.
  if (auto base = http::parse_url(answer->url())) p.links = links_in(html, *base);
}

int crawl(const http::url& start, unsigned depth_max, unsigned jobs) {
  const http::client client({.timeout = 30s, .max_idle_per_host = jobs});
  const auto began = std::chrono::steady_clock::now();
  std::set<std::string> seen{start.text()};
  std::vector<page> broken;
  std::size_t pages = 0, bytes = 0;
  std::vector<page> level{{start, "the command line", {}}};
  for (unsigned depth = 0; depth <= depth_max && !level.empty(); ++depth) {
    runnel::errgroup visits;
    visits.set_limit(static_cast<int>(jobs));
    for (page& p : level) visits.go([&] { visit(client, p); });
    visits.wait();

    std::vector<page> next;
    for (page& p : level) {
      ++pages;
      bytes += p.bytes;
      std::printf("%u %9zu %s\n", depth, p.bytes, p.at.text().c_str());
      for (http::url& link : p.links) {
        const bool same_site = link.scheme == start.scheme && link.address() == start.address();
        if (same_site && seen.insert(link.text()).second) next.push_back({link, p.at.text(), {}});
      }
      if (!p.trouble.empty()) broken.push_back(std::move(p));
    }
    level = std::move(next);
  }
  for (const page& p : broken) {
    std::printf("broken: %s on %s: %s\n", p.at.text().c_str(), p.found_on.c_str(),
                p.trouble.c_str());
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  const double megabytes = static_cast<double>(bytes) / 1e6;
  std::printf("%zu pages, %.1f MB, %zu broken links in %.2f s: %.0f pages/s, %.1f MB/s\n", pages,
              megabytes, broken.size(), took.count(), static_cast<double>(pages) / took.count(),
              megabytes / took.count());
  return broken.empty() ? 0 : 1;
}

std::optional<unsigned> number(std::string_view text) {
  unsigned value = 0;
  const auto [end, why] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (why != std::errc() || end != text.data() + text.size() || value > 10'000) return {};
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--help") return std::fputs(usage, stdout) < 0;
  const auto start = http::parse_url(argc > 1 ? argv[1] : "");
  const auto depth = argc > 2 ? number(argv[2]) : 5;
  const auto jobs = argc > 3 ? number(argv[3]) : 16;
  if (!start || start->scheme != "http" || !depth || !jobs || *jobs == 0 || argc > 4) {
    std::fprintf(stderr, "crawler: want a URL with http://, and numbers up to 10000\n%s", usage);
    return 2;
  }
  return runnel::run(crawl, *start, *depth, *jobs);
}
