// The words of every answer: token n is a blank and n in base 36, three digits: 4 bytes, so that a lost, doubled or
// swapped piece shows in the text.
#pragma once

#include <cstdint>
#include <string>

namespace svc::sim {

inline void append_token(std::string& out, std::uint64_t n) {
  constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
  const char word[] = {' ', kDigits[n / 1296 % 36], kDigits[n / 36 % 36], kDigits[n % 36]};
  out.append(word, sizeof word);
}

inline std::string answer_text(std::uint64_t tokens) {
  std::string text;
  text.reserve(tokens * 4);
  for (std::uint64_t n = 0; n < tokens; ++n) append_token(text, n);
  return text;
}

}  // namespace svc::sim
