// The loads that registry-load can put on a registry. Each runs on one thread, within bounds, and returns its report.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bench/registry_load/connection.hpp"
#include "bench/registry_load/report.hpp"
#include "common/core/clock.hpp"
#include "common/core/result.hpp"
#include "common/io/asio_aliases.hpp"

namespace svc::bench {

struct Options {
  std::string host = "127.0.0.1";  ///< an address of this machine's loopback; nothing else is accepted
  std::uint16_t port = 0;
  int pid = 0;              ///< the registry's process, to measure its CPU; 0 = do not
  int limit_seconds = 120;  ///< a run that takes longer has failed

  std::size_t count = 10'000;     ///< register: services
  std::size_t connections = 64;   ///< register, heartbeat
  std::size_t names = 10'000;     ///< heartbeat: services to send them for, in turn
  double seconds = 10;            ///< heartbeat: length; reconnect: what counts as in time
  std::size_t requests = 50;      ///< list
  std::string query;              ///< list: "healthy=true"
  std::size_t watchers = 100;     ///< watch
  std::size_t updates = 50;       ///< watch
  bool changes = false;           ///< watch: follow changes instead of reading the list anew
  std::size_t agents = 10'000;    ///< reconnect
  double spread = 0;              ///< reconnect: agents start within this many seconds, 0 = all at once
  double started_at = 0;          ///< ready: when the registry was started, seconds since 1970
  std::size_t expected = 10'000;  ///< ready: services that must be there
};

using Report = Result<std::string>;  ///< one line of JSON

Report run_register(const Options& options);
Report run_heartbeat(const Options& options);
Report run_list(const Options& options);
Report run_watch(const Options& options);
Report run_reconnect(const Options& options);
Report run_ready(const Options& options);

/// Name of the n-th registered service.
std::string service_name(std::size_t number);

/// One loop with the coroutines of a load. What they refer to must be declared before it.
class Run {
 public:
  explicit Run(const Options& options) : options_(options), loop_(1) {}

  asio::any_io_executor executor() { return loop_.get_executor(); }
  void spawn(asio::awaitable<void> task);
  /// The first failure ends the run: a load that partly failed has measured nothing.
  void fail(Error error);
  bool failed() const { return error_.has_value(); }
  /// Until every task has ended. Errors: the first fail(), timed_out after options.limit_seconds.
  Result<void> finish();

 private:
  const Options& options_;
  std::optional<Error> error_;
  asio::io_context loop_;
};

tcp::endpoint peer_of(const Options& options);
/// "WHAT was answered 404".
Error unexpected(std::string_view what, const Answer& answer);
/// One call on a connection of its own, for what happens beside a measurement.
Result<Answer> call_once(const Options& options, const std::string& request);
/// What GET /health counts.
Result<std::size_t> healthy_services(const Options& options);

}  // namespace svc::bench
