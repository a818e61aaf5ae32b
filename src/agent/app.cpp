#include "agent/app.hpp"

#include <algorithm>
#include <csignal>
#include <list>
#include <map>
#include <optional>

#include "agent/config.hpp"
#include "agent/core/registration.hpp"
#include "agent/io/admin_api.hpp"
#include "agent/io/agent_metrics.hpp"
#include "agent/io/cgroup_parent.hpp"
#include "agent/io/child_watch.hpp"
#include "agent/io/instance.hpp"
#include "agent/io/program_folder.hpp"
#include "agent/io/start_teller.hpp"
#include "agent/secrets.hpp"
#include "common/io/blocking_worker.hpp"
#include "common/io/log_limit.hpp"
#include "common/io/port_file.hpp"
#include "common/io/random.hpp"
#include "common/version.hpp"

namespace svc::agent {
namespace {

std::string product() { return "infinilm-agent/" + std::string(kVersion); }

/// A service and its pages.
struct Hosted {
  Hosted(AgentParts& parts, ServiceSettings settings) : instance(parts, std::move(settings)) {}
  Instance instance;
  std::optional<HttpServer> pages;
};

class AgentApp : public DaemonApp {
 public:
  AgentApp(asio::io_context& io, AgentSettings settings)
      : executor_(io.get_executor()),
        settings_(std::move(settings)),
        resolver_(executor_),
        engines_(executor_, resolver_, product()),
        registry_(executor_, resolver_, product()),
        log_reader_(executor_),
        tasks_(executor_, [this](const char* task, const std::string& what) { task_failed(task, what); }),
        stops_(executor_, [this](const char* task, const std::string& what) { task_failed(task, what); }),
        gpu_(executor_),
        parts_{executor_, engines_, registry_, random_, tasks_, gpu_, settings_.state_dir, "", false, "", 0, 0, {}} {}

  Result<void> bind() override {
    if (auto ready = load_secrets(settings_); !ready) {
      return ready;
    }
    add_program_folder_to_path();
    children_.emplace(executor_);
    parts_.outlive_agent = settings_.on_agent_death == "keep";
    parts_.cgroup_parent = writable_cgroup();
    parts_.log_max_bytes = settings_.engine_log_max_bytes;
    parts_.log_max_files = settings_.engine_log_max_files;
    parts_.log_max_age = settings_.engine_log_max_age;
    for (const auto& service : settings_.all) {
      auto& hosted = hosted_.emplace_back(parts_, service);
      hosted.instance.set_engine_key(engine_keys_[service.name]);
      if (auto ready = hosted.instance.prepare(); !ready) {
        return wrap("service '" + service.name + "'", ready.error());
      }
      open_pages(hosted);
      if (auto bound = hosted.pages->bind({settings_.bind, static_cast<std::uint16_t>(service.port + 1)}); !bound) {
        return wrap("service '" + service.name + "'", bound.error());
      }
    }
    return {};
  }

  Result<void> start() override {
    for (auto& hosted : hosted_) {
      if (const auto& service = hosted.instance.settings(); is_out_of_reach(service)) {
        log_.warn("others will look for the service on their own machine: --host says at what address they reach it",
                  {{"service", service.name}, {"host", service.host}, {"registry", service.registry_url}});
      }
      hosted.instance.on_change([this](const Instance& changed) { follow(changed); });
      hosted.pages->start();
      hosted.instance.start();
    }
    log_.info("supervising", {{"services", hosted_.size()},
                              {"pages", hosted_.front().pages->port()},
                              {"cgroup", parts_.cgroup_parent},
                              {"on_agent_death", settings_.on_agent_death},
                              {"version", kVersion}});
    return write_port_file(settings_.port_file, hosted_.front().pages->port());
  }

  bool ready_later(SdNotify& systemd, std::function<void()> ready) override {
    const auto facts = [this] {
      std::vector<StartFacts> all;
      for (const auto& hosted : hosted_) {
        all.push_back(hosted.instance.start_facts());
      }
      return all;
    };
    start_teller_.emplace(executor_, systemd, facts, std::move(ready));
    start_teller_->start(tasks_);
    return true;
  }

  Result<void> reload(const DaemonConfig& fresh) override {
    const auto& config = static_cast<const AgentConfig&>(fresh).settings();
    if (auto ready = load_secrets(config); !ready) {
      return ready;
    }
    for (auto& hosted : hosted_) {
      hosted.instance.reopen_log();
      hosted.instance.set_registry_token(parts_.registry_token);
      const auto key = engine_keys_.find(hosted.instance.settings().name);
      if (key != engine_keys_.end()) {
        hosted.instance.set_engine_key(key->second);
      }
      hosted.pages->set_limits(config.http);
    }
    log_.info("tokens, certificates and limits reloaded; what the services are made of changes with a restart");
    return {};
  }

  asio::awaitable<void> drain(Deadline deadline) override {
    start_teller_->stop();
    log_.info("stopping the services", {{"services", hosted_.size()}});
    // All at once: the time of the slowest, not the sum.
    for (auto& hosted : hosted_) {
      stops_.spawn("stop", hosted.instance.shut_down(deadline));
    }
    co_await stops_.join();
    for (auto& hosted : hosted_) {
      co_await hosted.pages->drain(Deadline::earlier_of(deadline, Deadline::after(steady_now(), kPagesDrain)));
    }
  }

  void stop() override {
    if (start_teller_) {
      start_teller_->stop();
    }
    for (auto& hosted : hosted_) {
      hosted.instance.abandon();
      if (hosted.pages) {
        hosted.pages->stop();
      }
    }
    gpu_.stop();
    if (children_) {
      children_->stop();
    }
    for (TaskGroup* group : {&tasks_, &stops_}) {
      group->close();
      group->cancel();
    }
  }

  ExitCode exit_code() const override { return gave_up_ ? ExitCode::failed : ExitCode::ok; }

 private:
  static constexpr Duration kPagesDrain = std::chrono::seconds(1);

  void task_failed(const char* task, const std::string& what) {
    log_.error("a task ended with an exception", {{"task", task}, {"error", what}});
  }

  void open_pages(Hosted& hosted) {
    HttpServerHooks hooks;
    hooks.authorize = [this](const HttpRoute& route, const HttpRequest& request) {
      return auth_.refusal(route.access, request);
    };
    hooks.on_bug = [this](const std::string& what) { log_.error("a page failed unexpectedly", {{"error", what}}); };
    hooks.on_trouble = [this](const std::string& what) {
      if (const auto pass = trouble_limit_.check(steady_now())) {
        log_.warn("cannot accept connections for the moment", {{"error", what}, {"lines_held_back", pass->suppressed}});
      }
    };
    hooks.random = [this] { return random_(); };
    metrics_.follow(hosted.instance);
    hosted.pages.emplace(
        executor_, product(),
        admin_routes(executor_, hosted.instance, engines_, metrics_.all(), log_reader_, {settings_.compat_health}),
        std::move(hooks));
    hosted.pages->set_limits(settings_.http);
    hosted.pages->set_tls(server_tls_);
  }

  /// --exit-on-failed: when no service is left that may still run.
  void follow(const Instance&) {
    if (!settings_.exit_on_failed || gave_up_) {
      return;
    }
    for (const auto& hosted : hosted_) {
      if (!hosted.instance.failed_for_good()) {
        return;
      }
    }
    gave_up_ = true;
    start_teller_->stop();  // a start that ends so is none
    log_.error("every service has failed for good: ending, as exit_on_failed says");
    std::raise(SIGTERM);  // the usual way out, with its drain
  }

  /// The system's certificates take as much memory as the rest of the agent.
  Result<void> load_secrets(const AgentSettings& config) {
    auto secrets = read_secrets(config);
    if (!secrets) {
      return secrets.error();
    }
    engine_keys_ = std::move(secrets->engine_keys);
    server_tls_ = std::move(secrets->server_tls);
    auth_ = std::move(secrets->auth);
    registry_.set_tls(std::move(secrets->client_tls));
    parts_.registry_token = std::move(secrets->registry_token);
    for (auto& hosted : hosted_) {
      hosted.pages->set_tls(server_tls_);
    }
    return {};
  }

  asio::any_io_executor executor_;
  AgentSettings settings_;  ///< as at the start; a reload changes the parts, not this
  Random random_;
  Resolver resolver_;
  HttpClient engines_;
  HttpClient registry_;
  BlockingWorker log_reader_;
  AgentMetrics metrics_;
  BearerAuth auth_;
  TlsContext server_tls_;
  std::map<std::string, std::string> engine_keys_;  ///< by service; secret
  LogLimiter trouble_limit_{1, 0.1};
  Logger log_{"agent"};
  std::optional<ChildWatch> children_;
  TaskGroup tasks_;
  TaskGroup stops_;  ///< of the services; not the drain's own, since a second signal ends that before them
  GpuMemory gpu_;
  AgentParts parts_;
  std::list<Hosted> hosted_;  ///< they refer to all of the above
  std::optional<StartTeller> start_teller_;
  bool gave_up_ = false;
};

}  // namespace

DaemonDefinition agent_daemon() {
  DaemonDefinition daemon = agent_configuration();
  daemon.make_app = [](asio::io_context& io, const DaemonConfig& config) {
    return std::make_unique<AgentApp>(io, static_cast<const AgentConfig&>(config).settings());
  };
  daemon.check_files = [](const DaemonConfig& config) -> Result<void> {
    auto secrets = read_secrets(static_cast<const AgentConfig&>(config).settings());
    return secrets ? Result<void>() : secrets.error();
  };
  return daemon;
}

}  // namespace svc::agent
