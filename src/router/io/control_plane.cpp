#include "router/io/control_plane.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>

#include "common/core/wire/api_error.hpp"
#include "common/io/token_file.hpp"
#include "common/version.hpp"
#include "router/io/control_plane_impl.hpp"

namespace svc::router {
namespace {

using namespace std::chrono_literals;

constexpr Duration kDebounce = 10ms;
constexpr Duration kSecond = 1s;
/// Of waiting requests that are woken when an instance came back; those that find nothing free go back to the head.
constexpr std::size_t kMostWoken = 256;

std::string user_agent() { return "infinilm-router/" + std::string(kVersion); }

/// The registry's root: existing scripts also hand in a URL that ends in /services.
Result<HttpUrl> registry_root(const std::string& text) {
  auto url = parse_http_url(text);
  if (!url) return url;
  const auto drop_slashes = [&] {
    while (url->path.ends_with('/')) url->path.pop_back();
  };
  drop_slashes();
  constexpr std::string_view kServices = "/services";
  if (url->path.ends_with(kServices)) url->path.resize(url->path.size() - kServices.size());
  drop_slashes();
  return url;
}

}  // namespace

ControlPlane::Impl::Impl(asio::io_context& io, RouterSettings with, ControlParts with_parts)
    : executor(io.get_executor()),
      settings(std::move(with)),
      parts(std::move(with_parts)),
      resolver(executor, {.keep = 10s}),
      registry_client(executor, resolver, user_agent()),
      upstream_client(executor, resolver, user_agent()),
      fleet(fleet_settings()),
      addresses(executor, resolver, random, [this] { fleet_changed(); }),
      monitor(executor, upstream_client, random, *parts.outliers, monitor_rules(), monitor_callbacks()),
      learner(upstream_client,
              [this](const std::string& name, const std::string& incarnation, std::vector<std::string> models) {
                if (fleet.learn_models(name, incarnation, std::move(models))) fleet_changed();
              }),
      table_timer(executor),
      second(executor),
      tasks(executor, [this](const char* task, const std::string& what) {
        // Being cancelled ends a task by an exception too.
        if (!stopped) log.error("a task ended with an exception", {{"task", task}, {"error", what}});
      }) {}

Result<ControlPlane::Impl::Secrets> ControlPlane::Impl::load_secrets(const RouterSettings& settings) {
  Secrets secrets;
  auto registry_tls = make_client_tls(settings.tls);
  if (!registry_tls) return registry_tls.error();
  auto upstream_tls = make_client_tls(settings.tls);
  if (!upstream_tls) return upstream_tls.error();
  if (!settings.upstream_tls_verify) (*upstream_tls)->set_verify_mode(asio::ssl::verify_none);
  auto token = read_token_file(settings.registry_token_file);
  if (!token) return token.error();
  auto upstream_token = read_token_file(settings.upstream_token_file);
  if (!upstream_token) return upstream_token.error();
  if (!settings.registry_url.empty()) {
    auto url = registry_root(settings.registry_url);
    if (!url) return url.error();
    secrets.registry = *std::move(url);
  }
  secrets.registry_tls = *std::move(registry_tls);
  secrets.upstream_tls = *std::move(upstream_tls);
  secrets.registry_token = *std::move(token);
  secrets.upstream_token = *std::move(upstream_token);
  return secrets;
}

void ControlPlane::Impl::take_over(Secrets secrets) {
  registry_client.set_tls(secrets.registry_tls);
  upstream_client.set_tls(secrets.upstream_tls);
  upstream_client.set_address_policy(settings.address_policy);
  addresses.configure(settings.address_policy, settings.host, listen_port);
  monitor.reconfigure(monitor_rules());
  learner.configure(settings.learn_models, settings.health_timeout, secrets.upstream_token);
  fleet.reconfigure(fleet_settings());
  fleet.set_static(settings.static_upstreams);
  follow_registry(secrets);
}

void ControlPlane::Impl::follow_registry(const Secrets& secrets) {
  const std::string url = secrets.registry ? secrets.registry->to_string() : "";
  const bool other = url != followed;
  followed = url;
  if (other) {
    if (view_file) view_file->stop(fleet);
    view_file = url.empty() ? nullptr : std::make_unique<ViewFile>(settings.state_dir, url);
  }
  if (url.empty()) {
    if (watchers.empty() || !watchers.back()) return;
    watchers.back()->stop();
    watchers.push_back(nullptr);
    fleet.apply_list({}, false, false, steady_now());
    return;
  }
  if (!watchers.empty() && watchers.back()) {
    watchers.back()->reconfigure(watcher_settings(secrets));
    return;
  }
  watchers.push_back(std::make_unique<RegistryWatcher>(executor, registry_client, watcher_settings(secrets), random,
                                                       watcher_callbacks()));
  if (table) watchers.back()->start(tasks);  // else start_work() does, after the first table
}

void ControlPlane::Impl::load_view() {
  if (!view_file) return;
  auto kept = view_file->load();
  if (!kept) return;
  view_loaded_at = steady_now();
  view_age_then = kept->age;
  log.info("the kept view of the registry is used until the registry answers",
           {{"services", kept->specs.size()}, {"age_seconds", std::chrono::duration<double>(kept->age).count()}});
  fleet.load_view(std::move(kept->specs), *view_loaded_at);
}

void ControlPlane::Impl::start_work() {
  addresses.start(tasks);
  learner.start(tasks);
  monitor.start(tasks);
  if (!watchers.empty() && watchers.back()) watchers.back()->start(tasks);
  tasks.spawn("upkeep of the fleet", maintain());
}

void ControlPlane::Impl::stop() {
  if (stopped) return;
  stopped = true;
  table_timer.cancel();
  second.cancel();
  addresses.stop();
  monitor.stop();
  for (const auto& watcher : watchers) {
    if (watcher) watcher->stop();
  }
  if (view_file) view_file->stop(fleet);
  tasks.close();
  tasks.cancel();
}

asio::awaitable<void> ControlPlane::Impl::maintain() {
  while (!stopped) {
    second.expires_after(kSecond);
    co_await second.async_wait(kTok);
    if (stopped) co_return;
    if (fleet.sweep(steady_now())) fleet_changed();
    if (table->ramping()) request_table();
    if (view_file) view_file->tick(fleet);
    look_for_stalls(steady_now());
  }
}

void ControlPlane::Impl::fleet_changed() {
  wake_due = true;
  request_table();
}

void ControlPlane::Impl::request_table() {
  if (stopped || table_due || !table) return;
  table_due = true;
  table_timer.expires_at(std::max(steady_now(), table_made + kDebounce));
  table_timer.async_wait([this](const error_code& ec) {
    table_due = false;
    if (!ec && !stopped) make_table();
  });
}

void ControlPlane::Impl::make_table() {
  table_made = steady_now();
  auto upstreams = fleet.upstreams();
  addresses.fill(upstreams);
  // Before the table: it shows verdicts of new ones that have no address.
  monitor.sync(upstreams, [this](const Upstream& upstream) { return addresses.problem(upstream.spec.endpoint); });
  table =
      RoutingTable::build(std::move(upstreams), settings.balancing, table_made, ++revision, fleet.known(), table.get());
  parts.publish(table);
  if (std::exchange(wake_due, false)) wake_waiting();
}

void ControlPlane::Impl::wake_waiting() {
  if (parts.queues == nullptr) return;
  for (std::size_t left = std::min(parts.queues->waiting_in_all(), kMostWoken); left > 0; --left) {
    parts.queues->slot_freed_any();
  }
}

ControlPlane::ControlPlane(boost::asio::io_context& io, RouterSettings settings, ControlParts parts)
    : impl_(std::make_unique<Impl>(io, std::move(settings), std::move(parts))) {}

ControlPlane::~ControlPlane() = default;

Result<void> ControlPlane::start(std::uint16_t listen_port) {
  auto secrets = Impl::load_secrets(impl_->settings);
  if (!secrets) return secrets.error();
  impl_->listen_port = listen_port;
  impl_->take_over(*std::move(secrets));
  impl_->load_view();
  impl_->make_table();
  impl_->start_work();
  return {};
}

Result<void> ControlPlane::reload(const RouterSettings& fresh) {
  auto secrets = Impl::load_secrets(fresh);
  if (!secrets) return secrets.error();
  const auto host = impl_->settings.host;
  impl_->settings = fresh;
  impl_->settings.host = host;  // takes effect after a restart only
  impl_->take_over(*std::move(secrets));
  impl_->fleet_changed();
  return {};
}

void ControlPlane::begin_drain() { impl_->draining = true; }

void ControlPlane::stop() { impl_->stop(); }

bool ControlPlane::draining() const { return impl_->draining.load(std::memory_order_relaxed); }

void ControlPlane::own_request(OwnRequest request, std::function<void(OwnAnswer)> reply) {
  asio::post(impl_->executor, [impl = impl_.get(), request = std::move(request), reply = std::move(reply)] {
    reply(impl->stopped || !impl->table ? OwnAnswer{503, "application/json", error_body("The router is stopping"), ""}
                                        : impl->answer(request));
  });
}

void ControlPlane::health_changed(const std::shared_ptr<UpstreamLive>& live) {
  asio::post(impl_->executor, [impl = impl_.get(), live] {
    if (impl->stopped) return;
    impl->monitor.check_soon(*live);
    impl->request_table();
  });
}

}  // namespace svc::router
