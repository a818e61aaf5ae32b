#include "common/core/option_table.hpp"

#include <algorithm>
#include <cassert>
#include <nlohmann/json.hpp>

#include "common/core/json_reader.hpp"
#include "common/core/json_text.hpp"
#include "common/core/nearest_name.hpp"
#include "common/core/option_table_access.hpp"

namespace svc {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

std::string flag_name(std::string_view key) {
  std::string out = "--" + std::string(key);
  std::replace(out.begin(), out.end(), '_', '-');
  return out;
}

std::string env_name(const std::string& prefix, std::string_view key) {
  std::string out = prefix + "_";
  for (const char c : key) out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

/// The message about a key of the section, with the place where the user wrote it.
Error moved(Error error, const std::string& section, const OptionTable::KeyPlaces& places) {
  for (const auto& [key, place] : places) {
    std::string name = "'";
    name.append(section).append(".").append(key);
    const std::size_t at = error.message.find(name);
    const std::size_t end = at + name.size();
    if (at == std::string::npos || end >= error.message.size()) continue;
    if (std::string_view("'[.").find(error.message[end]) == std::string_view::npos) continue;
    error.message.replace(at + 1, name.size() - 1, place);
    break;
  }
  return error;
}

}  // namespace

OptionTable::OptionTable(std::string section, std::string env_prefix)
    : section_(std::move(section)), env_prefix_(std::move(env_prefix)) {}
OptionTable::~OptionTable() = default;
OptionTable::OptionTable(OptionTable&&) noexcept = default;
OptionTable& OptionTable::operator=(OptionTable&&) noexcept = default;

OptionTable& OptionTable::add(Option option, Access access) {
  assert(std::none_of(options_.begin(), options_.end(), [&](const Option& o) { return o.key == option.key; }));
  option.flag = flag_name(option.key);
  option.env = env_name(env_prefix_, option.key);
  options_.push_back(std::move(option));
  access_.push_back(std::move(access));
  return *this;
}

OptionTable& OptionTable::alias(std::string_view key, std::string flag, std::string env) {
  const auto option =
      std::find_if(options_.begin(), options_.end(), [key](const Option& declared) { return declared.key == key; });
  assert(option != options_.end());
  if (!flag.empty()) option->flag_aliases.push_back(std::move(flag));
  if (!env.empty()) option->env_alias = std::move(env);
  return *this;
}

Result<void> OptionTable::read_json(const json& section_object, const KeyPlaces& places) {
  json section = section_object;
  JsonReader reader(section, section_);
  std::vector<std::string_view> keys;
  for (const Option& option : options_) keys.emplace_back(option.key);
  reader.known(keys);
  for (std::size_t i = 0; i < options_.size(); ++i) {
    if (split_text(section, i, reader)) access_[i].read(reader, options_[i].key);
  }
  if (auto error = reader.error()) return moved(*std::move(error), section_, places);
  return {};
}

bool OptionTable::split_text(json& section, std::size_t index, JsonReader& reader) const {
  const Access& access = access_[index];
  if (!access.text_problem || !section.is_object()) return true;
  const auto value = section.find(options_[index].key);
  if (value == section.end() || !value->is_string()) return true;
  const std::string text = value->get<std::string>();
  const std::string problem = access.text_problem(text);
  if (!problem.empty()) {
    reader.fail(options_[index].key, problem);
    return false;
  }
  *value = access.lex(text);
  return true;
}

Result<void> OptionTable::read_env(const Getenv& getenv) {
  for (std::size_t i = 0; i < options_.size(); ++i) {
    for (const std::string& name : {options_[i].env, options_[i].env_alias}) {
      const auto text = name.empty() ? std::nullopt : getenv(name);
      if (!text || text->empty()) continue;
      if (auto done = set_at(i, *text, name); done.has_error()) return done;
      break;
    }
  }
  return {};
}

Result<void> OptionTable::set(std::string_view key, std::string_view text, std::string_view origin) {
  if (const auto index = index_of(key)) return set_at(*index, text, origin);
  return unknown_option(key, origin);
}

std::optional<std::size_t> OptionTable::index_of(std::string_view key) const {
  for (std::size_t i = 0; i < options_.size(); ++i) {
    if (options_[i].key == key) return i;
  }
  return std::nullopt;
}

Error OptionTable::unknown_option(std::string_view key, std::string_view origin) const {
  std::vector<std::string_view> flags;
  for (const Option& option : options_) flags.emplace_back(option.flag);
  std::string message = "unknown option '" + valid_utf8(origin.substr(0, 100)) + "'";
  if (const auto nearest = nearest_name(flag_name(key), flags)) message += "; did you mean '" + *nearest + "'?";
  return invalid(std::move(message));
}

Result<void> OptionTable::set_at(std::size_t index, std::string_view text, std::string_view origin) {
  const std::string name(origin);
  const Access& access = access_[index];
  if (valid_utf8(text) != text) return invalid("'" + name + "' must be UTF-8 text");
  const std::string problem = access.text_problem ? access.text_problem(text) : "";
  if (!problem.empty()) return invalid("'" + name + "' " + problem);
  const json object = {{name, access.lex(text)}};
  JsonReader reader(object, "");
  access.read(reader, name);
  if (auto error = reader.error()) return *std::move(error);
  overrides_.push_back({options_[index].key, std::string(text), name});
  return {};
}

std::span<const OptionTable::Option> OptionTable::options() const { return options_; }

ordered_json OptionTable::values() const {
  ordered_json all = ordered_json::object();
  for (std::size_t i = 0; i < options_.size(); ++i) all[options_[i].key] = access_[i].value();
  return all;
}

}  // namespace svc
