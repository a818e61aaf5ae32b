#include <map>
#include <set>

#include "common/core/time_text.hpp"
#include "router/core/retry_policy.hpp"
#include "router/core/traffic_sum.hpp"
#include "router/io/own_pages.hpp"
#include "router/io/own_pages_json.hpp"
#include "router/io/wait_queues.hpp"

namespace svc::router {
namespace {

template <std::size_t N>
ordered_json reasons_json(const std::array<std::uint64_t, N>& counts) {
  ordered_json json = ordered_json::object();
  for (std::size_t i = 1; i < N; ++i) {
    if (counts[i] != 0) json[std::string(to_string(static_cast<FailureReason>(i)))] = counts[i];
  }
  return json;
}

std::uint64_t count_errors(const SeriesSum& sum) {
  std::uint64_t errors = 0;
  for (std::size_t i = 1; i < sum.failures.size(); ++i) {
    if (blames_upstream(static_cast<FailureReason>(i))) errors += sum.failures[i];
  }
  return errors;
}

ordered_json times_json(const TimeSum& sum) {
  return {{"p50", rounded_seconds(sum.quantile(0.5))}, {"p95", rounded_seconds(sum.quantile(0.95))}};
}

std::string agent_url(const Endpoint& endpoint) {
  Endpoint agent = endpoint;
  ++agent.port;
  return "http://" + agent.to_string();
}

/// The original's fields, in its order.
ordered_json service_json(const Upstream& upstream, const SeriesSum& sum, TimePoint now) {
  const auto& spec = upstream.spec;
  auto metadata = ordered_json::parse(spec.metadata_json, nullptr, false);
  if (metadata.is_discarded()) metadata = ordered_json::object();
  return {{"name", spec.name},
          {"host", spec.endpoint.host},
          {"port", spec.endpoint.port},
          {"url", spec.url},
          {"babysitter_url", agent_url(spec.endpoint)},
          {"healthy", upstream.live->usable(now)},
          {"request_count", sum.requests},
          {"error_count", count_errors(sum)},
          {"response_time", rounded_seconds(sum.whole.mean())},
          {"weight", spec.weight},
          {"models", spec.models},
          {"metadata", std::move(metadata)},
          {"state", state_of(*upstream.live, now)},
          {"in_flight", upstream.live->in_flight.load(std::memory_order_relaxed)}};
}

/// What requests did: at an instance, or with a model.
void add_series(ordered_json& json, const SeriesSum& sum) {
  ordered_json answers = ordered_json::object();
  for (std::size_t i = 1; i < sum.answers.size(); ++i) {
    if (sum.answers[i] != 0) answers[std::to_string(i) + "xx"] = sum.answers[i];
  }
  json["answers"] = std::move(answers);
  json["failures"] = reasons_json(sum.failures);
  json["retries"] = sum.retries;
  json["queue_seconds"] = times_json(sum.queue_time);
  json["ttft_seconds"] = times_json(sum.first_byte);
  json["itl_seconds"] = times_json(sum.between_chunks);
  json["total_seconds"] = times_json(sum.whole);
  json["prompt_tokens"] = sum.prompt_tokens;
  json["cached_tokens"] = sum.cached_tokens;
  json["completion_tokens"] = sum.completion_tokens;
  json["bytes_to_clients"] = sum.bytes_to_client;
}

ordered_json models_json(const std::map<std::string, SeriesSum, std::less<>>& by_model) {
  ordered_json json = ordered_json::object();
  for (const auto& [model, sum] : by_model) {
    ordered_json one{{"request_count", sum.requests}, {"error_count", count_errors(sum)}};
    add_series(one, sum);
    json[model] = std::move(one);
  }
  return json;
}

void add_details(ordered_json& json, const Upstream& upstream, const SeriesSum& sum, const ControlView& view) {
  const auto& live = *upstream.live;
  const auto& spec = upstream.spec;
  json["last_check"] = nullptr;
  if (const ProbeNote* note = view.note(live)) {
    if (note->checked_at) json["last_check"] = iso8601(*note->checked_at);
    if (!note->error.empty()) json["last_check_error"] = note->error;
    json["checks_good"] = note->good;
    json["checks_bad"] = note->bad;
  }
  json["backup"] = spec.backup;
  json["static"] = spec.from_config;
  json["max_concurrency"] = spec.max_concurrency;
  json["slow_start_share"] = ramp_share(live, view.table->settings().slow_start, view.now);
  json["ejections"] = live.ejections.load(std::memory_order_relaxed);
  add_series(json, sum);
  ordered_json addresses = ordered_json::array();
  for (const auto& address : upstream.addresses) addresses.push_back(address.to_string());
  json["addresses"] = std::move(addresses);
}

ordered_json totals_json(const ThreadSum& sum) {
  return {{"requests", sum.requests},
          {"own_requests", sum.own_requests},
          {"attempts", sum.attempts},
          {"retries", sum.retries},
          {"retries_denied", sum.retries_denied},
          {"requests_active", sum.requests_active},
          {"connections_open", sum.connections_open},
          {"connections_accepted", sum.connections_accepted},
          {"connections_refused", sum.connections_refused},
          {"upstream_connects", sum.upstream_connects},
          {"upstream_reuses", sum.upstream_reuses},
          {"panic_picks", sum.panic_picks},
          {"backup_picks", sum.backup_picks},
          {"clients_gone", sum.client_gone},
          {"buffered_bytes", sum.buffered_bytes},
          {"refusals", reasons_json(sum.refusals)}};
}

ordered_json queues_json(const ControlView& view, const TimeSum& waited) {
  std::set<std::string> models{""};
  for (const auto& upstream : view.table->upstreams())
    models.insert(upstream.spec.models.begin(), upstream.spec.models.end());
  ordered_json by_model = ordered_json::object();
  for (const auto& model : models) {
    if (const auto waiting = view.queues->waiting(model); waiting != 0) by_model[model] = waiting;
  }
  return {{"waiting", view.queues->waiting_in_all()},
          {"max_waiting", view.queues->settings().max_waiting},
          {"by_model", std::move(by_model)},
          {"queue_seconds", times_json(waited)}};
}

}  // namespace

OwnAnswer OwnPages::services(const ControlView& view) const {
  ordered_json list = ordered_json::array();
  for (const auto& upstream : view.table->upstreams()) {
    list.push_back(service_json(upstream, sum_models(sum_series(*upstream.live)), view.now));
  }
  const std::size_t total = list.size();
  return json_answer({{"services", std::move(list)}, {"total", total}, {"registry_url", registry_url_json(view)}});
}

OwnAnswer OwnPages::stats(const ControlView& view) const {
  const auto counts = count_usable(view);
  ordered_json list = ordered_json::array();
  std::map<std::string, SeriesSum, std::less<>> by_model;
  for (const auto& upstream : view.table->upstreams()) {
    const auto series = sum_series(*upstream.live);
    const auto sum = sum_models(series);
    auto json = service_json(upstream, sum, view.now);
    add_details(json, upstream, sum, view);
    json["by_model"] = models_json(series);
    list.push_back(std::move(json));
    for (const auto& [model, one] : series) by_model[model].add(one);
  }
  const auto& discovery = view.discovery;
  ordered_json registry{{"state", discovery.state},          {"revision", discovery.revision},
                        {"polls", discovery.polls},          {"watch_events", discovery.watch_events},
                        {"resyncs", discovery.resyncs},      {"errors", discovery.errors},
                        {"unreadable", discovery.unreadable}};
  registry["view_age_seconds"] = nullptr;
  if (discovery.view_age) registry["view_age_seconds"] = rounded_seconds(*discovery.view_age);
  const ThreadSum sum = sum_threads(view.threads);
  ordered_json json{{"total_services", counts.all},
                    {"healthy_services", counts.usable},
                    {"registry_url", registry_url_json(view)},
                    {"services", std::move(list)},
                    {"timestamp", iso8601(wall_now())},
                    {"uptime", rounded_seconds(view.now - view.started)},
                    {"view_revision", view.table->revision()},
                    {"totals", totals_json(sum)},
                    {"by_model", models_json(by_model)},
                    {"queues", queues_json(view, sum.queue_time)},
                    {"registry", std::move(registry)}};
  return json_answer(json);
}

}  // namespace svc::router
