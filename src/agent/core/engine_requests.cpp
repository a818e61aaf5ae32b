#include "agent/core/engine_requests.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace svc::agent {
namespace {

constexpr std::array<std::string_view, 3> kRunning{"vllm:num_requests_running", "sglang:num_running_reqs",
                                                   "llamacpp:requests_processing"};
constexpr std::array<std::string_view, 3> kWaiting{"vllm:num_requests_waiting", "sglang:num_queue_reqs",
                                                   "llamacpp:requests_deferred"};
constexpr double kMost = 1e6;

/// What follows the name and the labels; a label's value may hold a brace and an escaped quote.
std::string_view after_labels(std::string_view text) {
  if (!text.starts_with('{')) return text;
  bool quoted = false;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && text[i] == '}') {
      return text.substr(i + 1);
    }
  }
  return {};
}

std::optional<std::uint64_t> number_in(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == 0 || begin == std::string_view::npos) return std::nullopt;
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data() + begin, end, value);
  const bool whole = failure == std::errc() && (stop == end || *stop == ' ' || *stop == '\t' || *stop == '\r');
  if (!whole || !(value >= 0) || value > kMost || value != std::floor(value)) return std::nullopt;
  return static_cast<std::uint64_t>(value);
}

void add(std::string_view line, const std::array<std::string_view, 3>& names, std::optional<std::uint64_t>& sum) {
  const std::string_view name = line.substr(0, line.find_first_of("{ \t"));
  if (std::find(names.begin(), names.end(), name) == names.end()) return;
  const auto number = number_in(after_labels(line.substr(name.size())));
  if (number) sum = sum.value_or(0) + *number;
}

}  // namespace

EngineRequests parse_engine_requests(std::string_view page) {
  EngineRequests requests;
  while (!page.empty()) {
    const std::string_view line = page.substr(0, page.find('\n'));
    page.remove_prefix(std::min(line.size() + 1, page.size()));
    add(line, kRunning, requests.running);
    add(line, kWaiting, requests.waiting);
  }
  return requests;
}

}  // namespace svc::agent
