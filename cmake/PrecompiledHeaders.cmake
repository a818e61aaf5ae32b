# svc_precompile(<library>): with SVC_PCH, headers of the standard library and of others are compiled once for all cores
# (with svc_common_core) and once for everything above (with svc_common_io). That is two fifths of a cold build. Headers
# of ours are not among them; every other preset compiles each source with what it includes itself, and nothing else.
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

function(svc_precompile library)
  if(NOT SVC_PCH)
    return()
  endif()
  # ccache sees through them with this, and with what scripts/build.sh sets.
  target_compile_options(${library} PRIVATE -fpch-preprocess -Wno-error=invalid-pch)
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
