// The control thread's part of the router: knows the fleet (discovery, names, probes), makes the routing table and
// hands it to the data threads, and answers the router's own pages.
//
// Everything runs on the io_context given; only the calls of ControlPort and draining() may come from other threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "common/core/result.hpp"
#include "router/io/control_port.hpp"

namespace boost::asio {
class io_context;
}

namespace svc::router {

class AccessLog;
class OutlierBoard;
class PrefixBook;
class RoutingTable;
class WaitQueues;
struct RouterSettings;
struct ThreadStats;

/// What the control plane stands on. All that is pointed to outlives it.
struct ControlParts {
  /// A new table for the data threads. On the control thread; must return at once.
  std::function<void(std::shared_ptr<const RoutingTable>)> publish;
  /// Declared hung: requests that wait for its first byte should try elsewhere. On the control thread.
  std::function<void(std::shared_ptr<UpstreamLive>)> hung;
  std::vector<const ThreadStats*> threads;  ///< one per data thread; their number is what UpstreamLive is made for
  WaitQueues* queues = nullptr;
  OutlierBoard* outliers = nullptr;       ///< never null: good probes are noted there
  const AccessLog* access_log = nullptr;  ///< for its metric; may be null
  PrefixBook* prefix = nullptr;           ///< may be null
};

class ControlPlane : public ControlPort {
 public:
  ControlPlane(boost::asio::io_context& io, RouterSettings settings, ControlParts parts);
  ~ControlPlane() override;  ///< after stop(), when the io_context has run out of work
  ControlPlane(const ControlPlane&) = delete;
  ControlPlane& operator=(const ControlPlane&) = delete;

  /// Reads secrets and the kept view, takes in the static services, publishes a first table before it returns, and
  /// starts discovery and probes. `listen_port` is the bound one: this router's own addresses with it are refused as
  /// upstreams. Errors: TLS or token files.
  Result<void> start(std::uint16_t listen_port);
  /// Static services, methods, intervals, policies, tokens. On an error everything is as before.
  Result<void> reload(const RouterSettings& fresh);
  /// /health, /status and /ready say 503 from now on. Discovery and probes go on: requests are still being finished.
  void begin_drain();
  /// Cancels everything; the io_context runs out of this object's work.
  void stop();

  /// Any thread.
  [[nodiscard]] bool draining() const;

  // ControlPort. Any thread.
  void own_request(OwnRequest request, std::function<void(OwnAnswer)> reply) override;
  void health_changed(const std::shared_ptr<UpstreamLive>& live) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace svc::router
