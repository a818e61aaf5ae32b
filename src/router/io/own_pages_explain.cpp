#include <charconv>

#include "common/core/query_string.hpp"
#include "common/core/wire/api_error.hpp"
#include "router/core/hash_ring.hpp"
#include "router/core/pick.hpp"
#include "router/io/own_pages.hpp"
#include "router/io/own_pages_json.hpp"

namespace svc::router {
namespace {

std::string_view problem_text(PickProblem problem) {
  switch (problem) {
    case PickProblem::none: return "";
    case PickProblem::none_usable: return "no instance that serves the model can take work";
    case PickProblem::all_busy: return "every usable instance is at its max_concurrency: the request would wait";
  }
  return "";
}

ordered_json candidate_json(const Upstream& upstream, const ControlView& view) {
  const auto& spec = upstream.spec;
  return {{"name", spec.name},
          {"url", spec.url},
          {"state", state_of(*upstream.live, view.now)},
          {"usable", upstream.live->usable(view.now)},
          {"in_flight", upstream.live->in_flight.load(std::memory_order_relaxed)},
          {"max_concurrency", spec.max_concurrency},
          {"weight", spec.weight},
          {"slow_start_share", ramp_share(*upstream.live, view.table->settings().slow_start, view.now)},
          {"backup", spec.backup},
          {"cache_type", spec.cache_type},
          {"models", spec.models}};
}

}  // namespace

OwnAnswer OwnPages::explain(const OwnRequest& request, const ControlView& view) const {
  const QueryString query(request.query);
  const auto text = [&query](const char* name) { return query.get(name).value_or(""); };
  if (const auto id = query.get("request_id")) return explain_sent(*id, view);
  const std::string model = text("model");
  const std::string key = query.get("key").value_or(request.session_header);
  const std::string client = query.get("client").value_or(request.client_address);

  PickContext context;
  context.now = view.now;
  context.session_hash = key.empty() ? 0 : hash_key(key) | 1U;  // as a request has it
  context.client_hash = client.empty() ? 0 : hash_key(client);
  if (const auto bytes = query.get("text_bytes")) {
    const auto [end, bad] = std::from_chars(bytes->data(), bytes->data() + bytes->size(), context.text_bytes);
    if (bad != std::errc{} || end != bytes->data() + bytes->size()) {
      return {400, "application/json", error_body("text_bytes must be a number"), ""};
    }
  }

  const Group* group = view.table->find(model);
  ordered_json json{{"model", model},
                    {"served_as", view.table->served_name(model)},
                    {"upstream", nullptr},
                    {"reason", nullptr},
                    {"method", nullptr}};
  if (group == nullptr) {
    json["reason"] =
        view.table->view_known() ? "no instance serves the model" : "it is not known yet which instances there are";
    json["candidates"] = ordered_json::array();
    return json_answer(json);
  }
  const auto all = opinions(*group, view.table->served_name(model), context, text("prompt"), text("key"), view);
  PrefixScores scores;
  if (!all.empty()) {
    scores.take(all);
    context.prefix = &scores;
  }
  const auto picked = preview(*group, view.table->settings(), context);
  json["method"] = to_string(group->method);
  if (picked.upstream != nullptr) {
    json["upstream"] = picked.upstream->spec.name;
    json["url"] = picked.upstream->spec.url;
    json["reason"] = to_string(picked.step);
  } else {
    json["reason"] = problem_text(picked.problem);
  }
  json["panic"] = group->panic;
  json["client"] = client;
  json["key"] = key;
  json["text_bytes"] = context.text_bytes;
  ordered_json candidates = ordered_json::array();
  for (const auto* list : {&group->primaries, &group->backups}) {
    for (const Upstream* upstream : *list) {
      candidates.push_back(candidate_json(*upstream, view));
      if (const auto* appraisal = scores.of(upstream->live->slot)) {
        auto& json_of = candidates.back();
        json_of["matched_tokens"] = static_cast<std::int64_t>(appraisal->matched);
        json_of["predicted_wait_seconds"] = appraisal->wait;
        json_of["score"] = appraisal->score;
        json_of["open"] = appraisal->open;
      }
    }
  }
  json["candidates"] = std::move(candidates);
  return json_answer(json);
}

}  // namespace svc::router
