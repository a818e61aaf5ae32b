#include "router/app.hpp"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <optional>
#include <vector>

#include "common/core/hex_text.hpp"
#include "common/io/asio_aliases.hpp"
#include "common/io/listen_error.hpp"
#include "common/io/port_file.hpp"
#include "common/io/random.hpp"
#include "common/io/token_file.hpp"
#include "common/version.hpp"
#include "router/config.hpp"
#include "router/io/access_log.hpp"
#include "router/io/control_plane.hpp"
#include "router/io/data_thread.hpp"
#include "router/io/listener.hpp"
#include "router/io/open_file_limit.hpp"
#include "router/io/secrets.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;

constexpr int kBacklog = 4096;
// Keep-alive clients that send nothing get this long, while the router drains, to send one more request and be told to
// reconnect; closing at once would meet some of those requests half-way.
constexpr Duration kIdleGrace = 2s;
// How long a start waits for the registry's first list, and for the addresses of names, before it answers without.
constexpr Duration kFirstView = 900ms;

std::size_t usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) {
    return 1;
  }
  return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
}

/// What is known is enough for a first request.
bool is_settled(const RoutingTable& table) {
  const auto& upstreams = table.upstreams();
  return table.view_known() &&
         std::none_of(upstreams.begin(), upstreams.end(), [](const Upstream& one) { return one.addresses.empty(); });
}

std::string make_pseudonym(Random& random) {
  std::string name = "infinilm-router-";
  append_hex(name, random(), 12);
  return name;
}

class RouterApp : public DaemonApp {
 public:
  RouterApp(asio::io_context& io, RouterSettings settings)
      : io_(io),
        settings_(within_the_open_file_limit(std::move(settings))),
        access_log_(std::max<std::size_t>(1, settings_.threads == 0 ? usable_cores() : settings_.threads)) {
    const std::size_t threads = settings_.threads == 0 ? usable_cores() : settings_.threads;
    ControlParts parts;
    parts.publish = [this](std::shared_ptr<const RoutingTable> table) {
      plane_->prefix.publish(table);
      settled_ = settled_ || is_settled(*table);
      for (auto& thread : threads_) {
        thread->publish(table);
      }
      if (settled_ && started_) {
        begin_accepting();
      }
    };
    parts.hung = [this](std::shared_ptr<UpstreamLive> live) {
      for (auto& thread : threads_) {
        thread->declare_hung(live);
      }
    };
    plane_.emplace(control_, access_log_, make_pseudonym(random_), steady_now(), settings_.queue);
    for (std::size_t i = 0; i < threads; ++i) {
      threads_.push_back(std::make_unique<DataThread>(*plane_, i, random_()));
      parts.threads.push_back(&threads_.back()->stats());
    }
    parts.queues = &plane_->queues;
    parts.outliers = &plane_->outliers;
    parts.access_log = &access_log_;
    parts.prefix = &plane_->prefix;
    control_.made = std::make_unique<ControlPlane>(io_, settings_, std::move(parts));
  }

  Result<void> bind() override {
    auto secrets = load_secrets(settings_, nullptr);
    if (!secrets) {
      return secrets.error();
    }
    data_settings_ = *std::move(secrets);
    const auto address = IpAddress::parse(settings_.host);
    if (!address) {
      return invalid("host: '" + settings_.host + "' is not an IP address to listen on");
    }
    port_ = settings_.port;
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      const int fd = open_listener(*address, port_, kBacklog);
      if (fd < 0) {
        return listen_error({settings_.host, port_}, errno);
      }
      port_ = bound_port(fd);
      listeners_.push_back(fd);
    }
    return {};
  }

  Result<void> start() override {
    access_log_.configure(parse_access_log_form(settings_.access_log), settings_.access_log_sample);
    access_log_.start();
    if (auto started = control_.made->start(port_); !started) {
      return started;
    }
    started_ = true;
    if (settled_ || (settings_.registry_url.empty() && settings_.static_upstreams.empty())) {
      begin_accepting();
    } else {
      // The kernel takes connections in already; they wait a moment rather than be told that nothing is known.
      first_view_.expires_after(kFirstView);
      first_view_.async_wait([this](boost::system::error_code error) {
        if (!error) begin_accepting();
      });
    }
    log_.info("listening", {{"host", settings_.host},
                            {"port", port_},
                            {"threads", threads_.size()},
                            {"method", settings_.load_balancing_method},
                            {"registry", settings_.registry_url},
                            {"tls", settings_.tls.serves()},
                            {"api_keys", data_settings_->keys->size()},
                            {"version", kVersion}});
    return write_port_file(settings_.port_file, port_);
  }

  Result<void> reload(const DaemonConfig& fresh) override {
    const RouterSettings config = within_the_open_file_limit(static_cast<const RouterConfig&>(fresh).settings());
    auto secrets = load_secrets(config, data_settings_.get());
    if (!secrets) {
      return secrets.error();
    }
    if (auto taken = control_.made->reload(config); !taken) {
      return taken;
    }
    data_settings_ = *std::move(secrets);
    plane_->queues.reconfigure(config.queue);
    access_log_.configure(parse_access_log_form(config.access_log), config.access_log_sample);
    for (auto& thread : threads_) {
      thread->reconfigure(data_settings_);
    }
    for (const char* key : fixed_settings_changed(config)) {
      log_.warn("a changed setting takes effect only after a restart", {{"setting", key}});
    }
    log_.info("configuration reloaded");
    return {};
  }

  asio::awaitable<void> drain(Deadline deadline) override {
    log_.info("draining");
    begin_accepting();  // a drain begins with threads that run
    control_.made->begin_drain();
    // Shared: a thread may report after the time is up and this frame is gone.
    struct Progress {
      explicit Progress(asio::io_context& io, std::size_t threads) : done(io), left(threads) {}
      Timer done;
      std::size_t left;
    };
    const auto progress = std::make_shared<Progress>(io_, threads_.size());
    progress->done.expires_at(deadline.when());
    const Duration grace = std::min<Duration>(kIdleGrace, deadline.left(steady_now()) / 2);
    for (auto& thread : threads_) {
      thread->drain(grace, [this, progress] {
        asio::post(io_, [progress] {
          if (--progress->left == 0) {
            progress->done.cancel();
          }
        });
      });
    }
    if (progress->left > 0) {
      co_await progress->done.async_wait(kTok);
    }
    if (progress->left > 0) {
      log_.warn("requests are still in progress at the end of drain_timeout: they are cut",
                {{"threads", progress->left}});
      stop_threads();
    }
  }

  void stop() override {
    stop_threads();
    access_log_.stop();
    if (control_.made != nullptr) {
      control_.made->stop();
    }
  }

 private:
  /// Forwards to the control plane, which is made after the data plane that needs it.
  struct Control final : ControlPort {
    void own_request(OwnRequest request, std::function<void(OwnAnswer)> reply) override {
      made->own_request(std::move(request), std::move(reply));
    }
    void health_changed(const std::shared_ptr<UpstreamLive>& live) override { made->health_changed(live); }
    std::unique_ptr<ControlPlane> made;
  };

  void begin_accepting() {
    first_view_.cancel();
    if (stopped_) {
      return;
    }
    for (std::size_t i = running_; i < threads_.size(); ++i) {
      threads_[i]->start(listeners_[i], data_settings_);
      running_ = i + 1;
    }
  }

  void stop_threads() {
    stopped_ = true;
    first_view_.cancel();
    for (std::size_t i = 0; i < running_; ++i) {
      threads_[i]->stop();
    }
    for (std::size_t i = running_; i < listeners_.size(); ++i) {
      close_listener(listeners_[i]);
    }
    running_ = 0;
    listeners_.clear();
  }

  std::vector<const char*> fixed_settings_changed(const RouterSettings& fresh) const {
    std::vector<const char*> changed;
    const auto compare = [&changed](const char* key, const auto& a, const auto& b) {
      if (a != b) {
        changed.push_back(key);
      }
    };
    compare("host", settings_.host, fresh.host);
    compare("port", settings_.port, fresh.port);
    compare("port_file", settings_.port_file, fresh.port_file);
    compare("threads", settings_.threads, fresh.threads);
    compare("state_dir", settings_.state_dir, fresh.state_dir);
    return changed;
  }

  asio::io_context& io_;
  RouterSettings settings_;  ///< as at the start
  Random random_;
  AccessLog access_log_;
  Control control_;
  std::optional<DataPlane> plane_;
  std::vector<std::unique_ptr<DataThread>> threads_;
  std::size_t running_ = 0;
  bool settled_ = false, started_ = false, stopped_ = false;
  Timer first_view_{io_};
  std::vector<int> listeners_;
  std::uint16_t port_ = 0;
  std::shared_ptr<const DataSettings> data_settings_;
  Logger log_{"router"};
};

}  // namespace

DaemonDefinition router_daemon() {
  DaemonDefinition daemon;
  daemon.cli = router_cli();
  daemon.make_config = [] { return std::make_unique<RouterConfig>(); };
  daemon.make_app = [](asio::io_context& io, const DaemonConfig& config) -> std::unique_ptr<DaemonApp> {
    return std::make_unique<RouterApp>(io, static_cast<const RouterConfig&>(config).settings());
  };
  daemon.check_files = [](const DaemonConfig& config) -> Result<void> {
    const auto& settings = static_cast<const RouterConfig&>(config).settings();
    if (auto secrets = load_secrets(settings, nullptr); !secrets) {
      return secrets.error();
    }
    auto token = read_token_file(settings.registry_token_file);
    return token ? Result<void>() : token.error();
  };
  return daemon;
}

}  // namespace svc::router
