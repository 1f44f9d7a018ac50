// fetch: pages at the same time, by libcurl's easy interface as it is: curl_easy_perform blocks, and only the goroutine that
// called it waits. (For HTTP alone there is <runnel/http.h>, which needs no thread to wait.)
//
// A server for trying it:
//   ./dev run httpd 127.0.0.1:8080 docs &
//   ./dev run fetch http://127.0.0.1:8080/{design,benchmarks,gdb}.md

#include <curl/curl.h>
#include <runnel/runnel.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr const char* usage =
    "usage: fetch <URL>...\n"
    "Says of each page how long it is, as they come.\n";

struct page {
  std::string url, text, error;
  long status = 0;
};

std::size_t append(char* data, std::size_t, std::size_t size, void* to) {
  static_cast<std::string*>(to)->append(data, size);
  return size;
}

page fetch(const std::string& url) {
  page got{.url = url, .text = {}, .error = {}};
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy(curl_easy_init(), &curl_easy_cleanup);
  curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, &append);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &got.text);
  curl_easy_setopt(easy.get(), CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, 30'000L);
  curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);  // as wherever there are threads
  // blocking() only says it beforehand: without it, others might wait up to a millisecond, until the runtime has noticed.
  CURLcode code = runnel::blocking([&] { return curl_easy_perform(easy.get()); });
  if (code != CURLE_OK) got.error = curl_easy_strerror(code);
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &got.status);
  return got;
}

int fetch_all(const std::vector<std::string>& urls) {
  auto pages = runnel::make_chan<page>();
  runnel::semaphore at_once(50);
  for (const std::string& url : urls) {
    runnel::go([&at_once, pages, url] {
      at_once.acquire();
      page got = fetch(url);
      at_once.release();
      pages.send(std::move(got));
    });
  }
  int failed = 0;
  for (std::size_t i = 0; i < urls.size(); ++i) {
    page got = *pages.recv();
    failed += !got.error.empty();
    std::printf("%s: %s\n", got.url.c_str(),
                got.error.empty() ? (std::to_string(got.status) + ", " +
                                     std::to_string(got.text.size()) + " bytes")
                                        .c_str()
                                  : got.error.c_str());
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fputs(usage, stderr), 2;
  if (argc == 2 && std::string_view(argv[1]) == "--help") return std::fputs(usage, stdout) < 0;
  curl_global_init(CURL_GLOBAL_DEFAULT);
  int status = runnel::run(fetch_all, std::vector<std::string>(argv + 1, argv + argc));
  curl_global_cleanup();
  return status;
}
