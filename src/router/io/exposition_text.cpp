#include "router/io/exposition_text.hpp"

#include <array>
#include <charconv>

#include "common/core/json_text.hpp"

namespace svc::router {

void ExpositionText::family(std::string_view name, std::string_view help, std::string_view type) {
  name_ = name;
  text_.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ").append(name).append(" ");
  text_.append(type).append("\n");
}

void ExpositionText::begin(std::string_view suffix, std::string_view labels, std::string_view last_label) {
  text_.append(name_).append(suffix);
  if (!labels.empty() || !last_label.empty()) {
    text_.append("{").append(labels);
    if (!labels.empty() && !last_label.empty()) text_ += ',';
    text_.append(last_label).append("}");
  }
  text_ += ' ';
}

void ExpositionText::value(std::string_view labels, double number) {
  begin("", labels);
  append_json_double(text_, number);
  text_ += '\n';
}

void ExpositionText::value(std::string_view labels, std::uint64_t number) {
  begin("", labels);
  append_json_int(text_, number);
  text_ += '\n';
}

void ExpositionText::value(std::string_view labels, std::int64_t number) {
  begin("", labels);
  append_json_int(text_, number);
  text_ += '\n';
}

void ExpositionText::value(std::string_view labels, const TimeSum& times) {
  static const auto bounds = [] {
    std::array<std::string, TimeTally::kBounds> texts;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      std::string number;
      append_json_double(number, TimeTally::kUpperSeconds[i]);
      texts[i] = label("", "le", number);
    }
    return texts;
  }();
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    below += times.buckets[i];
    begin("_bucket", labels, bounds[i]);
    append_json_int(text_, below);
    text_ += '\n';
  }
  begin("_bucket", labels, R"(le="+Inf")");
  append_json_int(text_, times.count);
  text_ += '\n';
  begin("_sum", labels);
  append_json_double(text_, times.seconds);
  text_ += '\n';
  begin("_count", labels);
  append_json_int(text_, times.count);
  text_ += '\n';
}

void ExpositionText::value(std::string_view labels, std::span<const double> bounds,
                           std::span<const std::uint64_t> counts, double sum) {
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    below += counts[i];
    std::string number = "+Inf";
    if (i < bounds.size()) {
      number.clear();
      append_json_double(number, bounds[i]);
    }
    begin("_bucket", labels, label("", "le", number));
    append_json_int(text_, below);
    text_ += '\n';
  }
  begin("_sum", labels);
  append_json_double(text_, sum);
  text_ += '\n';
  begin("_count", labels);
  append_json_int(text_, below);
  text_ += '\n';
}

std::string label(std::string_view before, std::string_view key, std::string_view value) {
  std::string text(before);
  if (!text.empty()) text += ',';
  text.append(key).append("=\"");
  for (const char c : valid_utf8(value)) {
    if (c == '\n') {
      text += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  text += '"';
  return text;
}

}  // namespace svc::router
