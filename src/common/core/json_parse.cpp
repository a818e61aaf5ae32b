#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/core/json_reader.hpp"
#include "common/core/json_text.hpp"

namespace svc {
namespace {

using nlohmann::json;

Error bad_json(std::string_view text, std::size_t offset, std::string_view why) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t newline = before.rfind('\n');
  const std::size_t column = 1 + before.size() - (newline == std::string_view::npos ? 0 : newline + 1);
  return invalid("invalid JSON at line " + std::to_string(line) + ", column " + std::to_string(column) + ": " +
                 std::string(why));
}

bool is_line_blank(char c) { return c == '\n' || c == '\r' || c == '\t'; }

struct Scan {
  std::optional<Error> error;
  bool blank_run = false;  // more blanks in a row than any printer makes
};

/// What the parser must not even see. A raw NUL ends the text for nlohmann's lexer, so that what follows would pass
/// unread; depth is counted here because the tree is copied and printed by recursion.
Scan scan(std::string_view text, std::size_t max_depth) {
  constexpr std::size_t kMaxRun = 512;
  constexpr std::size_t kMaxDigits = 1024;  // a double needs at most 767
  std::size_t depth = 0;
  std::size_t run = 0;
  std::size_t digits = 0;
  Scan found;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\0') return {bad_json(text, i, "a NUL byte")};
    if (in_string) {
      if (c == '"') in_string = false;
      if (c == '\\' && i + 1 < text.size() && text[i + 1] != '\0') ++i;
      continue;
    }
    run = is_line_blank(c) ? run + 1 : 0;
    if (run > kMaxRun) found.blank_run = true;
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (digits > kMaxDigits) return {bad_json(text, i, "a number has more than 1024 digits in a row")};
    if (c == '"') in_string = true;
    if (c == '[' || c == '{') {
      if (++depth > max_depth) {
        return {bad_json(text, i, "nested deeper than " + std::to_string(max_depth) + " levels")};
      }
    }
    if ((c == ']' || c == '}') && depth > 0) --depth;
  }
  return found;
}

/// Line ends and tabs outside strings as spaces, at the same offsets.
std::string with_spaces(std::string_view text) {
  std::string out(text);
  bool in_string = false;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i] == '"') in_string = !in_string;
    if (in_string && out[i] == '\\') ++i;
    if (!in_string && is_line_blank(out[i])) out[i] = ' ';
  }
  return out;
}

/// "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error while parsing value - invalid
/// literal; last read: '{\"a\": tru'; expected ..." without the places and without the text, which may be a megabyte.
std::string reason_of(std::string_view what) {
  constexpr std::size_t kMaxReason = 160;
  constexpr std::string_view kLastRead = "; last read: '";
  if (what.find("out_of_range") != std::string_view::npos) return "a number is too large";
  if (const std::size_t dash = what.find(" - "); dash != std::string_view::npos) what.remove_prefix(dash + 3);
  std::string expected;
  if (const std::size_t at = what.find(kLastRead); at != std::string_view::npos) {
    const std::size_t after = what.rfind("'; expected ");
    if (after != std::string_view::npos && after > at) expected = std::string(what.substr(after + 1));
    what = what.substr(0, at);
  }
  return valid_utf8((std::string(what) + expected).substr(0, kMaxReason));
}

/// Receives the parser's events and builds the tree; nothing here throws except for want of memory.
class TreeBuilder {
 public:
  using number_integer_t = json::number_integer_t;
  using number_unsigned_t = json::number_unsigned_t;
  using number_float_t = json::number_float_t;
  using string_t = json::string_t;
  using binary_t = json::binary_t;

  bool null() { return put(nullptr); }
  bool boolean(bool value) { return put(value); }
  bool number_integer(number_integer_t value) { return put(value); }
  bool number_unsigned(number_unsigned_t value) { return put(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) { return put(value); }
  bool string(string_t& value) { return put(std::move(value)); }
  bool binary(binary_t& /*value*/) { return false; }
  bool start_object(std::size_t /*size*/) { return open(json::object()); }
  bool start_array(std::size_t /*size*/) { return open(json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(string_t& name) {
    slot_ = &(*open_.back())[std::move(name)];
    return true;
  }
  bool parse_error(std::size_t position, const std::string& /*token*/, const json::exception& error) {
    offset_ = position == 0 ? 0 : position - 1;
    reason_ = reason_of(error.what());
    return false;
  }

  json take() { return std::move(root_); }
  [[nodiscard]] std::size_t offset() const { return offset_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }

 private:
  bool put(json value) {
    place(std::move(value));
    return true;
  }
  bool open(json container) {
    // The pointer stays good: while this one is open nothing is added to its parent.
    open_.push_back(place(std::move(container)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }
  json* place(json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      open_.back()->push_back(std::move(value));
      return &open_.back()->back();
    }
    *slot_ = std::move(value);
    return slot_;
  }

  json root_;
  std::vector<json*> open_;
  json* slot_ = nullptr;
  std::size_t offset_ = 0;
  std::string reason_ = "the text does not parse";
};

}  // namespace

Result<nlohmann::json> parse_json(std::string_view text, JsonLimits limits) {
  Scan found = scan(text, limits.max_depth);
  if (found.error) return *std::move(found.error);
  // Of nothing at all newer versions of the library say something else.
  if (text.empty()) return bad_json(text, 0, "unexpected end of input; expected '[', '{', or a literal");
  // The lexer prints each control character before a fault with snprintf: a megabyte of newlines would cost 300 ms.
  const std::string spaced = found.blank_run ? with_spaces(text) : std::string();
  const std::string_view parsed = found.blank_run ? spaced : text;
  TreeBuilder builder;
  const bool good = json::sax_parse(parsed.data(), parsed.data() + parsed.size(), &builder);
  if (!good) return bad_json(text, builder.offset(), builder.reason());
  return Result<json>(boost::system::in_place_value, builder.take());
}

}  // namespace svc
