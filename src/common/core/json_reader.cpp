#include "common/core/json_reader.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/core/duration_text.hpp"
#include "common/core/json_text.hpp"
#include "common/core/nearest_name.hpp"
#include "common/core/range_text.hpp"

namespace svc {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxShown = 60;

/// Text from outside, short and on one line.
std::string shown(std::string_view text) {
  std::string out;
  append_json_string(out, text.substr(0, kMaxShown));
  if (text.size() > kMaxShown) out.insert(out.size() - 1, "...");
  return out;
}

std::string shown_name(std::string_view name) {
  const std::string quoted = shown(name);
  return quoted.substr(1, quoted.size() - 2);
}

std::string shown(const json& value) {
  if (value.is_string()) return shown(std::string_view(value.get_ref<const std::string&>()));
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  return value.dump();  // a number, a boolean or null: short
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; });
}

std::optional<std::int64_t> whole(const json& value) {
  constexpr double kExact = 9007199254740992.0;  // 2^53: beyond it a double no longer says which integer is meant
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
    return static_cast<std::int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const auto number = value.get<double>();
  if (!(std::fabs(number) <= kExact) || number != std::trunc(number)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

std::optional<Duration> duration_in(const json& value) {
  const auto read = value.is_number()   ? duration_from_seconds(value.get<double>())
                    : value.is_string() ? parse_duration(value.get_ref<const std::string&>())
                                        : Result<Duration>(invalid(""));
  if (read.has_error()) return std::nullopt;
  return *read;
}

}  // namespace

JsonReader::JsonReader(const json& object, std::string path)
    : object_(object.is_object() ? &object : nullptr), path_(std::move(path)) {
  if (object_ != nullptr) return;
  const std::string subject = path_.empty() ? "the JSON text" : "'" + path_ + "'";
  error_ = invalid(subject + " must be an object, got " + shown(object));
}

std::string JsonReader::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

void JsonReader::fail(std::string_view key, std::string_view rule) {
  if (!error_) error_ = invalid("'" + path_of(key) + "' " + std::string(rule));
}

bool JsonReader::refuse(std::string_view key, std::string_view expected, const json& got) {
  fail(key, "must be " + std::string(expected) + ", got " + shown(got));
  return false;
}

const json* JsonReader::find(std::string_view key) const {
  if (object_ == nullptr) return nullptr;
  const auto found = object_->find(key);
  if (found == object_->end() || found->is_null()) return nullptr;
  return &*found;
}

bool JsonReader::text_fits(std::string_view key, const json& value, TextLimits limits) {
  if (!value.is_string()) return refuse(key, "a string", value);
  const std::string& text = value.get_ref<const std::string&>();
  if (text.empty() && limits.min == 1) {
    fail(key, "must not be empty");
    return false;
  }
  if (text.size() < limits.min || text.size() > limits.max) {
    fail(key, "must be a string of " + text_range(limits) + ", got " + std::to_string(text.size()) + " bytes");
    return false;
  }
  if (!limits.controls && has_control(text)) {
    fail(key, "must not have control characters");
    return false;
  }
  return true;
}

bool JsonReader::text(std::string_view key, std::string& target, TextLimits limits) {
  const json* value = find(key);
  if (value == nullptr || !text_fits(key, *value, limits)) return false;
  target = value->get_ref<const std::string&>();
  return true;
}

bool JsonReader::read_integer(std::string_view key, std::int64_t& target, std::int64_t lo, std::int64_t hi) {
  const json* value = find(key);
  if (value == nullptr) return false;
  const auto number = whole(*value);
  if (!number || *number < lo || *number > hi) {
    return refuse(key, with_range("an integer", integer_range(lo, hi)), *value);
  }
  target = *number;
  return true;
}

bool JsonReader::number(std::string_view key, double& target, double lo, double hi) {
  const json* value = find(key);
  if (value == nullptr) return false;
  const double number = value->is_number() ? value->get<double>() : std::nan("");
  // Written so that NaN fails as well.
  if (!(number >= lo && number <= hi)) return refuse(key, with_range("a number", number_range(lo, hi)), *value);
  target = number;
  return true;
}

bool JsonReader::flag(std::string_view key, bool& target) {
  const json* value = find(key);
  if (value == nullptr) return false;
  if (!value->is_boolean()) return refuse(key, "true or false", *value);
  target = value->get<bool>();
  return true;
}

bool JsonReader::duration(std::string_view key, Duration& target, Duration lo, Duration hi) {
  const json* value = find(key);
  if (value == nullptr) return false;
  const auto read = duration_in(*value);
  if (!read || *read < lo || *read > hi) {
    return refuse(key, with_range("a duration", duration_range(lo, hi)), *value);
  }
  target = *read;
  return true;
}

bool JsonReader::choice(std::string_view key, std::string& target, std::span<const std::string> words) {
  const json* value = find(key);
  if (value == nullptr) return false;
  const bool known =
      value->is_string() && std::find(words.begin(), words.end(), value->get_ref<const std::string&>()) != words.end();
  if (!known) {
    std::string expected = "one of";
    for (const std::string& word : words) expected += (expected.ends_with("of") ? " '" : ", '") + word + "'";
    return refuse(key, expected, *value);
  }
  target = value->get_ref<const std::string&>();
  return true;
}

bool JsonReader::text_list(std::string_view key, std::vector<std::string>& target, TextLimits each,
                           std::size_t max_items) {
  const json* value = find(key);
  if (value == nullptr) return false;
  if (!value->is_array()) return refuse(key, "an array of strings", *value);
  if (value->size() > max_items) {
    fail(key, "must have at most " + std::to_string(max_items) + " items, got " + std::to_string(value->size()));
    return false;
  }
  std::vector<std::string> items;
  items.reserve(value->size());
  for (std::size_t i = 0; i < value->size(); ++i) {
    const json& item = (*value)[i];
    if (!text_fits(std::string(key) + "[" + std::to_string(i) + "]", item, each)) return false;
    items.push_back(item.get_ref<const std::string&>());
  }
  target = std::move(items);
  return true;
}

const json* JsonReader::object(std::string_view key) {
  const json* value = find(key);
  if (value == nullptr || value->is_object()) return value;
  refuse(key, "an object", *value);
  return nullptr;
}

const json* JsonReader::array(std::string_view key) {
  const json* value = find(key);
  if (value == nullptr || value->is_array()) return value;
  refuse(key, "an array", *value);
  return nullptr;
}

bool JsonReader::required(std::string_view key) {
  if (object_ != nullptr && find(key) != nullptr) return true;
  if (!error_) error_ = invalid("Missing required field: " + path_of(key));
  return false;
}

bool JsonReader::known(std::span<const std::string_view> keys) {
  if (object_ == nullptr) return false;
  for (const auto& item : object_->items()) {
    const std::string& key = item.key();
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    std::string message = "unknown key '" + path_of(shown_name(key)) + "'";
    if (const auto nearest = nearest_name(key, keys)) message += "; did you mean '" + *nearest + "'?";
    if (!error_) error_ = invalid(std::move(message));
    return false;
  }
  return true;
}

}  // namespace svc
