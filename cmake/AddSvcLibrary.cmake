# add_svc_library(<name> [RECURSE] [EXCLUDE <file>...] [DEPENDS <target>...])
#
# One static library of the current folder's sources: all *.cpp in it (and below it with RECURSE). A folder without
# sources gives an INTERFACE library with the same dependencies, so that the targets above it need not care.
# Beside it stands <name>_headers, which compiles each header of the folder alone, twice included; the target
# `check_headers` builds all of these.
function(add_svc_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "RECURSE" "" "EXCLUDE;DEPENDS")
  if(arg_RECURSE)
    set(glob GLOB_RECURSE)
  else()
    set(glob GLOB)
  endif()
  file(${glob} sources CONFIGURE_DEPENDS *.cpp)
  file(${glob} headers CONFIGURE_DEPENDS *.hpp)
  foreach(excluded IN LISTS arg_EXCLUDE)
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/${excluded})
  endforeach()

  if(sources)
    set(scope PUBLIC)
    add_library(${name} STATIC ${sources})
    svc_set_warnings(${name})
    svc_precompile(${name})
    if(SVC_UNITY)
      set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${SVC_UNITY_BATCH}
        UNITY_BUILD_CODE_BEFORE_INCLUDE "// NOLINTNEXTLINE(bugprone-suspicious-include)")
      # What each source is warned of alone, as the other presets compile it.
      target_compile_options(${name} PRIVATE -Wno-shadow $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
    endif()
    if(SVC_SANITIZE AND name MATCHES "_core$")
      # Where randomised tests and the simulation of routing spend their time: worth optimising under sanitizers.
      target_compile_options(${name} PRIVATE -O1)
    endif()
    if(SVC_FUZZ AND NOT name MATCHES "_core$")
      # What is fuzzed hard is the core; Beast at -O1 with sanitizers would take most of the build.
      target_compile_options(${name} PRIVATE -O0)
    endif()
  else()
    set(scope INTERFACE)
    add_library(${name} INTERFACE)
  endif()
  target_include_directories(${name} ${scope} ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(${name} ${scope} svc_version ${arg_DEPENDS})

  if(headers)
    set(units "")
    foreach(header IN LISTS headers)
      file(RELATIVE_PATH path ${CMAKE_SOURCE_DIR}/src ${header})
      string(REGEX REPLACE "^\\.\\./" "" unit ${path})
      set(unit ${CMAKE_BINARY_DIR}/header_checks/${unit}.cpp)
      file(CONFIGURE OUTPUT ${unit} CONTENT "#include \"@path@\"\n#include \"@path@\"  // NOLINT\n" @ONLY)
      list(APPEND units ${unit})
    endforeach()
    add_library(${name}_headers OBJECT EXCLUDE_FROM_ALL ${units})
    svc_set_warnings(${name}_headers)
    # Nothing runs this code: -O0 and no line tables halve the time of the check.
    target_compile_options(${name}_headers PRIVATE -O0 -g0 "SHELL:-U_FORTIFY_SOURCE")
    target_link_libraries(${name}_headers PRIVATE ${name})
    add_dependencies(check_headers ${name}_headers)
  endif()
endfunction()

# svc_scope(<out> <target>): the keyword with which properties of an add_svc_library target are set.
function(svc_scope out target)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "INTERFACE_LIBRARY")
    set(${out} INTERFACE PARENT_SCOPE)
  else()
    set(${out} PUBLIC PARENT_SCOPE)
  endif()
endfunction()
