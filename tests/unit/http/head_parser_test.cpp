// Which heads are understood, and which are refused with what.

#include "net/http/head_parser.h"

#include <gtest/gtest.h>

#include <string>

namespace runnel::http {
namespace {

constexpr std::size_t size_max = 4096;

// As a connection does it: scans piece by piece, then parses.
int answer_to(const std::string& text, bool response = false) {
  head_scanner scanner(size_max);
  auto found = head_scanner::state::more;
  for (std::size_t n = 1; n <= text.size() && found == head_scanner::state::more; ++n) {
    found = scanner.scan(std::string_view(text).substr(0, n));
  }
  if (found == head_scanner::state::more) return -1;
  if (found == head_scanner::state::faulty) return static_cast<int>(scanner.why());
  std::string_view head_text =
      std::string_view(text).substr(scanner.begin(), scanner.end() - scanner.begin());
  message_head head;
  return static_cast<int>(response ? parse_response(head_text, head)
                                   : parse_request(head_text, head));
}

TEST(head_parser_test, what_could_be_understood_in_two_ways_is_refused) {
  using namespace std::string_literals;
  const std::string line = "GET / HTTP/1.1\r\n";
  const std::string host = line + "Host: x\r\n";
  const std::pair<std::string, int> cases[] = {
      {host + "\r\n", 0},
      {"\r\n\r\n" + host + "\r\n", 0},
      {line + "host:\r\n\r\n", 0},
      {"GET / HTTP/1.0\r\n\r\n", 0},
      {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 0},
      {"GET http://a.b:80/c HTTP/1.1\r\nHost: x\r\n\r\n", 0},
      {host + "Content-Length: 3\r\n\r\n", 0},
      {host + "Transfer-Encoding: Chunked\r\n\r\n", 0},
      {host, -1},
      // lengths
      {host + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", 400},
      {host + "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 400},
      {host + "Content-Length: 3, 3\r\n\r\n", 400},
      {host + "Content-Length: +3\r\n\r\n", 400},
      {host + "Content-Length: -3\r\n\r\n", 400},
      {host + "Content-Length: 0x3\r\n\r\n", 400},
      {host + "Content-Length: \r\n\r\n", 400},
      {host + "Content-Length: 99999999999999999999\r\n\r\n", 400},
      {host + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {host + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400},
      {host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {host + "Transfer-Encoding: chunked, identity\r\n\r\n", 501},
      {host + "Transfer-Encoding: identity\r\n\r\n", 501},
      {host + "Transfer-Encoding: xchunked\r\n\r\n", 501},
      {host + "Transfer-Encoding: \x0b"
              "chunked\r\n\r\n",
       400},
      {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      // lines
      {"GET / HTTP/1.1\nHost: x\n\n", 400},
      {line + "Host: x\n\r\n", 400},
      {host + "\n", 400},
      {host + "A: b\r\n c\r\n\r\n", 400},
      {host + "A: b\r\n\tc\r\n\r\n", 400},
      {line + " Host: x\r\n\r\n", 400},
      {host + "A: b\rc\r\n\r\n", 400},
      {host + "A\r\n\r\n", 400},
      // names and values
      {host + "A : b\r\n\r\n", 400},
      {host + "A b: c\r\n\r\n", 400},
      {host + ": c\r\n\r\n", 400},
      {host + "A(: c\r\n\r\n", 400},
      {host + "A: b\0c\r\n\r\n"s, 400},
      {host + "A\0: c\r\n\r\n"s, 400},
      {host + "A: b\x7f\r\n\r\n", 400},
      {host + "A: \x01\r\n\r\n", 400},
      // hosts
      {line + "\r\n", 400},
      {host + "Host: x\r\n\r\n", 400},
      {line + "Host: a/b\r\n\r\n", 400},
      {line + "Host: a b\r\n\r\n", 400},
      // the first line
      {"GET /\r\n\r\n", 400},
      {"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET /  HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 505},
      {" GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET /\x80 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n"s, 400},
      {"get / HTTP/1.1\r\nHost: x\r\n\r\n", 501},
      {"G@T / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501},
      {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
      {"GET / HTTP/0.9\r\nHost: x\r\n\r\n", 400},
      {"GET / ICE/1.0\r\nHost: x\r\n\r\n", 400},
      {"\r\n\r\n\r\n\r\n\r\n\r\n" + host + "\r\n", 400},
      // sizes
      {"GET /" + std::string(size_max, 'a'), 414},
      {host + "A: " + std::string(size_max, 'a'), 431},
  };
  for (const auto& [text, answer] : cases) EXPECT_EQ(answer_to(text), answer) << text;
}

TEST(head_parser_test, more_fields_than_there_is_room_for_are_refused) {
  std::string text = "GET / HTTP/1.1\r\nHost: x\r\n";
  for (int i = 0; i < 300; ++i) text += "a:b\r\n";
  EXPECT_EQ(answer_to(text + "\r\n"), 431);
}

TEST(head_parser_test, responses_are_held_to_the_same_rules) {
  const std::pair<std::string, int> cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", 0},
      {"HTTP/1.1 200\r\n\r\n", 0},
      {"HTTP/1.0 404 Not Found\r\n\r\n", 0},
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", 400},
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", 400},
      {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", 400},
      {"HTTP/1.1 20 OK\r\n\r\n", 400},
      {"HTTP/3.0 200 OK\r\n\r\n", 505},
      {"hello\r\n\r\n", 400},
  };
  for (const auto& [text, answer] : cases) EXPECT_EQ(answer_to(text, true), answer) << text;
}

}  // namespace
}  // namespace runnel::http
