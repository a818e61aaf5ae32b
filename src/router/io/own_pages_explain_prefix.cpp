// What /explain says of choices by prefix: of a request that was sent, or of a text that might be.
#include <cmath>

#include "common/core/query_string.hpp"
#include "common/core/wire/api_error.hpp"
#include "router/io/own_pages.hpp"
#include "router/io/own_pages_json.hpp"
#include "router/io/prefix_book.hpp"

namespace svc::router {
namespace {

double rounded(double value) { return std::round(value * 1000) / 1000; }

}  // namespace

OwnAnswer OwnPages::explain_sent(const std::string& request_id, const ControlView& view) {
  const auto decision = view.prefix != nullptr ? view.prefix->decision(request_id) : std::nullopt;
  if (!decision) {
    return {404, "application/json",
            error_body("no choice by prefix is remembered for the request '" + request_id +
                       "': the last 256 are, of models whose method is prefix_aware"),
            ""};
  }
  ordered_json json{{"request_id", decision->request_id},
                    {"model", decision->model},
                    {"method", "prefix_aware"},
                    {"upstream", decision->chosen},
                    {"prompt_tokens_estimated", static_cast<std::int64_t>(decision->prompt_tokens)},
                    {"held_seconds", rounded(decision->held)}};
  if (decision->first_byte >= 0) {
    json["first_byte_seconds"] = rounded(decision->first_byte);
  } else {
    json["first_byte_seconds"] = nullptr;
  }
  auto candidates = ordered_json::array();
  for (const auto& candidate : decision->candidates) {
    candidates.push_back({{"name", candidate.name},
                          {"matched_tokens", static_cast<std::int64_t>(candidate.matched_tokens)},
                          {"predicted_wait_seconds", rounded(candidate.wait)},
                          {"score", rounded(candidate.score)}});
  }
  json["candidates"] = std::move(candidates);
  return json_answer(json);
}

std::vector<PrefixBook::Opinion> OwnPages::opinions(const Group& group, std::string_view model,
                                                    const PickContext& context, std::string_view prompt,
                                                    std::string_view key, const ControlView& view) {
  if (view.prefix == nullptr || group.method != Method::prefix_aware) return {};
  PromptHasher hasher;
  PromptShape shape;
  hasher.begin(model, view.table->settings().prefix.block_bytes, shape);
  hasher.begin_message("user", false);
  hasher.add_text(prompt);
  hasher.end_message();
  hasher.end();
  shape.key_hash = key.empty() ? 0 : hash_key(key) | 1U;
  return view.prefix->opinions({&group, &view.table->settings(), &shape, model, context, true, {}, {}});
}

}  // namespace svc::router
