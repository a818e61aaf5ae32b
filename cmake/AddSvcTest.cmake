# add_svc_test(<name> SOURCES <file>... LABELS <label>... [DEPENDS <target>...])
#
# One GoogleTest binary and one ctest entry for it: starting a process per case would cost more than most cases do.
# Run `build/<preset>/bin/<name> --gtest_filter=...` for a single case.
function(add_svc_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LABELS;DEPENDS")
  add_executable(${name} ${arg_SOURCES})
  svc_set_warnings(${name})
  svc_precompile_test(${name})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  # Only where it is used: the path of the checkout would keep all others from sharing a compiler cache with another one.
  foreach(source IN LISTS arg_SOURCES)
    file(STRINGS ${source} uses REGEX SVC_SOURCE_DIR LIMIT_COUNT 1)
    if(uses)
      set_property(SOURCE ${source} APPEND PROPERTY COMPILE_DEFINITIONS SVC_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    endif()
  endforeach()
  target_link_libraries(${name} PRIVATE ${arg_DEPENDS} GTest::gmock_main GTest::gmock GTest::gtest)
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1 WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
  svc_test_properties(${name} LABELS ${arg_LABELS})
  if("threaded" IN_LIST arg_LABELS)
    add_dependencies(threaded_tests ${name})
  endif()
endfunction()

# svc_libraries_of(<out> <source>): the libraries whose folders a source includes ("common/core/error.hpp" means
# svc_common_core), so that a test of the core alone is built without the io layers.
function(svc_libraries_of out source)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  file(STRINGS ${source} includes REGEX "^#include \"[a-z]+/.*\\.hpp\"")
  set(libraries svc_common_core)
  foreach(include IN LISTS includes)
    if(include MATCHES "\"(common|registry|router|agent|ctl)/(core|io)/")
      list(APPEND libraries svc_${CMAKE_MATCH_1}_${CMAKE_MATCH_2})
    elseif(include MATCHES "\"(registry|router|agent|ctl)/")
      list(APPEND libraries svc_${CMAKE_MATCH_1}_app)
    endif()
  endforeach()
  list(REMOVE_DUPLICATES libraries)
  set(${out} ${libraries} PARENT_SCOPE)
endfunction()

# add_svc_fuzz_harness(<file>_fuzz.cpp)
#
# With SVC_FUZZ a libFuzzer program; otherwise the same harness with replay_main.cpp, which runs the committed corpus as
# a plain test. The corpus of header_rules_fuzz.cpp is tests/fuzz/corpus/header_rules/.
function(add_svc_fuzz_harness source)
  get_filename_component(name ${source} NAME_WE)
  svc_libraries_of(libraries ${source})
  string(REGEX REPLACE "_fuzz$" "" subject ${name})
  if(SVC_FUZZ)
    add_executable(${name} ${source})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzzers ${name})
  else()
    add_executable(${name} ${source} ${CMAKE_CURRENT_SOURCE_DIR}/replay_main.cpp)
    add_test(NAME ${name}_replay COMMAND ${name} ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${subject})
    svc_test_properties(${name}_replay LABELS fuzz)
  endif()
  svc_set_warnings(${name})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${libraries})
endfunction()

# add_svc_system_test(<test_x.py> [SERIAL] [LABELS <label>...]): one ctest entry for one Python file that drives the real
# binaries. SERIAL keeps other tests from running beside it.
function(add_svc_system_test source)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "" "LABELS")
  get_filename_component(name ${source} NAME_WE)
  set(extra "")
  if(arg_SERIAL)
    set(extra SERIAL)
  endif()
  add_test(NAME system_${name} COMMAND ${SVC_PYTHON} -B ${source} WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
  svc_test_properties(system_${name} ${extra} LABELS system ${arg_LABELS} TIMEOUT 600 ENVIRONMENT
    "INFINILM_BIN_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}" "INFINILM_SOURCE_DIR=${CMAKE_SOURCE_DIR}")
endfunction()

function(svc_test_properties name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "TIMEOUT" "LABELS;ENVIRONMENT")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  if(NOT SVC_SANITIZE STREQUAL "")
    math(EXPR arg_TIMEOUT "${arg_TIMEOUT} * 3")
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} RUN_SERIAL ${arg_SERIAL}
    ENVIRONMENT "${SVC_SANITIZER_ENVIRONMENT};${arg_ENVIRONMENT}")
endfunction()
