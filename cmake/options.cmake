# The options of the build, and how they become compiler flags.

option(RUNNEL_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(RUNNEL_BUILD_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(RUNNEL_BUILD_BENCH "Build the benchmarks" ${PROJECT_IS_TOP_LEVEL})
option(RUNNEL_WERROR "Make compiler warnings errors" ${PROJECT_IS_TOP_LEVEL})
option(RUNNEL_FUZZ "Build the fuzzers, with Clang and its libFuzzer" OFF)
option(RUNNEL_LTO "Optimize at link time" OFF)
set(RUNNEL_ASSERTIONS AUTO CACHE STRING "Check RUNNEL_ASSERT: ON, OFF, or AUTO (in Debug)")
set_property(CACHE RUNNEL_ASSERTIONS PROPERTY STRINGS AUTO ON OFF)
set(RUNNEL_SANITIZE "" CACHE STRING "Sanitizers, comma separated: address, undefined, thread")

set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

get_property(multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(PROJECT_IS_TOP_LEVEL AND NOT multi_config AND NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()

# Sanitizers and LTO cover everything below this directory, GoogleTest, tests and examples included.
if(RUNNEL_SANITIZE)
  set(sanitize_flags -fsanitize=${RUNNEL_SANITIZE})
  add_compile_options(${sanitize_flags} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(${sanitize_flags})
endif()

if(RUNNEL_LTO)
  include(CheckIPOSupported)
  check_ipo_supported(LANGUAGES CXX)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
endif()

# What the library's own files, and the tests that look inside it, are compiled with. Never
# reaches a consumer.
add_library(runnel_internal INTERFACE)
target_compile_features(runnel_internal INTERFACE cxx_std_23)
target_include_directories(runnel_internal INTERFACE ${PROJECT_SOURCE_DIR}/include)
file(GLOB_RECURSE private_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*.h)
target_sources(runnel_internal INTERFACE
  FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/src FILES ${private_headers})

if(RUNNEL_ASSERTIONS STREQUAL "AUTO")
  target_compile_definitions(runnel_internal INTERFACE $<$<CONFIG:Debug>:RUNNEL_ASSERTIONS=1>)
elseif(RUNNEL_ASSERTIONS)
  target_compile_definitions(runnel_internal INTERFACE RUNNEL_ASSERTIONS=1)
endif()

# What everything compiled here is warned about.
add_library(runnel_warnings INTERFACE)
target_link_libraries(runnel_internal INTERFACE runnel_warnings)
set(warnings
  -Wall -Wextra -Wpedantic -Wnon-virtual-dtor -Woverloaded-virtual -Wextra-semi -Wformat=2
  # GCC's plain -Wshadow also means m(int number) : number(number).
  $<IF:$<CXX_COMPILER_ID:GNU>,-Wshadow=local,-Wshadow>)
if(RUNNEL_WERROR)
  list(APPEND warnings -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND RUNNEL_SANITIZE)
  # Instrumentation makes GCC see uninitialized values that are not there.
  list(APPEND warnings -Wno-maybe-uninitialized)
  if(RUNNEL_SANITIZE MATCHES "thread")
    list(APPEND warnings -Wno-tsan)  # "atomic_thread_fence is not supported": known, and meant
  endif()
endif()
target_compile_options(runnel_warnings INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${warnings}>")
