#include "registry/app.hpp"

#include <boost/asio/io_context.hpp>
#include <optional>

#include "common/core/hex_text.hpp"
#include "common/core/time_text.hpp"
#include "common/io/port_file.hpp"
#include "common/version.hpp"
#include "registry/config.hpp"
#include "registry/io/http_api.hpp"
#include "registry/io/lease_sweeper.hpp"
#include "registry/secrets.hpp"

namespace svc::registry {
namespace {

std::string make_epoch(Random& random) {
  std::string text;
  append_hex(text, random());
  return text;
}

bool loopback_only(const std::string& host) {
  const auto address = IpAddress::parse(host);
  return address && address->is_loopback();
}

class RegistryApp : public DaemonApp {
 public:
  RegistryApp(asio::io_context& io, RegistrySettings settings)
      : executor_(io.get_executor()),
        settings_(std::move(settings)),
        resolver_(executor_),
        client_(executor_, resolver_, "infinilm-registry/" + std::string(kVersion)),
        watchers_(executor_),
        publisher_(metrics_, watchers_),
        gate_(client_),
        tasks_(executor_, [this](const char* task, const std::string& what) {
          log_.error("a task ended with an exception", {{"task", task}, {"error", what}});
        }) {}

  Result<void> bind() override {
    if (auto ready = load_secrets(settings_); !ready) {
      return ready;
    }
    StoreContents contents;
    auto store = Store::open(settings_.state_db, iso8601(wall_now()), contents);
    if (!store) {
      return store.error();
    }
    store_.emplace(*std::move(store));
    build(std::move(contents));
    return server_->bind({settings_.host, settings_.port});
  }

  Result<void> start() override {
    prober_->start(tasks_);
    sweeper_->start(tasks_);
    server_->start();
    log_.info("listening", {{"host", settings_.host},
                            {"port", server_->port()},
                            {"services", state_->size()},
                            {"tls", settings_.tls.serves()},
                            {"version", kVersion}});
    if (!auth_.enabled() && !loopback_only(settings_.host)) {
      log_.warn(
          "anyone who reaches this address can register and remove services: consider --token-file, --allow-networks "
          "or --host 127.0.0.1",
          {{"host", settings_.host}});
    }
    return write_port_file(settings_.port_file, server_->port());
  }

  Result<void> reload(const DaemonConfig& fresh) override {
    const auto& config = static_cast<const RegistryConfig&>(fresh).settings();
    if (auto ready = load_secrets(config); !ready) {
      return ready;
    }
    for (const auto& key : fixed_settings_changed(config)) {
      log_.warn("a changed setting takes effect only after a restart", {{"setting", key}});
    }
    publisher_.publish(state_->reconfigure(config.state_settings()));
    prober_->reconfigure({config.health_interval, config.health_timeout, config.probe_concurrency});
    sweeper_->set_cleanup_interval(config.cleanup_interval);
    gate_.reconfigure(config.roster, config.strict_servers);
    server_->set_limits(config.http);
    log_.info("configuration reloaded");
    return {};
  }

  asio::awaitable<void> drain(Deadline deadline) override {
    log_.info("draining");
    api_->begin_drain();
    watchers_.wake_all();
    co_await server_->drain(deadline);
  }

  void stop() override {
    // First the store: what is being written is finished, later changes are refused.
    if (store_) {
      store_->stop();
    }
    if (prober_) {
      prober_->stop();
      sweeper_->stop();
    }
    if (server_) {
      server_->stop();
    }
    tasks_.close();
    tasks_.cancel();
  }

 private:
  void build(StoreContents contents) {
    const TimePoint now = steady_now();
    BootFacts boot;
    boot.epoch = make_epoch(random_);
    boot.started = now;
    boot.started_incomplete = contents.created || !contents.moved_to.empty() || contents.unreadable_rows > 0;
    boot.warming_time = settings_.warming_time;
    boot.store_path = settings_.state_db;
    boot.store_moved_to = contents.moved_to;
    boot.store_damage = contents.damage;
    boot.store_unreadable_rows = contents.unreadable_rows;
    if (!contents.moved_to.empty()) {
      log_.error("the state database was damaged: it was moved aside and the registry starts empty",
                 {{"damage", contents.damage}, {"moved_to", contents.moved_to}});
    }
    if (contents.unreadable_rows > 0) {
      log_.error("unreadable rows of the state database were set aside in its table `unreadable`",
                 {{"rows", contents.unreadable_rows}});
    }
    // By the clock: a store that is lost, or none, does not tell who was registered before.
    const auto boot_ms = std::chrono::floor<std::chrono::milliseconds>(wall_now()).time_since_epoch().count();
    state_.emplace(settings_.state_settings(), now, contents.first_revision,
                   static_cast<std::uint64_t>(std::max<std::int64_t>(0, boot_ms)));
    state_->restore(std::move(contents.services), now, wall_now());
    writer_.emplace(executor_, *state_, *store_, publisher_, metrics_, tasks_);
    prober_.emplace(executor_, *state_, publisher_, metrics_, client_, random_,
                    ProberSettings{settings_.health_interval, settings_.health_timeout, settings_.probe_concurrency});
    sweeper_.emplace(executor_, *state_, *writer_, *store_, publisher_, random_, settings_.cleanup_interval);
    gate_.reconfigure(settings_.roster, settings_.strict_servers);
    api_.emplace(ApiParts{executor_, *state_, *writer_, publisher_, watchers_, *prober_, gate_, metrics_, random_},
                 std::move(boot), settings_.max_body_bytes);
    server_.emplace(executor_, "infinilm-registry/" + std::string(kVersion), api_->routes(), hooks());
    server_->set_limits(settings_.http);
    server_->set_tls(server_tls_);
    metrics_.follow(
        *state_, [this] { return watchers_.waiting(); }, [this] { return server_->connections(); },
        [this] { return store_->pending(); });
  }

  HttpServerHooks hooks() {
    HttpServerHooks hooks;
    hooks.authorize = [this](const HttpRoute& route, const HttpRequest& request) {
      return auth_.refusal(route.access, request);
    };
    hooks.on_exchange = [this](const HttpExchange& exchange) {
      metrics_.count(exchange);
      if (http_log_.enabled(LogLevel::debug)) {
        http_log_.debug("request",
                        {{"client", exchange.peer},
                         {"method", exchange.method},
                         {"path", exchange.path},
                         {"status", exchange.status},
                         {"took_us", std::chrono::duration_cast<std::chrono::microseconds>(exchange.took).count()}});
      }
    };
    hooks.on_bug = [this](const std::string& what) {
      http_log_.error("a handler failed unexpectedly", {{"error", what}});
    };
    hooks.on_trouble = [this](const std::string& what) {
      if (const auto pass = trouble_limit_.check(steady_now())) {
        http_log_.warn("cannot accept connections for the moment",
                       {{"error", what}, {"lines_held_back", pass->suppressed}});
      }
    };
    hooks.random = [this] { return random_(); };
    return hooks;
  }

  /// Everything that may fail in a reload comes first, so that an error leaves all as it was.
  Result<void> load_secrets(const RegistrySettings& config) {
    auto secrets = read_secrets(config);
    if (!secrets) {
      return secrets.error();
    }
    server_tls_ = std::move(secrets->server_tls);
    auth_ = std::move(secrets->auth);
    client_.set_tls(std::move(secrets->client_tls));
    client_.set_address_policy(config.address_policy);
    if (server_) {
      server_->set_tls(server_tls_);
    }
    return {};
  }

  std::vector<std::string> fixed_settings_changed(const RegistrySettings& fresh) const {
    std::vector<std::string> changed;
    const auto compare = [&changed](const char* key, const auto& a, const auto& b) {
      if (a != b) {
        changed.emplace_back(key);
      }
    };
    compare("host", settings_.host, fresh.host);
    compare("port", settings_.port, fresh.port);
    compare("port_file", settings_.port_file, fresh.port_file);
    compare("state_db", settings_.state_db, fresh.state_db);
    compare("max_body_bytes", settings_.max_body_bytes, fresh.max_body_bytes);
    compare("warming_time", settings_.warming_time, fresh.warming_time);
    return changed;
  }

  asio::any_io_executor executor_;
  RegistrySettings settings_;  ///< as at the start; a reload changes the parts, not this
  Random random_;
  Resolver resolver_;
  HttpClient client_;
  RegistryMetrics metrics_;
  WatchHub watchers_;
  EventPublisher publisher_;
  RegistrationGate gate_;
  BearerAuth auth_;
  TlsContext server_tls_;
  LogLimiter trouble_limit_{1, 0.1};
  Logger log_{"registry"};
  Logger http_log_{"http"};
  TaskGroup tasks_;
  std::optional<StoreThread> store_;
  std::optional<RegistryState> state_;
  std::optional<ChangeWriter> writer_;
  std::optional<Prober> prober_;
  std::optional<LeaseSweeper> sweeper_;
  std::optional<HttpApi> api_;
  std::optional<HttpServer> server_;
};

}  // namespace

std::unique_ptr<DaemonApp> make_registry_app(asio::io_context& io, const RegistryConfig& config) {
  return std::make_unique<RegistryApp>(io, config.settings());
}

DaemonDefinition registry_daemon() {
  DaemonDefinition daemon;
  daemon.cli = {
      "infinilm-registry",
      "Keeps the list of services: who is registered, who is alive. Agents register and heartbeat, routers list "
      "and watch.",
      "registry",
      "INFINILM_REGISTRY",
      {"servers"}};
  daemon.make_config = [] { return std::make_unique<RegistryConfig>(); };
  daemon.make_app = [](asio::io_context& io, const DaemonConfig& config) {
    return make_registry_app(io, static_cast<const RegistryConfig&>(config));
  };
  daemon.check_files = [](const DaemonConfig& config) -> Result<void> {
    auto secrets = read_secrets(static_cast<const RegistryConfig&>(config).settings());
    return secrets ? Result<void>() : secrets.error();
  };
  return daemon;
}

}  // namespace svc::registry
