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
