#include "common/core/option_table.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <system_error>

#include "common/core/duration_text.hpp"
#include "common/core/header_rules.hpp"
#include "common/core/json_reader.hpp"
#include "common/core/json_text.hpp"
#include "common/core/nearest_name.hpp"
#include "common/core/range_text.hpp"

namespace svc {

using nlohmann::json;
using nlohmann::ordered_json;

/// How one option is read and printed. Flags and variables are turned into JSON by `lex` and then read by the same
/// `read`, so that every origin is checked by one rule.
struct OptionTable::Access {
  std::function<bool(JsonReader&, const std::string& key)> read;
  std::function<json(std::string_view text)> lex;
  std::function<ordered_json()> value;
};

namespace {

template <class Number>
json lex_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole_text = error == std::errc{} && end == text.data() + text.size();
  // What is no number stays text, and the reader's message then quotes it.
  if (!whole_text || !std::isfinite(static_cast<double>(value))) return std::string(text);
  return value;
}

json lex_text(std::string_view text) { return std::string(text); }

json lex_flag(std::string_view text) {
  constexpr std::array<std::string_view, 4> kTrue{"true", "yes", "on", "1"};
  constexpr std::array<std::string_view, 4> kFalse{"false", "no", "off", "0"};
  const auto same = [text](std::string_view word) { return equal_ignoring_case(word, text); };
  if (std::any_of(kTrue.begin(), kTrue.end(), same)) return true;
  if (std::any_of(kFalse.begin(), kFalse.end(), same)) return false;
  return std::string(text);
}

json lex_list(std::string_view text) {
  json items = json::array();
  if (trim_blanks(text).empty()) return items;
  while (true) {
    const std::size_t comma = text.find(',');
    items.push_back(std::string(trim_blanks(text.substr(0, comma))));
    if (comma == std::string_view::npos) return items;
    text.remove_prefix(comma + 1);
  }
}

/// "a=b,c=d"; what has no '=' becomes a name without a value, and the reader's message then names it.
json lex_map(std::string_view text) {
  json object = json::object();
  for (const json& item : lex_list(text)) {
    const std::string& pair = item.get_ref<const std::string&>();
    const std::size_t equals = pair.find('=');
    const bool has_value = equals != std::string::npos;
    object[std::string(trim_blanks(pair.substr(0, equals)))] =
        std::string(has_value ? trim_blanks(std::string_view(pair).substr(equals + 1)) : std::string_view());
  }
  return object;
}

ordered_json seconds(Duration value) {
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(value);
  if (whole == value) return whole.count();
  return to_seconds(value);
}

std::string words(std::span<const std::string> list, std::string_view separator) {
  std::string out;
  for (const std::string& word : list) out.append(out.empty() ? "" : separator).append(word);
  return out;
}

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

OptionTable::Option option(std::string key, std::string kind, std::string bounds, std::string help, std::string value) {
  OptionTable::Option made;
  made.key = std::move(key);
  made.kind = std::move(kind);
  made.bounds = std::move(bounds);
  made.help = std::move(help);
  made.default_text = std::move(value);
  return made;
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

OptionTable& OptionTable::add_integer(std::string key, std::function<std::int64_t()> get,
                                      std::function<void(std::int64_t)> put, std::int64_t lo, std::int64_t hi,
                                      std::string help) {
  const auto read = [put = std::move(put), lo, hi](JsonReader& reader, const std::string& name) {
    std::int64_t value = 0;
    if (!reader.integer(name, value, lo, hi)) return false;
    put(value);
    return true;
  };
  Option made = option(std::move(key), "integer", integer_range(lo, hi), std::move(help), std::to_string(get()));
  return add(std::move(made), {read, lex_number<std::int64_t>, [get = std::move(get)] { return ordered_json(get()); }});
}

OptionTable& OptionTable::number(std::string key, double& target, double lo, double hi, std::string help) {
  const auto read = [&target, lo, hi](JsonReader& reader, const std::string& name) {
    return reader.number(name, target, lo, hi);
  };
  return add(option(std::move(key), "number", number_range(lo, hi), std::move(help), number_text(target)),
             {read, lex_number<double>, [&target] { return ordered_json(target); }});
}

OptionTable& OptionTable::duration(std::string key, Duration& target, Duration lo, Duration hi, std::string help) {
  const auto read = [&target, lo, hi](JsonReader& reader, const std::string& name) {
    return reader.duration(name, target, lo, hi);
  };
  return add(option(std::move(key), "duration", duration_range(lo, hi), std::move(help), format_duration(target)),
             {read, lex_text, [&target] { return seconds(target); }});
}

OptionTable& OptionTable::text(std::string key, std::string& target, TextLimits limits, std::string help) {
  const auto read = [&target, limits](JsonReader& reader, const std::string& name) {
    return reader.text(name, target, limits);
  };
  return add(option(std::move(key), "text", text_range(limits), std::move(help), target),
             {read, lex_text, [&target] { return ordered_json(target); }});
}

OptionTable& OptionTable::flag(std::string key, bool& target, std::string help) {
  const auto read = [&target](JsonReader& reader, const std::string& name) { return reader.flag(name, target); };
  Option made = option(std::move(key), "flag", "", std::move(help), target ? "true" : "false");
  made.is_flag = true;
  return add(std::move(made), {read, lex_flag, [&target] { return ordered_json(target); }});
}

OptionTable& OptionTable::choice(std::string key, std::string& target, std::vector<std::string> values,
                                 std::string help) {
  Option made = option(std::move(key), "choice", words(values, ", "), std::move(help), target);
  const auto read = [&target, values = std::move(values)](JsonReader& reader, const std::string& name) {
    return reader.choice(name, target, values);
  };
  return add(std::move(made), {read, lex_text, [&target] { return ordered_json(target); }});
}

OptionTable& OptionTable::text_list(std::string key, std::vector<std::string>& target, std::string help) {
  const auto read = [&target](JsonReader& reader, const std::string& name) {
    return reader.text_list(name, target, TextLimits{.min = 1});
  };
  return add(option(std::move(key), "list", "", std::move(help), words(target, ",")),
             {read, lex_list, [&target] { return ordered_json(target); }});
}

OptionTable& OptionTable::text_map(std::string key, TextMap& target, std::string help) {
  const auto read = [&target](JsonReader& reader, const std::string& name) {
    const json* const object = reader.object(name);
    if (object == nullptr) return false;
    TextMap map;
    JsonReader entries(*object, reader.path_of(name));
    for (const auto& entry : object->items()) {
      if (entry.key().empty()) entries.fail("", "must not have an empty name");
      if (!entries.text(entry.key(), map[entry.key()], TextLimits{.min = 1}))
        entries.fail(entry.key(), "must be a text");
    }
    if (const auto error = entries.error()) {
      reader.adopt(*error);
      return false;
    }
    target = std::move(map);
    return true;
  };
  std::vector<std::string> pairs;
  for (const auto& [from, to] : target) {
    pairs.emplace_back(from).append("=").append(to);
  }
  return add(option(std::move(key), "map", "", std::move(help), words(pairs, ",")),
             {read, lex_map, [&target] { return ordered_json(target); }});
}

OptionTable& OptionTable::alias(std::string_view key, std::string flag, std::string env) {
  const auto option =
      std::find_if(options_.begin(), options_.end(), [key](const Option& declared) { return declared.key == key; });
  assert(option != options_.end());
  option->flag_alias = std::move(flag);
  option->env_alias = std::move(env);
  return *this;
}

Result<void> OptionTable::read_json(const json& section_object) {
  JsonReader reader(section_object, section_);
  std::vector<std::string_view> keys;
  for (const Option& option : options_) keys.emplace_back(option.key);
  reader.known(keys);
  for (std::size_t i = 0; i < options_.size(); ++i) access_[i].read(reader, options_[i].key);
  if (auto error = reader.error()) return *std::move(error);
  return {};
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
  for (std::size_t i = 0; i < options_.size(); ++i) {
    if (options_[i].key == key) return set_at(i, text, origin);
  }
  std::vector<std::string_view> flags;
  for (const Option& option : options_) flags.emplace_back(option.flag);
  std::string message = "unknown option '" + valid_utf8(origin.substr(0, 100)) + "'";
  if (const auto nearest = nearest_name(flag_name(key), flags)) message += "; did you mean '" + *nearest + "'?";
  return invalid(std::move(message));
}

Result<void> OptionTable::set_at(std::size_t index, std::string_view text, std::string_view origin) {
  const std::string name(origin);
  if (valid_utf8(text) != text) return invalid("'" + name + "' must be UTF-8 text");
  const json object = {{name, access_[index].lex(text)}};
  JsonReader reader(object, "");
  access_[index].read(reader, name);
  if (auto error = reader.error()) return *std::move(error);
  return {};
}

std::span<const OptionTable::Option> OptionTable::options() const { return options_; }

ordered_json OptionTable::values() const {
  ordered_json all = ordered_json::object();
  for (std::size_t i = 0; i < options_.size(); ++i) all[options_[i].key] = access_[i].value();
  return all;
}

}  // namespace svc
