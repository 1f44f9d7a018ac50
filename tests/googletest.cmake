# GTest::gtest_main, from Debian's libgtest-dev.
#
# Its library was compiled with the system's GCC and no sanitizer. Any other build compiles the
# sources that the package also brings.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT CMAKE_CROSSCOMPILING AND NOT RUNNEL_SANITIZE)
  find_package(GTest REQUIRED)
else()
  set(BUILD_GMOCK OFF)
  set(INSTALL_GTEST OFF)
  set(CMAKE_POLICY_DEFAULT_CMP0069 NEW)  # it is older than that policy; LTO reaches it too
  add_subdirectory(/usr/src/googletest googletest EXCLUDE_FROM_ALL SYSTEM)
  if(NOT TARGET GTest::gtest_main)
    add_library(GTest::gtest_main ALIAS gtest_main)
  endif()
endif()
