// Durable changes: plan against the state, store, then apply, so that nothing is visible or acknowledged before it is on
// the disk. At most one change per name is in flight; changes of different names share commits (StoreThread groups them).
// A disk that hangs keeps nobody waiting for ever, and no lease from being renewed.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/io/log.hpp"
#include "common/io/task_group.hpp"
#include "registry/core/registry_state.hpp"
#include "registry/io/event_publisher.hpp"
#include "registry/io/registry_metrics.hpp"
#include "registry/io/store_thread.hpp"

namespace svc::registry {

class ChangeWriter {
 public:
  /// Judges the command at the moment when no other change of the name is in flight.
  using Plan = std::function<Result<Change>(RegistryState&, TimePoint now, InFlight in_flight)>;

  /// How long a change waits for the store, in all.
  static constexpr Duration kPatience = std::chrono::seconds(10);

  ChangeWriter(asio::any_io_executor executor, RegistryState& state, StoreThread& store, EventPublisher& publisher,
               RegistryMetrics& metrics, TaskGroup& tasks);

  /// Returns the change once it is durable and applied. Errors: the plan's; unavailable (retryable) when the store failed,
  /// and then nothing was changed, or did not answer in time: what was begun is then carried out when it does.
  asio::awaitable<Result<Change>> run(std::string name, Plan plan);

  /// Returns when no change of the name is in flight, or false: not within kPatience.
  asio::awaitable<bool> settle(std::string_view name);
  bool settled(std::string_view name) const { return in_flight_.empty() || !in_flight_.contains(std::string(name)); }
  /// Neither a removal of it, nor its first registration, is being stored: whoever renews its lease has to wait for these,
  /// and for nothing else.
  bool renewable(std::string_view name) const {
    const auto found = in_flight_.empty() ? in_flight_.end() : in_flight_.find(std::string(name));
    return found == in_flight_.end() || found->second.is_update;
  }

  /// Of the last commit: "" when it went well.
  const std::string& last_store_error() const { return last_error_; }

 private:
  struct Place {
    bool is_update = false;                       ///< of a service that is there, and stays
    std::vector<std::shared_ptr<Timer>> waiting;  ///< for their turn
  };
  struct Work;

  asio::awaitable<bool> settle_until(std::string_view name, TimePoint until);
  asio::awaitable<void> carry_out(std::shared_ptr<Work> work);
  asio::awaitable<Result<void>> apply(const Change& change);
  asio::awaitable<Result<void>> store(StoreOp operation);
  Error no_answer();
  void end_turn(const std::string& name);
  void note_failure(const char* what, const std::string& why);

  asio::any_io_executor executor_;
  RegistryState& state_;
  StoreThread& store_;
  EventPublisher& publisher_;
  RegistryMetrics& metrics_;
  TaskGroup& tasks_;
  std::unordered_map<std::string, Place> in_flight_;  ///< by name
  InFlight coming_;                                   ///< of the changes that are being stored
  std::string last_error_;
  Logger log_{"store"};
};

}  // namespace svc::registry
