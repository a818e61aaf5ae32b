#include "common/core/query_string.hpp"

#include <algorithm>

#include "common/core/percent_codec.hpp"

namespace svc {
namespace {

constexpr std::size_t kMaxPairs = 256;

std::string decode(std::string_view raw) {
  std::string spaced(raw);
  std::replace(spaced.begin(), spaced.end(), '+', ' ');
  if (auto decoded = percent_decode(spaced)) return *std::move(decoded);
  return std::string(raw);
}

}  // namespace

QueryString::QueryString(std::string_view raw) {
  while (!raw.empty() && pairs_.size() < kMaxPairs) {
    const std::size_t end = raw.find('&');
    const std::string_view pair = raw.substr(0, end);
    raw = end == std::string_view::npos ? std::string_view{} : raw.substr(end + 1);
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    const std::string_view value = equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1);
    pairs_.emplace_back(decode(pair.substr(0, equals)), decode(value));
  }
}

std::optional<std::string> QueryString::get(std::string_view name) const {
  for (const auto& [key, value] : pairs_) {
    if (key == name) return value;
  }
  return std::nullopt;
}

bool QueryString::has(std::string_view name) const {
  return std::any_of(pairs_.begin(), pairs_.end(), [&](const auto& pair) { return pair.first == name; });
}

}  // namespace svc
