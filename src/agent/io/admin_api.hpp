// The agent's pages on port+1 of each service: /health /models /info as the earlier agents had them, /status /logs /metrics, POST
// /restart /drain. Nothing that arrives here becomes part of a command or a path: bodies of POST are not even looked at.
#pragma once

#include "agent/io/instance_view.hpp"
#include "common/io/http_client.hpp"
#include "common/io/http_server.hpp"
#include "common/io/metrics.hpp"

namespace svc::agent {

struct AdminApiSettings {
  bool compat_health = false;  ///< /health is always 200
};

/// The routes of one service's server. `instance`, `client` (towards the engine) and `metrics` must outlive the server.
HttpRoutes admin_routes(asio::any_io_executor executor, InstancePages& instance, HttpClient& client, Metrics& metrics,
                        AdminApiSettings settings);

}  // namespace svc::agent
