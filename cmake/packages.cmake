# Libraries of others that parts of Runnel are made with. A part whose library is missing is left out, with a message; the core
# needs none of them. They are linked by the programs that use the part, and by no others (--as-needed).

set(RUNNEL_HTTP AUTO CACHE STRING "HTTP, with libhttp-parser: ON, OFF, or AUTO (if it is there)")
set(RUNNEL_ZLIB AUTO CACHE STRING "Compressed HTTP, with zlib: ON, OFF, or AUTO (if it is there)")
set_property(CACHE RUNNEL_ZLIB PROPERTY STRINGS AUTO ON OFF)
set_property(CACHE RUNNEL_HTTP PROPERTY STRINGS AUTO ON OFF)

# runnel_package(<option> <what> <package> <header> <library> <result>): result is the library's name, or empty.
function(runnel_package option what package header library result)
  set(${result} "" PARENT_SCOPE)
  if(NOT ${option} STREQUAL "AUTO" AND NOT ${option})
    return()
  endif()
  find_path(${result}_INCLUDE ${header})
  find_library(${result}_LIBRARY ${library})
  mark_as_advanced(${result}_INCLUDE ${result}_LIBRARY)
  if(${result}_INCLUDE AND ${result}_LIBRARY)
    set(${result} ${library} PARENT_SCOPE)
  elseif(${option} STREQUAL "AUTO")
    message(STATUS "${package} not found: Runnel is built without ${what}")
  else()
    message(FATAL_ERROR "${option} is ON, but ${package} was not found")
  endif()
endfunction()

runnel_package(RUNNEL_HTTP "HTTP" libhttp-parser-dev http_parser.h http_parser runnel_http_parser)
runnel_package(RUNNEL_ZLIB "gzip" zlib1g-dev zlib.h z runnel_zlib)

# Libraries that only the example of that name and its tests use: the target runnel_guest_<name>, if the library is there.
function(runnel_guest name package header library)
  find_path(runnel_${name}_INCLUDE ${header} PATH_SUFFIXES ${ARGN})
  find_library(runnel_${name}_LIBRARY ${library})
  mark_as_advanced(runnel_${name}_INCLUDE runnel_${name}_LIBRARY)
  if(runnel_${name}_INCLUDE AND runnel_${name}_LIBRARY)
    add_library(runnel_guest_${name} INTERFACE)
    target_include_directories(runnel_guest_${name} SYSTEM INTERFACE ${runnel_${name}_INCLUDE})
    target_link_libraries(runnel_guest_${name} INTERFACE ${runnel_${name}_LIBRARY})
  else()
    message(STATUS "${package} not found: its example and its tests are left out")
  endif()
endfunction()

if(RUNNEL_BUILD_EXAMPLES OR RUNNEL_BUILD_TESTS)
  runnel_guest(postgres libpq-dev libpq-fe.h pq postgresql)
  runnel_guest(redis libhiredis-dev hiredis/hiredis.h hiredis)
  runnel_guest(fetch libcurl4-openssl-dev curl/curl.h curl)
endif()
