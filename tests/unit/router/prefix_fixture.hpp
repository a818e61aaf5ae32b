// Prompts and virtual time for the tests of routing by prefix.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "router/core/prefix/prefix_policy.hpp"

namespace svc::router {

/// For an index of which only what it finds matters.
inline constexpr std::uint64_t kPlenty = 1U << 20U;

struct Turn {
  std::string_view role;
  std::string text;
};

inline PromptShape shape_of(const std::vector<Turn>& turns, std::uint32_t block_bytes = 256,
                            std::string_view model = "m") {
  PromptShape shape;
  PromptHasher hasher;
  hasher.begin(model, block_bytes, shape);
  for (const auto& turn : turns) {
    hasher.begin_message(turn.role, turn.role == "assistant");
    hasher.add_text(turn.text);
    hasher.end_message();
  }
  hasher.end();
  return shape;
}

/// Text of that many bytes, different for each seed from its first byte on.
inline std::string text_of(std::size_t bytes, unsigned seed) {
  std::string text;
  std::uint64_t state = seed * 0x9e3779b97f4a7c15ULL + 1;
  while (text.size() < bytes) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    text += static_cast<char>('a' + (state >> 33U) % 26);
  }
  return text;
}

/// How much of the prompt's beginning the lane has.
inline std::uint64_t matched(PrefixIndex& index, const PromptShape& shape, Lane lane) {
  index.match(shape);
  return index.matched(lane);
}

inline TimePoint at(double seconds) {
  return TimePoint{} + std::chrono::hours(1) +
         std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace svc::router
