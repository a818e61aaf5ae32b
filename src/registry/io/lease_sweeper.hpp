// The registry's clock work: tells the state about the time (once a second and whenever a lease may run out), and sweeps
// stale services every cleanup interval.
#pragma once

#include "common/io/random.hpp"
#include "common/io/task_group.hpp"
#include "registry/io/change_writer.hpp"

namespace svc::registry {

class LeaseSweeper {
 public:
  LeaseSweeper(asio::any_io_executor executor, RegistryState& state, ChangeWriter& writer, StoreThread& store,
               EventPublisher& publisher, Random& random, Duration cleanup_interval);

  void start(TaskGroup& tasks);
  void set_cleanup_interval(Duration interval);
  void stop();

 private:
  asio::awaitable<void> watch_leases();
  asio::awaitable<void> sweep_regularly();
  asio::awaitable<void> remove(Change change);
  void sweep();

  RegistryState& state_;
  ChangeWriter& writer_;
  StoreThread& store_;
  EventPublisher& publisher_;
  Random& random_;
  Duration cleanup_interval_;
  Timer tick_;
  Timer sweep_;
  TaskGroup* tasks_ = nullptr;
  TimePoint reserved_{};
  bool on_hold_ = false;
  bool stopped_ = false;
  Logger log_{"registry"};
};

}  // namespace svc::registry
