#include "agent/core/placeholders.hpp"

#include <vector>

#include "common/core/nearest_name.hpp"

namespace svc::agent {
namespace {

constexpr std::string_view kOpen = "${";
constexpr std::string_view kLiteral = "$${";

Error unknown_name(std::string_view name, const Placeholders& names) {
  std::vector<std::string_view> known;
  std::string list;
  for (const auto& [each, value] : names) {
    known.emplace_back(each);
    list.append(list.empty() ? "${" : ", ${").append(each).append("}");
  }
  std::string message = "unknown ${" + std::string(name.substr(0, 64)) + "}";
  if (const auto nearest = nearest_name(name, known)) return invalid(message + "; did you mean ${" + *nearest + "}?");
  return invalid(message + "; there are " + list + ", and $${ is a literal ${");
}

}  // namespace

Result<std::string> expand_placeholders(std::string_view text, const Placeholders& names) {
  std::string out;
  while (true) {
    const std::size_t at = text.find('$');
    out += text.substr(0, at);
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at);
    if (text.starts_with(kLiteral)) {
      out += kOpen;
      text.remove_prefix(kLiteral.size());
    } else if (!text.starts_with(kOpen)) {
      out += '$';
      text.remove_prefix(1);
    } else {
      const std::size_t end = text.find('}');
      if (end == std::string_view::npos) return invalid("${ without }; $${ is a literal ${");
      const std::string_view name = text.substr(kOpen.size(), end - kOpen.size());
      const auto found = names.find(name);
      if (found == names.end()) return unknown_name(name, names);
      out += found->second;
      text.remove_prefix(end + 1);
    }
  }
}

}  // namespace svc::agent
