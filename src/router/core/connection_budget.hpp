// How many client connections a process has file descriptors for.
#pragma once

#include <algorithm>
#include <cstdint>

namespace svc::router {

/// `configured`, or what `open_files` (the limit in force) leaves when that is less: each client may need a connection to
/// an instance as well, and probes, the registry and the log need some in any case. So idle clients, however many, never
/// keep the router from reaching its instances. HAProxy derives its maxconn from the limit in the same way.
[[nodiscard]] constexpr std::uint64_t client_connections(std::uint64_t configured, std::uint64_t open_files) {
  constexpr std::uint64_t kSpare = 256;
  const std::uint64_t spare = std::min(kSpare, open_files / 4);
  return std::clamp<std::uint64_t>((open_files - spare) / 2, 1, configured);
}

}  // namespace svc::router
