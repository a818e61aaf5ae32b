#include "router/io/own_pages.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "common/core/percent_codec.hpp"
#include "common/core/time_text.hpp"
#include "common/core/wire/api_error.hpp"
#include "common/version.hpp"
#include "router/io/own_pages_json.hpp"
#include "router/io/router_settings.hpp"

namespace svc::router {
namespace {

constexpr std::string_view kModelPrefix = "/v1/models/";
constexpr std::string_view kRetryAfter = "Retry-After: 1\r\n";
constexpr std::string_view kAllowed = "Allow: GET, HEAD, OPTIONS\r\n";
constexpr std::array<std::string_view, 9> kPaths = {"/health", "/status",    "/ready",   "/services", "/stats",
                                                    "/models", "/v1/models", "/metrics", "/explain"};

/// Some instance states the model, whatever its own state.
bool is_stated(const RoutingTable& table, std::string_view model) {
  const auto name = table.served_name(model);
  const auto& upstreams = table.upstreams();
  return std::any_of(upstreams.begin(), upstreams.end(), [&](const Upstream& upstream) {
    const auto& models = upstream.spec.models;
    return std::find(models.begin(), models.end(), name) != models.end();
  });
}

bool in_panic(const ControlView& view) {
  const Group* all = view.table->find("");
  return all != nullptr && all->panic;
}

}  // namespace

bool is_own_path(std::string_view path) {
  for (const auto own : kPaths) {
    if (path == own) return true;
  }
  return path.size() > kModelPrefix.size() && path.starts_with(kModelPrefix);
}

std::string_view state_of(const UpstreamLive& live, TimePoint now) {
  const auto verdict = live.verdict.load(std::memory_order_relaxed);
  if (verdict == ProbeVerdict::down) return "down";
  if (verdict == ProbeVerdict::hung) return "hung";
  if (!live.serving.load(std::memory_order_relaxed)) return "draining";
  if (!live.usable(now)) return "ejected";
  return verdict == ProbeVerdict::up ? "up" : "unknown";
}

std::optional<OwnAnswer> OwnPages::refuse_method(const OwnRequest& request) {
  if (request.method == "GET" || request.method == "HEAD") return std::nullopt;
  OwnAnswer answer;
  answer.extra_fields = kAllowed;
  if (request.method == "OPTIONS") {
    answer.status = 204;
    answer.content_type.clear();
    return answer;
  }
  answer.status = 405;
  answer.body = request.path.starts_with("/v1/")
                    ? openai_error(FailureReason::method_not_allowed, "Only GET is allowed for " + request.path)
                    : error_body("Method Not Allowed");
  return answer;
}

OwnAnswer OwnPages::answer(const OwnRequest& request, const ControlView& view) {
  if (auto refused = refuse_method(request)) return *std::move(refused);
  const std::string_view path = request.path;
  if (path == "/health" || path == "/status") return health(view);
  if (path == "/ready") return ready(view);
  if (path == "/services") return services(view);
  if (path == "/stats") return stats(view);
  if (path == "/models" || path == "/v1/models") return models(view);
  if (path == "/explain") return explain(request, view);
  if (path.starts_with(kModelPrefix)) return model(path.substr(kModelPrefix.size()), view);
  return {404, "application/json", error_body("Not Found"), ""};
}

OwnAnswer OwnPages::health(const ControlView& view) const {
  const auto counts = count_usable(view);
  const char* status = counts.usable > 0 ? "healthy" : "running";
  ordered_json json{{"status", view.draining ? "draining" : status},
                    {"router", "running"},
                    {"healthy_services", std::to_string(counts.usable) + "/" + std::to_string(counts.all)},
                    {"registry_url", registry_url_json(view)},
                    {"message", nullptr},
                    {"timestamp", iso8601(wall_now())}};
  if (view.draining) {
    json["message"] = "This router is shutting down";
  } else if (counts.usable == 0) {
    json["message"] = "No healthy services available";
  }
  json["view_age_seconds"] = nullptr;
  if (view.discovery.view_age) json["view_age_seconds"] = rounded_seconds(*view.discovery.view_age);
  json["registry_state"] = view.discovery.state;
  if (!view.discovery.last_error.empty()) json["registry_error"] = view.discovery.last_error;
  json["view_from_disk"] = view.discovery.view_from_disk;
  json["version"] = kVersion;
  json["uptime"] = rounded_seconds(view.now - view.started);
  json["draining"] = view.draining;
  json["panic"] = in_panic(view);
  return json_answer(json, view.draining ? 503 : 200);
}

OwnAnswer OwnPages::ready(const ControlView& view) const {
  if (view.draining) return json_answer({{"ready", false}, {"reason", "draining"}}, 503);
  const bool nobody = !view.table->view_known() && view.table->upstreams().empty();
  if (nobody) return json_answer({{"ready", false}, {"reason", "view_not_ready"}}, 503);
  return json_answer({{"ready", true}});
}

const std::vector<ModelEntry>& OwnPages::model_entries(const ControlView& view) {
  const auto& upstreams = view.table->upstreams();
  std::vector<bool> usable;
  usable.reserve(upstreams.size());
  for (const auto& upstream : upstreams) usable.push_back(upstream.live->usable(view.now));
  if (models_of_.lock() == view.table && usable == models_usable_) return models_;

  std::vector<ModelSource> sources;
  for (std::size_t i = 0; i < upstreams.size(); ++i) {
    if (usable[i]) sources.push_back({upstreams[i].spec.models, upstreams[i].spec.metadata_json});
  }
  const auto created = static_cast<std::int64_t>(epoch_seconds(view.wall_started));
  models_ = merge_models(sources, view.table->settings().model_aliases, created);
  models_of_ = view.table;
  models_usable_ = std::move(usable);
  return models_;
}

OwnAnswer OwnPages::models(const ControlView& view) {
  OwnAnswer answer;
  answer.body = model_list_json(model_entries(view));
  return answer;
}

OwnAnswer OwnPages::model(std::string_view encoded_id, const ControlView& view) {
  const auto id = percent_decode(encoded_id);
  OwnAnswer answer;
  if (id) {
    for (const auto& entry : model_entries(view)) {
      if (entry.id != *id) continue;
      answer.body = entry.json;
      return answer;
    }
  }
  // As for a request to the model: what may be there in a moment is not denied.
  const RoutingTable& table = *view.table;
  const bool unknown = !table.view_known() || table.upstreams().empty();
  if (id && (unknown || is_stated(table, *id))) {
    answer.status = 503;
    answer.extra_fields = kRetryAfter;
    answer.body = unknown ? openai_error(FailureReason::view_not_ready, "it is not known yet which instances there are")
                          : openai_error(FailureReason::no_ready_instance,
                                         "No healthy services available for model '" + *id + "'");
    return answer;
  }
  answer.status = 404;
  answer.body = openai_error(FailureReason::model_not_found,
                             "The model '" + (id ? *id : std::string(encoded_id)) + "' does not exist", "model");
  return answer;
}

}  // namespace svc::router
