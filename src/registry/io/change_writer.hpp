// Durable changes: plan against the state, store, then apply, so that nothing is visible or acknowledged before it is on
// the disk. At most one change per name is in flight; changes of different names share commits (StoreThread groups them).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/io/log.hpp"
#include "registry/core/registry_state.hpp"
#include "registry/io/event_publisher.hpp"
#include "registry/io/registry_metrics.hpp"
#include "registry/io/store_thread.hpp"

namespace svc::registry {

class ChangeWriter {
 public:
  /// Judges the command at the moment when no other change of the name is in flight.
  using Plan = std::function<Result<Change>(RegistryState&, TimePoint now, InFlight in_flight)>;

  ChangeWriter(asio::any_io_executor executor, RegistryState& state, StoreThread& store, EventPublisher& publisher,
               RegistryMetrics& metrics);

  /// Returns the change once it is durable and applied. Errors: the plan's; unavailable (retryable) when the store failed,
  /// and then nothing was changed.
  asio::awaitable<Result<Change>> run(std::string name, Plan plan);

  /// Returns when no change of the name is in flight: whoever renews a lease waits for a removal that is being stored.
  asio::awaitable<void> settle(std::string_view name);
  bool settled(std::string_view name) const { return in_flight_.empty() || !in_flight_.contains(std::string(name)); }

  /// Of the last commit: "" when it went well.
  const std::string& last_store_error() const { return last_error_; }

 private:
  /// Ends the turn that take_turn() gave, however the change ends.
  class Turn {
   public:
    Turn(ChangeWriter& writer, const std::string& name) : writer_(writer), name_(name) {}
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    ChangeWriter& writer_;
    const std::string& name_;
  };

  asio::awaitable<void> take_turn(const std::string& name);
  asio::awaitable<Result<void>> store(StoreOp operation);
  asio::awaitable<Result<void>> carry_out(const Change& change);

  asio::any_io_executor executor_;
  RegistryState& state_;
  StoreThread& store_;
  EventPublisher& publisher_;
  RegistryMetrics& metrics_;
  std::unordered_map<std::string, std::vector<std::shared_ptr<Timer>>> in_flight_;  ///< by name: who waits for its turn
  InFlight coming_;  ///< of the changes that are being stored
  std::string last_error_;
  Logger log_{"store"};
};

}  // namespace svc::registry
