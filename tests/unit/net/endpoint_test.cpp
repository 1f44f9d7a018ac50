// Addresses as text, and when they are equal.

#include "runnel/net/endpoint.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>

#include <cstring>
#include <string>

#include "runnel/net.h"
#include "runnel/runnel.h"

namespace runnel::net {
namespace {

endpoint four(const char* address, std::uint16_t port) {
  sockaddr_in raw{};
  raw.sin_family = AF_INET;
  raw.sin_port = htons(port);
  EXPECT_EQ(inet_pton(AF_INET, address, &raw.sin_addr), 1);
  return {reinterpret_cast<sockaddr*>(&raw), sizeof raw};
}
endpoint six(const char* address, std::uint16_t port, std::uint32_t zone = 0) {
  sockaddr_in6 raw{};
  raw.sin6_family = AF_INET6;
  raw.sin6_port = htons(port);
  raw.sin6_scope_id = zone;
  EXPECT_EQ(inet_pton(AF_INET6, address, &raw.sin6_addr), 1);
  return {reinterpret_cast<sockaddr*>(&raw), sizeof raw};
}

TEST(endpoint, of_either_version_is_shown_as_dial_takes_it) {
  EXPECT_EQ(four("127.0.0.1", 8080).to_string(), "127.0.0.1:8080");
  EXPECT_EQ(six("::1", 80).to_string(), "[::1]:80");
  EXPECT_EQ(six("::1", 80).host(), "::1");
  EXPECT_EQ(six("2001:db8::5", 443).port(), 443);
}

TEST(endpoint, with_another_port_is_the_same_otherwise) {
  EXPECT_EQ(four("127.0.0.1", 80).with_port(65535).to_string(), "127.0.0.1:65535");
  EXPECT_EQ(six("fe80::1", 80, 1).with_port(81), six("fe80::1", 81, 1));
  EXPECT_EQ(endpoint().with_port(80), endpoint());
}

TEST(endpoint, with_a_zone_names_its_interface) {
  unsigned loopback = if_nametoindex("lo");
  ASSERT_NE(loopback, 0u);
  EXPECT_EQ(six("fe80::1", 80, loopback).to_string(), "[fe80::1%lo]:80");
  EXPECT_EQ(six("fe80::1", 80, 4'000'000).to_string(), "[fe80::1%4000000]:80");
}

TEST(endpoint, with_a_zone_can_be_resolved_again) {
  std::string text = "[fe80::1%lo]:80";
  auto found = resolve(background(), "tcp", text);
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->front().to_string(), text);
}

TEST(endpoint, of_ipv4_in_ipv6_is_shown_and_compared_as_ipv4) {
  endpoint mapped = six("::ffff:10.1.2.3", 99);
  EXPECT_EQ(mapped.to_string(), "10.1.2.3:99");
  EXPECT_EQ(mapped, four("10.1.2.3", 99));
  EXPECT_NE(mapped, four("10.1.2.3", 98));
  EXPECT_NE(mapped, four("10.1.2.4", 99));
}

TEST(endpoint, comparison_heeds_the_zone_but_not_the_flow) {
  EXPECT_NE(six("fe80::1", 80, 1), six("fe80::1", 80, 2));
  EXPECT_EQ(six("fe80::1", 80, 1), six("fe80::1", 80, 1));
  EXPECT_NE(endpoint(), four("0.0.0.0", 0));
  EXPECT_EQ(endpoint(), endpoint());
}

TEST(endpoint, of_a_unix_socket_is_its_path) {
  sockaddr_un raw{};
  raw.sun_family = AF_UNIX;
  std::memcpy(raw.sun_path, "/run/a.sock", 12);
  socklen_t size = offsetof(sockaddr_un, sun_path) + 12;
  EXPECT_EQ(endpoint(reinterpret_cast<sockaddr*>(&raw), size).to_string(), "/run/a.sock");
  EXPECT_EQ(endpoint(reinterpret_cast<sockaddr*>(&raw), size - 1).to_string(), "/run/a.sock");
  raw.sun_path[0] = '\0';
  EXPECT_EQ(endpoint(reinterpret_cast<sockaddr*>(&raw), size - 1).to_string(), "@run/a.sock");
}

TEST(endpoint, without_a_name_is_empty) {
  EXPECT_EQ(endpoint().to_string(), "");
  auto on = listen("unix", "@runnel-endpoint-" + std::to_string(getpid()));
  ASSERT_TRUE(on) << on.error().message();
  auto there = dial("unix", on->addr().to_string());
  auto here = on->accept();
  ASSERT_TRUE(here && there);
  EXPECT_EQ(here->remote().to_string(), "");
  EXPECT_EQ(here->remote().family(), AF_UNIX);
  EXPECT_EQ(here->local(), there->remote());
}

TEST(endpoint, of_a_path_that_fills_its_place_is_whole) {
  std::string path = "/" + std::string(sizeof(sockaddr_un::sun_path) - 1, 'p');
  sockaddr_un raw{};
  raw.sun_family = AF_UNIX;
  std::memcpy(raw.sun_path, path.data(), path.size());
  EXPECT_EQ(endpoint(reinterpret_cast<sockaddr*>(&raw), sizeof raw).to_string(), path);
}

}  // namespace
}  // namespace runnel::net
