#include "router/core/service_metadata.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "common/core/http_url.hpp"
#include "common/core/wire/registry_api.hpp"

namespace svc::router {

using nlohmann::json;

namespace {

constexpr double kMostRate = 1e9;  // more is no other start for what is learned

}  // namespace

std::string text_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<std::int64_t> whole_at(const json& object, const char* key, std::int64_t lo, std::int64_t hi) {
  const auto found = object.find(key);
  if (found == object.end()) return std::nullopt;
  std::int64_t value = 0;
  if (found->is_string()) {
    const std::string& digits = found->get_ref<const std::string&>();
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  } else if (found->is_number()) {
    const auto number = found->get<double>();
    if (!(number >= static_cast<double>(lo) && number <= static_cast<double>(hi))) return std::nullopt;
    value = static_cast<std::int64_t>(number);
    if (static_cast<double>(value) != number) return std::nullopt;
  } else {
    return std::nullopt;
  }
  if (value < lo || value > hi) return std::nullopt;
  return value;
}

std::optional<double> positive_at(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) return std::nullopt;
  double value = 0;
  if (found->is_string()) {
    const std::string& digits = found->get_ref<const std::string&>();
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  } else if (found->is_number()) {
    value = found->get<double>();
  }
  if (!(value > 0) || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::vector<std::string> names_at(const json& object, const char* key) {
  std::vector<std::string> names;
  const auto list = object.find(key);
  if (list == object.end() || !list->is_array()) return names;
  for (const json& item : *list) {
    if (names.size() == wire::kMaxModels) break;
    std::string name = item.is_object() ? text_at(item, "id") : item.is_string() ? item.get<std::string>() : "";
    if (!name.empty() && name.size() <= wire::kMaxModelBytes) names.push_back(std::move(name));
  }
  return names;
}

void take_metadata(UpstreamSpec& spec, const json& metadata) {
  if (!metadata.is_object()) return;
  spec.metadata_json = metadata.dump(-1, ' ', false, json::error_handler_t::replace);
  const std::string cache = text_at(metadata, "cache_type");
  if (cache == "paged" || cache == "static") spec.cache_type = cache;
  for (const char* key : {"max_concurrency", "max_batch_size"}) {
    if (spec.max_concurrency != 0) break;
    spec.max_concurrency = static_cast<std::uint32_t>(whole_at(metadata, key, 1, 1'000'000).value_or(0));
  }
  const auto many = std::int64_t{1} << 40U;
  spec.kv_cache_tokens = static_cast<std::uint64_t>(whole_at(metadata, "kv_cache_tokens", 1, many).value_or(0));
  if (spec.kv_cache_tokens == 0) {
    const auto blocks = whole_at(metadata, "num_blocks", 1, 1'000'000'000);
    const auto size = whole_at(metadata, "block_size", 1, 1'000'000);
    if (blocks && size) spec.kv_cache_tokens = static_cast<std::uint64_t>(*blocks * *size);
  }
  if (spec.kv_cache_tokens == 0 && spec.cache_type == "static") {
    spec.kv_cache_tokens = static_cast<std::uint64_t>(whole_at(metadata, "max_cache_len", 1, many).value_or(0));
  }
  spec.prefill_rate = std::min(positive_at(metadata, "prefill_tokens_per_second").value_or(0), kMostRate);
  const bool has_agent = metadata.contains("babysitter") || metadata.contains("parent_service");
  // An agent that says where its page is does so because it is not there, or not in plain HTTP.
  spec.agent_on_next_port = has_agent && text_at(metadata, "health_url").empty();
  for (const char* key : {"models", "models_list"}) {
    if (auto models = names_at(metadata, key); !models.empty()) {
      spec.models = std::move(models);
      break;
    }
  }
  spec.models_stated = !spec.models.empty();
  if (const std::string hint = text_at(metadata, "model"); !spec.models_stated && !hint.empty()) spec.models = {hint};
}

bool take_address(UpstreamSpec& spec, std::string host, std::uint16_t port, const std::string& url) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (!valid_host(host)) return false;
  spec.endpoint = {std::move(host), port};
  const auto parsed = url.empty() ? Result<HttpUrl>(invalid("")) : parse_http_url(url);
  if (parsed && parsed->tls) {
    spec.tls = true;
    spec.endpoint = parsed->endpoint;
  }
  spec.url = parsed ? url : (spec.tls ? "https://" : "http://") + spec.endpoint.to_string();
  return true;
}

}  // namespace svc::router
