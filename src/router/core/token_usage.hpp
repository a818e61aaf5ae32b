// What engines say about the tokens of an answer, in `usage`: by the names of the chat, completions and Responses APIs, and
// by Anthropic's.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace svc::router {

struct Usage {
  std::uint64_t prompt_tokens = 0;  ///< all of the prompt, whatever of it was cached
  std::uint64_t completion_tokens = 0;
  std::uint64_t cached_tokens = 0;  ///< of the prompt
  bool known = false;
  bool cached_known = false;  ///< cached_tokens was stated
};

/// One `usage`, or what several of one answer come to: Anthropic's streams tell of the prompt in the first event and of the
/// rest in one of the last.
struct ToldUsage {
  std::optional<std::uint64_t> prompt{};      ///< prompt_tokens
  std::optional<std::uint64_t> input{};       ///< input_tokens
  std::optional<std::uint64_t> completion{};  ///< completion_tokens, output_tokens
  std::optional<std::uint64_t> cached{};      ///< cached_tokens in prompt_tokens_details or input_tokens_details
  std::optional<std::uint64_t> cache_read{}, cache_creation{};  ///< Anthropic's; its input_tokens are without both

  [[nodiscard]] bool known() const { return prompt || input || completion; }
  /// What `later` states replaces what was said before.
  void merge(const ToldUsage& later);
  [[nodiscard]] Usage sum() const;
};

/// The last `"usage": {...}` in a text that ends a JSON document (its beginning may be missing). Not known without one.
/// Values that are no plain integers of at most 15 digits are ignored.
[[nodiscard]] ToldUsage find_usage(std::string_view text);

}  // namespace svc::router
