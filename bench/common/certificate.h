// A certificate for servers, made by the openssl command: the same kind for whoever serves.
#pragma once

#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace bench {

class certificate {
 public:
  certificate() {
    char name[] = "/tmp/runnel_bench_XXXXXX";
    if (mkdtemp(name) == nullptr) std::abort();
    folder_ = name;
    const std::string command =
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout " +
        key_file() + " -out " + certificate_file() + " 2>/dev/null";
    if (std::system(command.c_str()) != 0) std::abort();
  }
  ~certificate() { std::filesystem::remove_all(folder_); }
  certificate(const certificate&) = delete;
  certificate& operator=(const certificate&) = delete;

  std::string certificate_file() const { return folder_ + "/certificate.pem"; }
  std::string key_file() const { return folder_ + "/key.pem"; }

 private:
  std::string folder_;
};

}  // namespace bench
