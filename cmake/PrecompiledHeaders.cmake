# With SVC_PCH, headers of the standard library and of others are compiled once for the cores (with svc_common_core), once
# for everything above (with svc_common_io), and for the unit and the component tests. That is two fifths of a cold build. Headers of
# ours are not among them. That each source includes what it uses itself is seen where there are none: check_headers, what
# run_tidy.sh checks alone, and builds without SVC_PCH.
set(SVC_PCH_CORE
  <algorithm> <array> <cerrno> <charconv> <chrono> <cmath> <cstdint> <cstring> <deque> <functional> <limits> <map> <memory>
  <optional> <set> <span> <string> <string_view> <system_error> <unordered_map> <utility> <variant> <vector>
  <nlohmann/json.hpp>)
set(SVC_PCH_IO
  ${SVC_PCH_CORE}
  <atomic> <csignal> <cstdio> <filesystem> <fstream> <list> <mutex> <thread>
  <boost/asio/as_tuple.hpp> <boost/asio/awaitable.hpp> <boost/asio/co_spawn.hpp> <boost/asio/io_context.hpp>
  <boost/asio/ip/tcp.hpp> <boost/asio/post.hpp> <boost/asio/signal_set.hpp> <boost/asio/ssl/stream.hpp>
  <boost/asio/steady_timer.hpp> <boost/asio/use_awaitable.hpp> <boost/beast/http/parser.hpp>
  <boost/beast/http/string_body.hpp> <spdlog/logger.h>)

# ccache sees through them with this, and with what scripts/build.sh sets.
function(svc_pch_options target)
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  else()
    target_compile_options(${target} PRIVATE -fpch-preprocess -Wno-error=invalid-pch)
  endif()
endfunction()

# svc_precompile(<library>): for libraries of src/ and bench/.
function(svc_precompile library)
  # Under a sanitizer svc_registry_core is optimised and the others are not.
  if(NOT SVC_PCH OR (SVC_SANITIZE AND library STREQUAL svc_registry_core))
    return()
  endif()
  svc_pch_options(${library})
  if(library STREQUAL svc_common_core)
    target_precompile_headers(${library} PRIVATE ${SVC_PCH_CORE})
  elseif(library STREQUAL svc_common_io)
    target_precompile_headers(${library} PRIVATE ${SVC_PCH_IO})
  elseif(library MATCHES "_core$")
    target_precompile_headers(${library} REUSE_FROM svc_common_core)
  else()
    target_precompile_headers(${library} REUSE_FROM svc_common_io)
  endif()
endfunction()

# svc_precompile_test(<program>): unit_common_tests comes first, and the other unit tests use what it compiles.
function(svc_precompile_test program)
  if(NOT SVC_PCH)
    return()
  endif()
  svc_pch_options(${program})
  if(program STREQUAL component_tests)
    target_precompile_headers(${program} PRIVATE ${SVC_PCH_IO} <gmock/gmock.h> <gtest/gtest.h>)
  elseif(program STREQUAL unit_common_tests)
    target_precompile_headers(${program} PRIVATE ${SVC_PCH_CORE} <gmock/gmock.h> <gtest/gtest.h>)
  else()
    target_precompile_headers(${program} REUSE_FROM unit_common_tests)
  endif()
endfunction()
