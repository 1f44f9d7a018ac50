# Installs the library for find_package(runnel) and for pkg-config.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/runnel)

if(RUNNEL_TLS)
  install(TARGETS runnel_tls EXPORT runnel-targets)
endif()
install(TARGETS runnel EXPORT runnel-targets FILE_SET HEADERS)
install(EXPORT runnel-targets NAMESPACE runnel:: DESTINATION ${package_dir})

configure_package_config_file(cmake/runnel-config.cmake.in runnel-config.cmake
  INSTALL_DESTINATION ${package_dir})
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(runnel-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  ${CMAKE_CURRENT_BINARY_DIR}/runnel-config.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/runnel-config-version.cmake
  DESTINATION ${package_dir})

# The prefix is found from where the .pc file lies, so that an installed tree can be moved.
file(RELATIVE_PATH prefix_from_pc
  ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
# A static library's own libraries, for those programs that use them (cmake/packages.cmake).
set(pc_libraries "")
get_target_property(library_type runnel TYPE)
if(library_type STREQUAL "STATIC_LIBRARY" AND runnel_http_parser)
  set(pc_libraries "-Wl,--push-state,--as-needed -l${runnel_http_parser}")
  if(runnel_zlib)
    string(APPEND pc_libraries " -l${runnel_zlib}")
  endif()
  if(runnel_nghttp2)
    string(APPEND pc_libraries " -l${runnel_nghttp2}")
  endif()
  string(APPEND pc_libraries " -Wl,--pop-state")
endif()
configure_file(cmake/runnel.pc.in runnel.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/runnel.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(RUNNEL_TLS)
  configure_file(cmake/runnel-tls.pc.in runnel-tls.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/runnel-tls.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()

# For gdb: tools/gdb/runnel-gdb.py says how it is loaded. Of a shared library gdb finds it by itself, if both are
# installed under one prefix.
install(FILES tools/gdb/runnel-gdb.py DESTINATION ${CMAKE_INSTALL_DATADIR}/runnel/gdb)
install(DIRECTORY tools/gdb/runnel_gdb DESTINATION ${CMAKE_INSTALL_DATADIR}/runnel/gdb
  PATTERN __pycache__ EXCLUDE)
get_target_property(library_type runnel TYPE)
if(library_type STREQUAL "SHARED_LIBRARY")
  configure_file(tools/gdb/auto-load.py.in auto-load.py @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/auto-load.py
    DESTINATION ${CMAKE_INSTALL_DATADIR}/gdb/auto-load/${CMAKE_INSTALL_FULL_LIBDIR}
    RENAME librunnel.so.${PROJECT_VERSION}-gdb.py)
endif()
