// The kinds of options: how each is read from text and from JSON, and printed.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <system_error>

#include "common/core/duration_text.hpp"
#include "common/core/header_rules.hpp"
#include "common/core/json_reader.hpp"
#include "common/core/option_table_access.hpp"
#include "common/core/range_text.hpp"
#include "common/core/words.hpp"

namespace svc {

using nlohmann::json;
using nlohmann::ordered_json;

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

/// What is right has been checked: without its text_problem.
json lex_words(std::string_view text) {
  const auto split = split_words(text);
  return split ? json(*split) : json::array();
}

std::string words_problem(std::string_view text) {
  const auto split = split_words(text);
  return split ? "" : split.error().message;
}

/// Length of "NAME" in "NAME=...", 0 when the text does not begin so.
std::size_t variable_name(std::string_view text) {
  std::size_t length = 0;
  const auto fits = [&](char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    return letter || (length > 0 && c >= '0' && c <= '9');
  };
  while (length < text.size() && fits(text[length])) ++length;
  return length < text.size() && text[length] == '=' ? length : 0;
}

json lex_environment(std::string_view text) {
  json variables = json::object();
  text = trim_blanks(text);
  while (!text.empty()) {
    std::size_t end = text.find(',');
    while (end != std::string_view::npos && variable_name(trim_blanks(text.substr(end + 1))) == 0) {
      end = text.find(',', end + 1);
    }
    const std::size_t name = variable_name(text);
    const std::size_t value = std::min(name + 1, text.size());
    variables[std::string(text.substr(0, name))] = std::string(text.substr(0, end).substr(value));
    text = end == std::string_view::npos ? "" : trim_blanks(text.substr(end + 1));
  }
  return variables;
}

std::string environment_problem(std::string_view text) {
  text = trim_blanks(text);
  return text.empty() || variable_name(text) > 0 ? "" : "must begin with NAME=";
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

OptionTable& OptionTable::word_list(std::string key, std::vector<std::string>& target, std::string help) {
  const auto read = [&target](JsonReader& reader, const std::string& name) {
    return reader.text_list(name, target, TextLimits{.controls = true});
  };
  return add(option(std::move(key), "words", "", std::move(help), joined_words(target)),
             {read, lex_words, [&target] { return ordered_json(target); }, words_problem});
}

OptionTable& OptionTable::environment(std::string key, TextMap& target, std::string help) {
  const auto read = [&target](JsonReader& reader, const std::string& name) {
    const json* const object = reader.object(name);
    if (object == nullptr) return false;
    TextMap map;
    JsonReader entries(*object, reader.path_of(name));
    for (const auto& entry : object->items()) {
      if (entry.key().empty() || variable_name(entry.key() + "=") != entry.key().size())
        entries.fail(entry.key(), "must be named with letters, digits and '_'");
      if (!entries.text(entry.key(), map[entry.key()], TextLimits{.controls = true})) {
        entries.fail(entry.key(), "must be a text");
      }
    }
    if (const auto error = entries.error()) {
      reader.adopt(*error);
      return false;
    }
    for (auto& [variable, value] : map) target[variable] = std::move(value);
    return true;
  };
  return add(option(std::move(key), "environment", "", std::move(help), ""),
             {read, lex_environment, [&target] { return ordered_json(target); }, environment_problem});
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

}  // namespace svc
