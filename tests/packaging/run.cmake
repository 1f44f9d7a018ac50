# Installs the built tree into an empty prefix, then builds and runs consumer/ against it, or, for
# the ways that start from the sources, against those.
cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${work_dir})

if(NOT way MATCHES "find_package|pkg_config")
  # The quickest way to compile the library once more.
  set(config Debug)
  set(flags -DCMAKE_CXX_FLAGS_DEBUG=)
  if(way STREQUAL "FetchContent")  # all of it is compiled by add_subdirectory's; here, what everybody has
    list(APPEND flags -DRUNNEL_HTTP=OFF -DRUNNEL_TLS=OFF)
  endif()
endif()
set(arguments
  -DWAY=${way}
  -DCMAKE_BUILD_TYPE=${config}
  -DCMAKE_CXX_COMPILER=${cxx_compiler}
  -DCMAKE_C_COMPILER=${c_compiler}
  -DCMAKE_EXE_LINKER_FLAGS=${linker_flags}
  ${flags})
if(toolchain)
  list(APPEND arguments -DCMAKE_TOOLCHAIN_FILE=${toolchain})
endif()
if(way MATCHES "find_package|pkg_config")
  # Installed, then moved: an installed tree must not depend on where it was installed.
  run(${CMAKE_COMMAND} --install ${build_dir} --config ${config} --prefix ${work_dir}/installed)
  file(RENAME ${work_dir}/installed ${work_dir}/prefix)
  list(APPEND arguments -DCMAKE_PREFIX_PATH=${work_dir}/prefix)
  foreach(file runnel-gdb.py runnel_gdb/commands.py)
    if(NOT EXISTS ${work_dir}/prefix/share/runnel/gdb/${file})
      message(FATAL_ERROR "share/runnel/gdb/${file} is not installed")
    endif()
  endforeach()
else()
  list(APPEND arguments -DRUNNEL_SOURCE_DIR=${source_dir})
endif()

run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/consumer -B ${work_dir}/build -G ${generator}
    ${arguments})
run(${CMAKE_COMMAND} --build ${work_dir}/build --config ${config} --target run)
