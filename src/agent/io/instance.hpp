// One supervised service: feeds its InstanceMachine, carries out its actions (shim, probes, registry), and answers its HTTP pages.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "agent/core/instance_machine.hpp"
#include "agent/core/registration.hpp"
#include "agent/core/service_settings.hpp"
#include "agent/core/start_report.hpp"
#include "agent/io/instance_view.hpp"
#include "agent/io/load_meter.hpp"
#include "agent/io/registry_link.hpp"
#include "agent/io/shim_client.hpp"
#include "common/io/http_client.hpp"
#include "common/io/task_group.hpp"

namespace svc::agent {

/// What all instances of one agent share. Outlives them.
struct AgentParts {
  asio::any_io_executor executor;
  HttpClient& client;    ///< towards the engines: any address
  HttpClient& registry;  ///< towards the registry: with the configured TLS
  Random& random;
  TaskGroup& tasks;
  GpuMemory& gpu;
  std::string state_dir;
  std::string registry_token;
  bool outlive_agent = false;
  std::string cgroup_parent;
  std::uint64_t log_max_bytes = 50'000'000;
  unsigned log_max_files = 5;
  Duration log_max_age{};
  SystemReadings readings{};
};

class Instance : public InstancePages {
 public:
  Instance(AgentParts& parts, ServiceSettings settings);
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;
  ~Instance() override;  ///< after ended(), or when never started

  /// Files and lock. Error: another agent runs this service, the state directory cannot be written, the command is wrong.
  Result<void> prepare();
  /// Begins to work: adopts what an earlier agent left, or starts.
  void start();
  /// Drain, stop, unregister. Returns when nothing is left, at the latest shortly after the deadline.
  asio::awaitable<void> shut_down(Deadline deadline);
  /// At once, without waiting: the shim is told to kill what runs, and nobody looks whether it did.
  void abandon();

  void restart() override;
  void drain() override;
  void reopen_log();
  void set_registry_token(const std::string& token);
  void set_engine_key(std::string key);  ///< "" = none

  const ServiceSettings& settings() const override;
  EngineAccess engine() const override;
  InstanceView view() const override;
  bool failed_for_good() const;
  StartFacts start_facts() const;
  /// Called whenever the state changes.
  void on_change(std::function<void(const Instance&)> callback);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace svc::agent
