#include "registry/core/query.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/core/duration_text.hpp"
#include "common/core/json_text.hpp"

namespace svc::registry {

namespace {

/// A parameter that is there but empty (a blank form field) counts as absent.
std::optional<std::string> text_parameter(const QueryString& query, std::string_view name) {
  auto value = query.get(name);
  if (value && value->empty()) value.reset();
  return value;
}

bool is_true(std::string_view text) {
  constexpr std::string_view kTrue = "true";
  return std::equal(text.begin(), text.end(), kTrue.begin(), kTrue.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b; });
}

Error unreadable(std::string_view name, std::string_view expected, std::string_view got) {
  constexpr std::size_t kShown = 64;
  std::string message = "'" + std::string(name) + "' must be " + std::string(expected) + ", got ";
  append_json_string(message, got.substr(0, kShown));
  return invalid(std::move(message));
}

Result<std::optional<std::uint64_t>> whole_number(const QueryString& query, std::string_view name) {
  const auto text = text_parameter(query, name);
  if (!text) return std::optional<std::uint64_t>();
  std::uint64_t value = 0;
  const char* const end = text->data() + text->size();
  const auto [stop, code] = std::from_chars(text->data(), end, value);
  if (code != std::errc{} || stop != end) return unreadable(name, "a whole number", *text);
  return std::optional(value);
}

/// Length-prefixed, so that no two filters share a key.
void append_key(std::string& key, char tag, const std::optional<std::string>& value) {
  if (!value) return;
  key += tag;
  key += std::to_string(value->size());
  key += ':';
  key += *value;
}

std::string key_of(const ServiceFilter& filter) {
  std::string key;
  append_key(key, 's', filter.status);
  append_key(key, 't', filter.type);
  append_key(key, 'm', filter.model);
  append_key(key, 'h', filter.host);
  if (filter.healthy) key += *filter.healthy ? '+' : '-';
  return key;
}

}  // namespace

Result<ListRequest> parse_list_request(const QueryString& query) {
  ListRequest request;
  request.filter.status = text_parameter(query, "status");
  request.filter.type = text_parameter(query, "type");
  request.filter.model = text_parameter(query, "model");
  request.filter.host = text_parameter(query, "host");
  if (const auto healthy = query.get("healthy")) request.filter.healthy = is_true(*healthy);
  request.filter_key = key_of(request.filter);

  request.watch.epoch = text_parameter(query, "epoch");
  if (const auto changes = query.get("changes")) request.watch.changes_only = is_true(*changes);
  if (const auto wait = text_parameter(query, "wait")) {
    const auto parsed = parse_duration(*wait);
    if (!parsed || *parsed < Duration::zero()) {
      return unreadable("wait", "a duration such as 30s, 500ms or 30", *wait);
    }
    request.watch.wait = std::min(*parsed, kMaxWait);
  }
  const auto since = whole_number(query, "since");
  if (!since) return since.error();
  request.watch.since = *since;
  return request;
}

Result<std::optional<std::uint64_t>> parse_generation(const QueryString& query) {
  return whole_number(query, "generation");
}

}  // namespace svc::registry
