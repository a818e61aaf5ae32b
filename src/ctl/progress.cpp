#include "ctl/progress.hpp"

#include "ctl/console.hpp"

namespace svc::ctl {
namespace {

constexpr Duration kQuiet = std::chrono::milliseconds(500);
constexpr Duration kLeast = std::chrono::seconds(1);
constexpr Duration kMost = std::chrono::seconds(10);

}  // namespace

void Progress::show(const std::string& text) {
  const TimePoint now = steady_now();
  if (now - began_ < kQuiet) return;
  const Duration silent = now - printed_;
  if (silent < kLeast || (text == last_ && silent < kMost)) return;
  print(text);
}

void Progress::tell(const std::string& text) { print(text); }

void Progress::print(const std::string& text) {
  last_ = text;
  printed_ = steady_now();
  say(label_.empty() ? text : "  " + label_ + ": " + text);
}

}  // namespace svc::ctl
