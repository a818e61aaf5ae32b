#include "common/io/log_level.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "common/core/nearest_name.hpp"

namespace svc {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"trace", "debug", "info", "warn", "error", "off"};

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

Result<LogLevel> parse_level(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const auto found = std::find(kNames.begin(), kNames.end(), lower);
  if (found != kNames.end()) return static_cast<LogLevel>(found - kNames.begin());
  std::string message = "'" + std::string(text) + "' is no log level (trace, debug, info, warn, error, off)";
  if (const auto near = nearest_name(lower, kNames)) message += "; did you mean '" + std::string(*near) + "'?";
  return invalid(std::move(message));
}

bool is_logger_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  });
}

}  // namespace

std::string_view to_string(LogLevel level) { return kNames.at(static_cast<std::size_t>(level)); }

LogLevel LogLevels::of(std::string_view logger) const {
  const auto found = by_name.find(logger);
  return found == by_name.end() ? standard : found->second;
}

Result<LogLevels> parse_log_levels(std::string_view text) {
  LogLevels levels;
  bool has_standard = false;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    const std::string_view part = trim(text.substr(start, comma - start));
    start = comma + 1;
    const std::size_t equals = part.find('=');
    const bool named = equals != std::string_view::npos;
    const auto level = parse_level(trim(named ? part.substr(equals + 1) : part));
    if (level.has_error()) return level.error();
    if (named) {
      const std::string_view name = trim(part.substr(0, equals));
      if (!is_logger_name(name)) return invalid("'" + std::string(part) + "' does not name a logger before '='");
      levels.by_name[std::string(name)] = *level;
    } else {
      if (has_standard) return invalid("'" + std::string(text) + "' gives two levels without a logger's name");
      has_standard = true;
      levels.standard = *level;
    }
  }
  return levels;
}

}  // namespace svc
