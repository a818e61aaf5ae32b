#include "bench/sim/json_cursor.hpp"

#include <charconv>
#include <cmath>

#include "common/core/ascii.hpp"

namespace svc::sim {
namespace {
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
}  // namespace

char JsonCursor::peek() {
  while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  return at_ < text_.size() ? text_[at_] : '\0';
}

bool JsonCursor::take(char wanted) {
  if (peek() != wanted || at_ >= text_.size()) return false;
  ++at_;
  return true;
}

bool JsonCursor::string(std::string_view& raw) {
  if (!take('"')) return false;
  const std::size_t begin = at_;
  while (true) {
    const std::size_t quote = text_.find('"', at_);
    if (quote == std::string_view::npos) return false;
    std::size_t first = quote;
    while (first > at_ && text_[first - 1] == '\\') --first;
    at_ = quote + 1;
    if ((quote - first) % 2 == 0) {
      raw = text_.substr(begin, quote - begin);
      return true;
    }
  }
}

bool JsonCursor::word(std::string_view wanted) {
  if (!text_.substr(at_).starts_with(wanted)) return false;
  at_ += wanted.size();
  return true;
}

bool JsonCursor::number() {
  const auto digits = [this] {
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
    return at_ > begin;
  };
  const auto next_is = [this](std::string_view any) {
    return at_ < text_.size() && any.find(text_[at_]) != std::string_view::npos;
  };
  if (next_is("-")) ++at_;
  const bool zero = next_is("0");
  const std::size_t begin = at_;
  if (!digits() || (zero && at_ > begin + 1)) return false;
  if (next_is(".")) {
    ++at_;
    if (!digits()) return false;
  }
  if (next_is("eE")) {
    ++at_;
    if (next_is("+-")) ++at_;
    if (!digits()) return false;
  }
  return true;
}

bool JsonCursor::skip() {
  std::string_view unused;
  switch (peek()) {
    case '{': return object([this](std::string_view) { return skip(); });
    case '[': return array([this] { return skip(); });
    case '"': return string(unused);
    case 't': return word("true");
    case 'f': return word("false");
    case 'n': return word("null");
    default: return number();
  }
}

bool JsonCursor::value(std::string_view& raw) {
  peek();
  const std::size_t begin = at_;
  if (!skip()) return false;
  raw = text_.substr(begin, at_ - begin);
  return true;
}

std::optional<long long> json_integer(std::string_view raw) {
  long long whole = 0;
  const char* end = raw.data() + raw.size();
  if (const auto [at, error] = std::from_chars(raw.data(), end, whole); error == std::errc() && at == end) return whole;
  double number = 0;
  const auto [at, error] = std::from_chars(raw.data(), end, number);
  if (error != std::errc() || at != end || std::abs(number) > 1e15 || std::trunc(number) != number) return std::nullopt;
  return static_cast<long long>(number);
}

}  // namespace svc::sim
