// Which file lies at an address.

#include "platform/mapped_file.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdio>
#include <filesystem>
#include <system_error>

#include "platform/address_space.h"

namespace runnel::platform {
namespace {

std::uintptr_t address(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

void expect_what_the_loader_says(const void* code) {
  Dl_info known;
  ASSERT_NE(dladdr(code, &known), 0);
  mapped_file found;
  ASSERT_TRUE(find_mapped_file(address(code), found));
  EXPECT_EQ(found.offset, address(code) - address(known.dli_fbase));
  std::error_code why;  // the loader may know it by a link
  EXPECT_TRUE(std::filesystem::equivalent(found.path.data(), known.dli_fname, why))
      << why.message();
}

TEST(mapped_file_test, of_a_function_is_the_program) {
  expect_what_the_loader_says(reinterpret_cast<const void*>(&find_mapped_file));
}

TEST(mapped_file_test, of_a_library_function_is_the_library) {
  expect_what_the_loader_says(dlsym(RTLD_DEFAULT, "fputs"));
}

TEST(mapped_file_test, is_none_for_memory_without_a_file) {
  void* page =
      mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(page, MAP_FAILED);
  mapped_file found;
  EXPECT_FALSE(find_mapped_file(address(page), found));
  munmap(page, page_size());
  EXPECT_FALSE(find_mapped_file(address(page), found));
  EXPECT_FALSE(find_mapped_file(0, found));
}

}  // namespace
}  // namespace runnel::platform
