// What the data threads ask of the control thread. Implemented by the control plane; every call may come from any thread and
// returns at once.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "router/core/upstream.hpp"

namespace svc::router {

/// A request for one of the router's own pages (GET /health, /status, /services, /stats, /models, /v1/models,
/// /v1/models/{id}, /metrics, /ready, /explain).
struct OwnRequest {
  std::string method, path, query;  ///< path is percent-encoded as it came
  std::string authorization;
  std::string client_address;
  std::string session_header;  ///< value, for /explain
};

struct OwnAnswer {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::string extra_fields;  ///< "Allow: GET\r\n"
};

class ControlPort {
 public:
  virtual ~ControlPort() = default;
  /// `reply` is called once, on the control thread.
  virtual void own_request(OwnRequest request, std::function<void(OwnAnswer)> reply) = 0;
  /// The upstream failed, or came back, in the data path: its verdict or ejection changed. The table is made anew and the
  /// upstream probed soon.
  virtual void health_changed(const std::shared_ptr<UpstreamLive>& live) = 0;
  /// Ejections, retries and the like are logged by the control thread, limited.
};

/// Does the router answer this path itself? Any method: others than GET and HEAD are 405 (OPTIONS 204).
[[nodiscard]] bool is_own_path(std::string_view path);

}  // namespace svc::router
