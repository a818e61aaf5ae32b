#include "common/io/config_file.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/core/header_rules.hpp"
#include "common/core/json_reader.hpp"
#include "common/core/nearest_name.hpp"
#include "common/io/read_file.hpp"
#include "common/io/toml_text.hpp"

namespace svc {
namespace {

Result<std::string> read_text(const std::string& path) {
  auto text = read_file(path, kMaxConfigBytes);
  if (!text) return wrap(path, text.error());
  return text;
}

/// "invalid JSON at line 3, column 14: REASON", as parse_json says it, to "PATH:3:14: REASON".
std::string locate(const std::string& path, const std::string& message) {
  constexpr std::string_view kStart = "invalid JSON at line ";
  constexpr std::string_view kMiddle = ", column ";
  unsigned line = 0;
  unsigned column = 0;
  const std::string_view text = message;
  const char* const end = text.data() + text.size();
  if (!text.starts_with(kStart)) return path + ": " + message;
  const auto first = std::from_chars(text.data() + kStart.size(), end, line);
  if (!std::string_view(first.ptr, end).starts_with(kMiddle)) return path + ": " + message;
  const auto second = std::from_chars(first.ptr + kMiddle.size(), end, column);
  std::string_view reason(second.ptr, end);
  if (reason.starts_with(": ")) reason.remove_prefix(2);
  return path + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " + std::string(reason);
}

Error unknown_section(const std::string& path, const std::string& key, std::span<const std::string_view> sections) {
  const auto near = nearest_name(key, sections);
  const std::string hint = near ? "; did you mean '" + std::string(*near) + "'?" : "";
  return invalid(path + ": unknown section '" + key + "'" + hint);
}

}  // namespace

Result<nlohmann::json> read_json_file(const std::string& path) {
  auto text = read_text(path);
  if (text.has_error()) return text.error();
  auto parsed = parse_json(*text);
  if (parsed.has_error()) return invalid(locate(path, parsed.error().to_string()));
  return parsed;
}

bool is_toml_name(std::string_view path) {
  constexpr std::string_view kEnding = ".toml";
  return path.size() > kEnding.size() && equal_ignoring_case(path.substr(path.size() - kEnding.size()), kEnding);
}

Result<nlohmann::json> read_config_file(const std::string& path) {
  if (is_toml_name(path)) {
    auto text = read_text(path);
    if (text.has_error()) return text.error();
    return parse_toml(*text, path);
  }
  auto parsed = read_json_file(path);
  if (parsed.has_value() && !parsed->is_object()) return invalid(path + ": the file must hold one JSON object");
  return parsed;
}

Result<void> check_sections(const nlohmann::json& file, const std::string& path,
                            std::span<const std::string_view> sections) {
  for (const auto& item : file.items()) {
    const std::string& key = item.key();
    if (key.starts_with('_') || key.starts_with('$')) continue;
    if (std::find(sections.begin(), sections.end(), key) != sections.end()) continue;
    return unknown_section(path, key, sections);
  }
  return {};
}

}  // namespace svc
