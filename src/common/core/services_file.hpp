// The services of a server, or of all servers: {"services": [{name, host, port, weight, max_fails, fail_timeout, backup,
// metadata, config}]}.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/clock.hpp"
#include "common/core/result.hpp"

namespace svc {

struct ServiceEntry {
  std::string name;
  std::string host;
  std::uint16_t port = 0;
  std::optional<std::int64_t> weight, max_fails;
  std::optional<Duration> fail_timeout;
  std::optional<bool> backup;
  std::string metadata_json = "{}";
  std::string config;  ///< its settings; relative to the services file; "" = not stated
};

/// All entries, in order. Errors name the place ("'services[1].port' must be ..."); two entries of one name are one. Keys that
/// begin with '_' or '$' are comments.
[[nodiscard]] Result<std::vector<ServiceEntry>> read_services_file(const nlohmann::json& file);

/// Those whose host is one of `own_names`: names compare without case, addresses as addresses. Errors: none is, which lists
/// the hosts that there are; two of them need the same port (each takes its own and the next one).
[[nodiscard]] Result<std::vector<ServiceEntry>> services_of_host(const std::vector<ServiceEntry>& entries,
                                                                 const std::vector<std::string>& own_names);

/// Is `host` one of `own_names`, compared as above?
[[nodiscard]] bool is_own_host(std::string_view host, const std::vector<std::string>& own_names);

/// Those with one of `names`, in the order of the file; no names: all. Error: a name that none has.
[[nodiscard]] Result<std::vector<ServiceEntry>> named_services(const std::vector<ServiceEntry>& entries,
                                                               const std::vector<std::string>& names);

}  // namespace svc
