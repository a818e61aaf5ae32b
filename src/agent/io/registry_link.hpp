// Carries out one name's LeaseKeeper against the registry.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "agent/core/lease_keeper.hpp"
#include "common/core/http_url.hpp"
#include "common/io/http_client.hpp"
#include "common/io/log.hpp"
#include "common/io/log_limit.hpp"
#include "common/io/random.hpp"
#include "common/io/task_group.hpp"

namespace svc::agent {

/// One thread, the executor's. Must outlive its task.
class RegistryLink {
 public:
  struct Bodies {
    std::function<std::string()> registration;  ///< asked anew for every call; JSON objects
    std::function<std::string()> heartbeat;
  };
  /// `registry_url` "": nothing is ever sent, gone() is at once. `token` "": no Authorization.
  RegistryLink(asio::any_io_executor executor, HttpClient& client, Random& random, std::string registry_url,
               std::string token, std::string name, Duration interval, Bodies bodies);

  void start(TaskGroup& tasks);
  void want();       ///< register (again): something of the registration changed
  void want_gone();  ///< unregister; nothing is sent for a name that never was registered
  /// An earlier agent may have registered the name: want_gone() unregisters it.
  void assume_enrolled() {
    if (registry_) keeper_.assume_enrolled();
  }
  void hurry();  ///< the status changed: heartbeat now
  void set_token(std::string token) { token_ = std::move(token); }
  /// No more calls; the task ends. A call in progress ends by the cancellation of the tasks, at the latest by its own
  /// time-out.
  void stop();

  /// Returns when the name is withdrawn (true), at the deadline, or when it is stopped. One waiter at a time.
  asio::awaitable<bool> gone(Deadline deadline);

  bool enrolled() const { return keeper_.enrolled(); }
  unsigned failures_in_a_row() const { return keeper_.failures_in_a_row(); }

 private:
  asio::awaitable<void> run();
  asio::awaitable<void> carry_out(LeaseCall call);
  [[nodiscard]] HttpCall call_for(LeaseCall call) const;
  [[nodiscard]] LeaseReply judge(const Result<HttpReply>& reply) const;
  void take(LeaseCall call, const Result<HttpReply>& reply, TimePoint now);
  void note_answer(LeaseCall call, TimePoint now);
  void note_success(LeaseCall call, bool was_enrolled, TimePoint now);
  void note_failure(LeaseCall call, const std::string& reason, TimePoint now);
  void note_refusal(LeaseCall call, const std::string& reason, TimePoint now);

  HttpClient& client_;
  Random& random_;
  std::optional<HttpUrl> registry_;  ///< without a slash at its end; nullopt = there is none
  std::string token_, name_;
  Bodies bodies_;
  LeaseKeeper keeper_;
  Timer wake_;     ///< run() waits for the next call
  Timer settled_;  ///< gone() waits for the withdrawal
  Logger log_{"registry-link"};
  LogLimiter limit_{3, 0.1};
  std::optional<TimePoint> failing_since_;
  /// Of the last registration that the registry has answered; it goes with every later call. nullopt: none was answered,
  /// or the registry knows of no generations.
  std::optional<std::uint64_t> generation_;
  bool stopped_ = false;
};

}  // namespace svc::agent
