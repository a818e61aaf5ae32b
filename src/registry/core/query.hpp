// Filters of GET /services. Unknown parameters are ignored, as existing clients expect.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/core/clock.hpp"
#include "common/core/query_string.hpp"
#include "common/core/result.hpp"
#include "registry/core/event_log.hpp"

namespace svc::registry {

struct ServiceFilter {
  std::optional<std::string> status, type, model, host;  ///< equal to; host matches `host` or `hostname`
  std::optional<bool> healthy;                           ///< "true" in any case is true, anything else false

  bool operator==(const ServiceFilter&) const = default;
};

/// How a list call wants to wait.
struct WatchRequest {
  Duration wait{};  ///< 0: answer at once
  std::optional<Revision> since;
  std::optional<std::string> epoch;  ///< the boot that `since` belongs to; another one means resync
  bool changes_only = false;         ///< `changes=true`: answer events instead of the whole list

  bool operator==(const WatchRequest&) const = default;
};

struct ListRequest {
  ServiceFilter filter;
  WatchRequest watch;
  std::string filter_key;  ///< canonical text of the filter: equal filters have equal keys

  bool operator==(const ListRequest&) const = default;
};

inline constexpr Duration kMaxWait = std::chrono::seconds(60);

/// status, healthy, type, model, host; wait ("30s", "500ms", "30"; capped at kMaxWait), since, epoch, changes. An empty value counts
/// as absent, except for `healthy`.
/// Errors: invalid_argument for a wait or since that cannot be read ("'since' must be a whole number, got \"abc\"").
Result<ListRequest> parse_list_request(const QueryString& query);

/// Of DELETE /services/{name}; nullopt when absent or empty. Error as for `since`.
Result<std::optional<std::uint64_t>> parse_generation(const QueryString& query);

}  // namespace svc::registry
