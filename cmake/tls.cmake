# RUNNEL_TLS: becomes ON if TLS is built, which needs OpenSSL.
set(RUNNEL_TLS AUTO CACHE STRING "Build TLS: ON, OFF, or AUTO (if there is OpenSSL 3)")
set_property(CACHE RUNNEL_TLS PROPERTY STRINGS AUTO ON OFF)

if(RUNNEL_TLS STREQUAL "AUTO")
  find_package(OpenSSL 3.0 QUIET)
  set(RUNNEL_TLS ${OPENSSL_FOUND})
elseif(RUNNEL_TLS)
  find_package(OpenSSL 3.0 REQUIRED)
endif()
