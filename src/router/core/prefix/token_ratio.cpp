#include "router/core/prefix/token_ratio.hpp"

#include <algorithm>

namespace svc::router {
namespace {

constexpr double kCodeMarks = 0.06;  // share of punctuation from which on a text counts as code
constexpr double kSlowest = 0.02;    // weight of a new sample in the long run
constexpr double kLeastFactor = 0.1, kMostFactor = 10;
constexpr double kFewTokens = 16;  // the template's own tokens would be most of it

}  // namespace

double TokenRatio::guess(const PromptShape& prompt) {
  const auto other = static_cast<double>(prompt.other);
  const double ascii = static_cast<double>(prompt.units) - other;
  const bool code =
      prompt.sampled > 0 && static_cast<double>(prompt.marks) > kCodeMarks * static_cast<double>(prompt.sampled);
  return std::max(1.0, ascii / (code ? kCode : kLatin) + other / kCjk);
}

void TokenRatio::learn(const PromptShape& prompt, std::uint64_t prompt_tokens) {
  const double guessed = guess(prompt);
  if (guessed < kFewTokens || prompt_tokens == 0) return;
  const double sample = std::clamp(static_cast<double>(prompt_tokens) / guessed, kLeastFactor, kMostFactor);
  ++samples_;
  // The first ones count fully, so that a wrong start is left soon; one that is far off moves it by a quarter at most.
  const double weight = std::max(kSlowest, 1.0 / static_cast<double>(samples_ + 1));
  const double bounded = samples_ <= 2 ? sample : std::clamp(sample, factor_ * 0.5, factor_ * 2.0);
  factor_ += (bounded - factor_) * weight;
}

}  // namespace svc::router
