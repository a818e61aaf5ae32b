// Reads a JSON text from front to back without building anything: for bodies of which five values matter. Checks the
// grammar of RFC 8259 but not the escapes and characters inside strings. Linear; nesting is bounded; keeps views.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace svc::sim {

class JsonCursor {
 public:
  static constexpr int kMaxDepth = 64;
  explicit JsonCursor(std::string_view text) : text_(text) {}

  /// The first character of the next value, ',' or a bracket; '\0' at the end.
  char peek();
  /// A string, as written, without its quotes.
  bool string(std::string_view& raw);
  /// Any value; `raw` is its text.
  bool value(std::string_view& raw);
  bool skip();
  bool at_end() { return peek() == '\0' && at_ == text_.size(); }

  /// An object; `member(key)` reads the value of the key and says whether that went well.
  template <class Member>
  bool object(Member&& member) {
    if (!open('{')) return false;
    if (take('}')) return close();
    do {
      std::string_view key;
      if (!string(key) || !take(':') || !member(key)) return false;
    } while (take(','));
    return take('}') && close();
  }
  /// An array; `element()` reads one.
  template <class Element>
  bool array(Element&& element) {
    if (!open('[')) return false;
    if (take(']')) return close();
    do {
      if (!element()) return false;
    } while (take(','));
    return take(']') && close();
  }

 private:
  bool take(char wanted);
  bool open(char bracket) { return ++depth_ <= kMaxDepth && take(bracket); }
  bool close() {
    --depth_;
    return true;
  }
  bool word(std::string_view wanted);
  bool number();

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

/// The whole number that a value's text is ("5", "5.0", "5e1"); nullopt: it is none, or beyond 10^15.
std::optional<long long> json_integer(std::string_view raw);

}  // namespace svc::sim
