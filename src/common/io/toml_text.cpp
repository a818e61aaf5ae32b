#include "common/io/toml_text.hpp"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

namespace svc {
namespace {

using nlohmann::json;

/// The library parses and frees nested tables recursively; it bounds nested values itself, but not dotted names.
constexpr std::ptrdiff_t kMaxDots = 256;

std::string place(const std::string& name, const toml::source_position& at) {
  return name + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": ";
}

/// The number of the first line with more dots than any name has; 0 = none.
std::size_t line_with_many_dots(std::string_view text) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (std::count(line.begin(), line.end(), '.') > kMaxDots) return number;
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return 0;
}

class Converter {
 public:
  explicit Converter(const std::string& name) : name_(name) {}

  json table(const toml::table& from) {
    json object = json::object();
    for (const auto& [key, value] : from) object[std::string(key.str())] = node(value);
    return object;
  }

  std::string problem;  ///< the first one; "" = none

 private:
  json node(const toml::node& from) {
    if (const toml::table* const inner = from.as_table()) return table(*inner);
    if (const toml::array* const list = from.as_array()) {
      json items = json::array();
      for (const toml::node& item : *list) items.push_back(node(item));
      return items;
    }
    if (const auto* const text = from.as_string()) return text->get();
    if (const auto* const number = from.as_integer()) return number->get();
    if (const auto* const flag = from.as_boolean()) return flag->get();
    if (const auto* const number = from.as_floating_point()) return finite(number->get(), from);
    std::ostringstream out;
    if (const auto* const date = from.as_date()) out << *date;
    if (const auto* const time = from.as_time()) out << *time;
    if (const auto* const moment = from.as_date_time()) out << *moment;
    return out.str();
  }

  json finite(double number, const toml::node& from) {
    if (std::isfinite(number)) return number;
    if (problem.empty()) problem = place(name_, from.source().begin) + "inf and nan are no values of a setting";
    return nullptr;
  }

  const std::string& name_;
};

}  // namespace

Result<json> parse_toml(std::string_view text, const std::string& name) {
  if (const std::size_t line = line_with_many_dots(text); line > 0) {
    return invalid(name + ":" + std::to_string(line) + ":1: more than " + std::to_string(kMaxDots) + " dots in a line");
  }
  const toml::parse_result parsed = toml::parse(text, name);
  if (!parsed) {
    std::string reason(parsed.error().description());
    std::replace(reason.begin(), reason.end(), '\n', ' ');
    return invalid(place(name, parsed.error().source().begin) + reason);
  }
  Converter converter(name);
  json object = converter.table(parsed.table());
  if (!converter.problem.empty()) return invalid(std::move(converter.problem));
  return Result<json>(boost::system::in_place_value, std::move(object));
}

}  // namespace svc
