// What keeps a lease alive: heartbeats, and probes on demand.
#include "common/core/json_text.hpp"
#include "common/core/time_text.hpp"
#include "registry/core/messages.hpp"
#include "registry/io/http_api.hpp"

namespace svc::registry {

HttpApi::Answer HttpApi::post_heartbeat(const HttpRequest& request) {
  const auto& name = request.params[0];
  if (!parts_.writer.renewable(name)) {
    const bool settled = co_await parts_.writer.settle(name);
    if (!settled) {
      co_return refusal(unavailable("The service is still being stored or removed; try again in a moment"));
    }
  }
  observe();
  const auto heartbeat = request.body.empty() ? wire::HeartbeatRequest{} : wire::parse_heartbeat(request.body);
  const auto* entry = parts_.state.find(name);
  if (entry && heartbeat.status && *heartbeat.status != entry->stored.spec.status) {
    // It lives, whatever the disk says to its new status. A lease that has ended comes back with that.
    if (parts_.state.is_healthy(*entry, steady_now())) {
      std::vector<Event> none;
      static_cast<void>(parts_.state.heartbeat(name, heartbeat.generation, steady_now(), wall_now(), none));
    }
    const auto changed = co_await change_status(name, *heartbeat.status, heartbeat.generation);
    if (!changed) {
      if (changed.error().code == Errc::conflict || changed.error().code == Errc::not_found) {
        parts_.metrics.heartbeats_unknown.add();
      }
      co_return refusal(changed.error());
    }
  }
  std::vector<Event> events;
  const auto ack = parts_.state.heartbeat(name, heartbeat.generation, steady_now(), wall_now(), events);
  parts_.publisher.publish(events);
  if (!ack) {
    parts_.metrics.heartbeats_unknown.add();
    co_return refusal(ack.error());
  }
  parts_.metrics.heartbeats.add();
  std::string body = R"({"message":"Heartbeat received","timestamp":")";
  body += iso8601(wall_now());
  body += R"(","lease_remaining":)";
  append_seconds(body, ack->lease_remaining);
  body += R"(,"revision":)";
  append_json_int(body, ack->revision);
  body += R"(,"generation":)";
  append_json_int(body, ack->generation);
  body += '}';
  co_return answer(std::move(body));
}

asio::awaitable<Result<void>> HttpApi::change_status(std::string name, std::string status,
                                                     std::optional<std::uint64_t> generation) {
  wire::ServicePatch patch;
  patch.status = std::move(status);
  patch.generation = generation;
  const ChangeWriter::Plan plan = [&](RegistryState& state, TimePoint now, InFlight in_flight) {
    return state.plan_update(name, patch, now, in_flight);
  };
  const auto change = co_await parts_.writer.run(name, plan);
  co_return change ? Result<void>{} : Result<void>{change.error()};
}

HttpApi::Answer HttpApi::get_service_health(const HttpRequest& request) {
  observe();
  // A service whose health_url is this very path would keep its own lease alive, with the registry's help.
  if (request.field("User-Agent").starts_with("infinilm-registry/")) {
    co_return refusal(Error{Errc::forbidden, ErrorSource::client, false, "A probe must not ask for a probe", ""});
  }
  const auto& name = request.params[0];
  const auto* entry = parts_.state.find(name);
  if (!entry) {
    co_return refusal(no_such_service(name));
  }
  if (parts_.prober.busy()) {
    co_return refusal(unavailable("Too many probes are in progress; try again in a moment"));
  }
  // Who answers says nothing about one that has been registered in its place meanwhile.
  const auto still_there = [this, &name, probed = entry->health_run] {
    const auto* present = parts_.state.find(name);
    return present && present->health_run == probed;
  };
  const auto outcome = co_await parts_.prober.probe_on_demand(*entry);
  if (outcome.healthy && still_there()) {
    bool renewable = parts_.writer.renewable(name);
    if (!renewable) {
      renewable = co_await parts_.writer.settle(name);
    }
    std::vector<Event> events;
    if (renewable && still_there()) {
      static_cast<void>(parts_.state.heartbeat(name, std::nullopt, steady_now(), wall_now(), events));
    }
    parts_.publisher.publish(events);
  }
  entry = parts_.state.find(name);
  if (!entry) {
    co_return refusal(no_such_service(name));
  }
  std::string body = R"({"service":)";
  append_json_string(body, name);
  body += R"(,"health_status":")";
  body += outcome.healthy ? "healthy" : "unhealthy";
  body += R"(","is_healthy":)";
  append_json_bool(body, parts_.state.is_healthy(*entry, steady_now()));
  body += R"(,"last_heartbeat":)";
  append_epoch_seconds(body, entry->last_heartbeat);
  append_context(body, context());
  body += R"(,"probe":{"url":)";
  append_json_string(body, outcome.url);
  body += R"(,"status":)";
  append_json_int(body, outcome.status);
  body += R"(,"error":)";
  append_json_string(body, outcome.error);
  body += R"(,"took_ms":)";
  append_json_double(
      body,
      std::chrono::duration<double, std::milli>(std::chrono::floor<std::chrono::microseconds>(outcome.took)).count());
  body += "}}";
  co_return answer(std::move(body));
}

}  // namespace svc::registry
