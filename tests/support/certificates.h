#pragma once
// Certificates made by the openssl command, in a folder of the test's own that goes with it.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace test {

class certificates {
 public:
  certificates() {
    std::string pattern = std::filesystem::temp_directory_path() / "runnel-tls-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    folder_ = pattern;
    command(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=root "
        "-addext basicConstraints=critical,CA:TRUE -keyout root.key -out root.pem");
    make("good", "localhost", "DNS:localhost,IP:127.0.0.1", "-days 30");
    make("client", "a client", "DNS:client", "-days 30");
  }
  ~certificates() { std::filesystem::remove_all(folder_); }
  certificates(const certificates&) = delete;
  certificates& operator=(const certificates&) = delete;

  // <name>.pem and <name>.key, signed by root.pem.
  void make(const std::string& name, const std::string& subject, const std::string& names,
            const std::string& validity) const {
    std::ofstream(file(name + ".ext")) << "subjectAltName=" << names << "\n";
    command("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=" + subject +
            "' -keyout " + name + ".key -out " + name + ".csr");
    command("x509 -req -in " + name +
            ".csr -CA root.pem -CAkey root.key -CAcreateserial -extfile " + name + ".ext " +
            validity + " -out " + name + ".pem");
  }

  std::string file(const std::string& name) const { return folder_ / name; }
  std::string text(const std::string& name) const {
    std::ostringstream all;
    all << std::ifstream(file(name)).rdbuf();
    return all.str();
  }

 private:
  void command(const std::string& arguments) const {
    std::string line =
        "cd '" + folder_.string() + "' && openssl " + arguments + " >openssl.log 2>&1";
    EXPECT_EQ(std::system(line.c_str()), 0) << arguments << "\n" << text("openssl.log");
  }

  std::filesystem::path folder_;
};

}  // namespace test
