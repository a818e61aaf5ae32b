// Instances that are alive by every probe and yet make no progress: their answers stopped, measured by their own past.
#include "common/core/percent_codec.hpp"
#include "router/io/control_plane_impl.hpp"
#include "router/io/prefix_book.hpp"

namespace svc::router {
namespace {

constexpr Duration kReportTimeout = std::chrono::seconds(5);

}  // namespace

void ControlPlane::Impl::look_for_stalls(TimePoint now) {
  if (parts.prefix == nullptr) return;
  for (const auto& live : parts.prefix->stalled(now)) {
    if (!live->usable(now)) continue;  // it is out already
    const Upstream* found = nullptr;
    for (const auto& upstream : table->upstreams()) {
      if (upstream.live == live) found = &upstream;
    }
    if (found == nullptr) continue;
    ++stalls;
    const auto until = now + found->spec.fail_timeout;
    live->ejected_until_ns.store(until.time_since_epoch().count(), std::memory_order_relaxed);
    live->ejections.fetch_add(1, std::memory_order_relaxed);
    Logger("health").warn("an instance makes no progress: its answers have stopped, far beyond what is usual for it",
                          {{"name", found->spec.name},
                           {"url", found->spec.url},
                           {"in_flight", live->in_flight.load(std::memory_order_relaxed)}});
    parts.hung(live);
    if (settings.report_stalled && !found->spec.from_config && !followed.empty()) {
      tasks.spawn("report of a stalled instance", report_unhealthy(found->spec.name));
    }
    request_table();
  }
}

asio::awaitable<void> ControlPlane::Impl::report_unhealthy(std::string name) {
  auto secrets = load_secrets(settings);
  if (!secrets || !secrets->registry) co_return;
  HttpCall call;
  call.method = "PUT";
  call.url = *secrets->registry;
  call.url.path += "/services/" + percent_encode(name);
  call.fields.emplace_back("Content-Type", "application/json");
  if (!secrets->registry_token.empty()) {
    call.fields.emplace_back("Authorization", "Bearer " + secrets->registry_token);
  }
  call.body = R"({"status":"unhealthy"})";
  const auto reply = co_await registry_client.call(std::move(call), Deadline::after(steady_now(), kReportTimeout));
  const bool taken = reply && reply->status == 200;
  log.info("the registry was told of an instance that makes no progress",
           {{"name", name}, {"taken", taken}, {"status", reply ? reply->status : 0}});
}

}  // namespace svc::router
