// What the fuzz harnesses state about the code under test. Not assert(): the corpus is also replayed by builds without it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/core/json_text.hpp"

namespace svc::fuzz {

/// Ends the process, which the fuzzer reports together with the input.
inline void require(bool holds, const char* statement) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", statement);
  std::abort();
}

/// Messages travel in JSON answers and log lines.
inline void require_printable(std::string_view message) {
  constexpr std::size_t kLongest = 2048;
  require(!message.empty() && message.size() <= kLongest, "a message has 1 to 2048 bytes");
  require(valid_utf8(message) == message, "a message is UTF-8");
}

inline std::string text_of(const std::uint8_t* data, std::size_t size) { return {data, data + size}; }

}  // namespace svc::fuzz
