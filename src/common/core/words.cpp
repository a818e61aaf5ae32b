#include "common/core/words.hpp"

#include <algorithm>

namespace svc {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// Characters that no shell takes for anything else.
bool is_plain(char c) {
  constexpr std::string_view kSafe = "%+,-./:=@_^";
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  const bool digit = c >= '0' && c <= '9';
  return letter || digit || kSafe.find(c) != std::string_view::npos || static_cast<unsigned char>(c) >= 0x80;
}

class Splitter {
 public:
  explicit Splitter(std::string_view text) : text_(text) {}

  Result<std::vector<std::string>> run() {
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (is_blank(c)) {
        end_word();
        continue;
      }
      in_word_ = true;
      if (c == '\'' || c == '"') {
        if (!take_quoted(c)) return invalid("has an open quote");
      } else if (c == '\\') {
        if (at_ == text_.size()) return invalid("ends in a backslash");
        word_ += text_[at_++];
      } else {
        word_ += c;
      }
    }
    end_word();
    return std::move(words_);
  }

 private:
  /// From behind the opening quote to behind the closing one; false: there is none.
  bool take_quoted(char quote) {
    constexpr std::string_view kEscapable = "\\\"$`";
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == quote) return true;
      const bool escapes = c == '\\' && quote == '"' && at_ < text_.size();
      if (escapes && text_[at_] == '\n') {
        ++at_;
      } else if (escapes && kEscapable.find(text_[at_]) != std::string_view::npos) {
        word_ += text_[at_++];
      } else {
        word_ += c;
      }
    }
    return false;
  }

  void end_word() {
    if (in_word_) words_.push_back(std::move(word_));
    word_.clear();
    in_word_ = false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<std::string> words_;
  std::string word_;
  bool in_word_ = false;
};

}  // namespace

Result<std::vector<std::string>> split_words(std::string_view text) { return Splitter(text).run(); }

std::string quoted_word(std::string_view word) {
  if (!word.empty() && std::all_of(word.begin(), word.end(), is_plain)) return std::string(word);
  std::string out = "'";
  for (const char c : word) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

std::string joined_words(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out.append(out.empty() ? "" : " ").append(quoted_word(word));
  return out;
}

}  // namespace svc
