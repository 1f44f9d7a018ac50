// libcurl's easy interface as it is: beside_fetch <URL of slow_server> [times].

#include <curl/curl.h>

#include <memory>

#include "beside.h"

namespace {

struct cleanup {
  void operator()(CURL* c) const { curl_easy_cleanup(c); }
};
using connection = std::unique_ptr<CURL, cleanup>;

std::size_t append(char* data, std::size_t, std::size_t size, void* to) {
  static_cast<std::string*>(to)->append(data, size);
  return size;
}

// Connections are kept, as the handles are.
bool answers(CURL* c, const std::string& url, const std::string& right) {
  std::string got;
  curl_easy_setopt(c, CURLOPT_URL, url.c_str());
  curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, &append);
  curl_easy_setopt(c, CURLOPT_WRITEDATA, &got);
  curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
  CURLcode code = curl_easy_perform(c);
  long status = 0;
  curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
  if (code != CURLE_OK) std::fprintf(stderr, "%s: %s\n", url.c_str(), curl_easy_strerror(code));
  return code == CURLE_OK && status == 200 && got == right;
}

peers::library make(const std::string& where, peers::calls how) {
  struct handles {
    std::vector<connection> of;
    connection gate{curl_easy_init()};
  };
  auto h = std::make_shared<handles>();
  for (int i = 0; i < peers::goroutines; ++i) h->of.emplace_back(curl_easy_init());
  const std::string gate = how == peers::calls::announced ? "announced" : "unannounced";
  auto ask = [h, how, where](int who, const std::string& path, const std::string& right) {
    CURL* c = h->of[static_cast<std::size_t>(who)].get();
    return peers::call(how, [&] { return answers(c, where + path, right); });
  };
  return {
      .ask =
          [ask](int who, int n) {
            std::string number = std::to_string(1000 * who + n);
            return ask(who, (n % 2 != 0 ? "slow/" : "fast/") + number, number);
          },
      .hold = [ask, gate](int who) { return ask(who, "held/" + gate, "released"); },
      .release =
          [h, how, url = where + "open/" + gate] {
            return peers::call(how, [&] { return answers(h->gate.get(), url, "done"); });
          },
  };
}

}  // namespace

int main(int argc, char** argv) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  int status = peers::beside(argc, argv, make);
  curl_global_cleanup();
  return status;
}
