// The agent's pages on port+1 of each service: /health /models /info as the earlier agents had them, /status /logs /metrics, POST
// /restart /drain. Nothing that arrives here becomes part of a command or a path: bodies of POST are not even looked at.
#pragma once

#include "agent/io/instance_view.hpp"
#include "common/io/blocking_worker.hpp"
#include "common/io/http_client.hpp"
#include "common/io/http_server.hpp"
#include "common/io/metrics.hpp"

namespace svc::agent {

struct AdminApiSettings {
  bool compat_health = false;  ///< /health is always 200
};

/// The routes of one service's server. `instance`, `client` (towards the engine), `metrics` and `reader` (of the log,
/// whose disk may hang) must outlive the server.
HttpRoutes admin_routes(asio::any_io_executor executor, InstancePages& instance, HttpClient& client, Metrics& metrics,
                        BlockingWorker& reader, AdminApiSettings settings);

}  // namespace svc::agent
