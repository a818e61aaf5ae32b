// Tokens without a tokenizer: how many a prompt has, guessed from its bytes and put right, model by model, by what
// engines say in `usage`. Pure, not thread-safe.
#pragma once

#include <cstdint>

#include "router/core/prefix/prompt_shape.hpp"

namespace svc::router {

/// Of one model.
class TokenRatio {
 public:
  // Start values, bytes per token: what tokenizers with 100,000 to 150,000 entries make of English prose, of source code,
  // and of Chinese, Japanese and Korean in UTF-8 (three bytes a character, somewhat above a token each).
  static constexpr double kLatin = 4.2;
  static constexpr double kCode = 3.2;
  static constexpr double kCjk = 3.6;

  /// By script alone.
  [[nodiscard]] static double guess(const PromptShape& prompt);
  [[nodiscard]] double tokens(const PromptShape& prompt) const { return guess(prompt) * factor_; }
  /// An engine counted. Samples that are far off (other content than text, a proxy that counts differently) weigh little.
  void learn(const PromptShape& prompt, std::uint64_t prompt_tokens);
  /// Learned tokens over guessed ones; 1 until something was learned.
  [[nodiscard]] double factor() const { return factor_; }
  [[nodiscard]] std::uint64_t samples() const { return samples_; }

 private:
  double factor_ = 1.0;
  std::uint64_t samples_ = 0;
};

}  // namespace svc::router
