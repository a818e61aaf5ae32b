// What the data threads share, and what they are told. All of it is immutable or thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "common/core/ip_address.hpp"
#include "common/io/tls.hpp"
#include "router/io/api_key_ring.hpp"
#include "router/io/outlier_board.hpp"
#include "router/io/prefix_book.hpp"
#include "router/io/retry_budget.hpp"
#include "router/io/router_settings.hpp"
#include "router/io/wait_queues.hpp"

namespace svc::router {

class AccessLog;
class ControlPort;

/// One configuration of the data path; a reload makes a new one.
struct DataSettings {
  RouterSettings settings;
  std::shared_ptr<const ApiKeyRing> keys;
  std::string upstream_authorization;  ///< "Bearer ..." or ""
  TlsContext server_tls, client_tls;
};

/// Connections by client address, over all threads. Only asked when there is a limit.
class ClientConnections {
 public:
  /// False: the address is at its limit; nothing was counted.
  bool enter(const IpAddress& client, std::size_t limit);
  void leave(const IpAddress& client);

 private:
  std::mutex lock_;
  std::unordered_map<std::string, std::size_t> open_;
};

struct DataPlane {
  DataPlane(ControlPort& control_port, AccessLog& log, std::string pseudonym_name, TimePoint now, QueueSettings queue)
      : control(control_port),
        access_log(log),
        pseudonym(std::move(pseudonym_name)),
        retry_budget(now),
        queues(queue) {}

  ControlPort& control;
  AccessLog& access_log;
  const std::string pseudonym;  ///< in Via
  RetryBudget retry_budget;
  OutlierBoard outliers;
  PrefixBook prefix;
  WaitQueues queues;
  ClientConnections clients;
  std::atomic<std::uint64_t> buffered_bytes{0};  ///< large request bodies in memory
  std::atomic<std::size_t> connections{0};
};

}  // namespace svc::router
