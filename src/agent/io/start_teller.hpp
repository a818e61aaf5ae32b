// Tells the service manager (systemd) how the start of an agent goes on, when it is over, and in its STATUS= how the
// services are from then on.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agent/core/start_report.hpp"
#include "common/io/sd_notify.hpp"
#include "common/io/task_group.hpp"

namespace svc::agent {

/// One thread. Must outlive its task.
class StartTeller {
 public:
  /// `facts`: asked for many times, since a registration is no change of a service's state. `ready`: called once, when the
  /// start is over. `systemd` must outlive the teller.
  StartTeller(asio::any_io_executor executor, SdNotify& systemd, std::function<std::vector<StartFacts>()> facts,
              std::function<void()> ready);

  void start(TaskGroup& tasks);
  void stop();  ///< nothing is told any more; the task ends

 private:
  asio::awaitable<void> run();
  void look();

  SdNotify& systemd_;
  std::function<std::vector<StartFacts>()> facts_;
  std::function<void()> ready_;
  Timer timer_;
  std::string said_;
  TimePoint extend_at_{};
  bool over_ = false;
  bool stopped_ = false;
};

}  // namespace svc::agent
