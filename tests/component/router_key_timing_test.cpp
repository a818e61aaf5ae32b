// CVE-2025-59425: how long the refusal of an API key takes must not tell how much of it was right.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "common/core/clock.hpp"
#include "common/io/random.hpp"
#include "router/io/api_key_ring.hpp"

namespace svc::router {
namespace {

constexpr int kTries = 20'000;
constexpr double kSuspicious = 4.5;     // of Welch's t, as in dudect (Reparaz, Balasch, Verbauwhede, 2017)
constexpr std::size_t kKeyBytes = 256;  // the longest that is allowed

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double variance_of(const std::vector<double>& values, double mean) {
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return sum / static_cast<double>(values.size() - 1);
}

/// Interruptions only add: the slow end says nothing.
void crop(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  values.resize(values.size() * 9 / 10);
}

struct Difference {
  double t = 0;            ///< Welch's
  double nanoseconds = 0;  ///< of the means
};

/// Of the times that `check` takes for one text and for the other, in mixed order.
Difference difference(const std::function<bool(const std::string&)>& check, const std::string& a,
                      const std::string& b) {
  Random random(7);
  std::vector<double> times[2];
  std::string shown;  // one place in memory for both: where a text lies makes a difference too
  shown.reserve(std::max(a.size(), b.size()));
  for (int i = 0; i < kTries; ++i) {
    const auto which = static_cast<std::size_t>(random() & 1U);
    shown = which == 0 ? a : b;
    const TimePoint begun = steady_now();
    EXPECT_FALSE(check(shown));
    times[which].push_back(static_cast<double>((steady_now() - begun).count()));
  }
  crop(times[0]);
  crop(times[1]);
  const double means[2] = {mean_of(times[0]), mean_of(times[1])};
  const double error = variance_of(times[0], means[0]) / static_cast<double>(times[0].size()) +
                       variance_of(times[1], means[1]) / static_cast<double>(times[1].size());
  const double apart = std::abs(means[0] - means[1]);
  return {apart / std::sqrt(error), apart};
}

/// The smallest of a few: what others do on the machine can make a difference, a leak is always there.
Difference least_difference(const std::function<bool(const std::string&)>& check, const std::string& a,
                            const std::string& b) {
  auto least = difference(check, a, b);
  for (int again = 0; again < 4 && least.t >= kSuspicious; ++again) {
    if (const auto next = difference(check, a, b); next.t < least.t) least = next;
  }
  return least;
}

TEST(RouterKeyTiming, Refusal_TakesAsLongHoweverMuchWasRight) {
  const std::string key(kKeyBytes, 'k');
  std::string nearly = key;
  nearly.back() = 'x';
  const std::string wrong(kKeyBytes, 'x');

  // That such a difference would be seen: a comparison that stops at the first wrong byte.
  const auto naive = [&key](const std::string& shown) {
    std::size_t at = 0;
    while (at < key.size() && static_cast<volatile const char&>(shown[at]) == key[at]) ++at;
    return at == key.size();
  };
  const auto leak = least_difference(naive, nearly, wrong);
  ASSERT_GT(leak.t, kSuspicious);

  auto keys = parse_api_keys(R"({"keys":[{"name":"a","key":")" + key + R"("}]})");
  ASSERT_TRUE(keys.has_value()) << keys.error().to_string();
  const ApiKeyRing ring(*std::move(keys), nullptr);
  const auto ours = [&ring](const std::string& shown) { return ring.find(shown) != nullptr; };
  const auto seen = least_difference(ours, "Bearer " + nearly, "Bearer " + wrong);
  // On a busy machine something else may differ all the time, but by far less than a comparison that stops early.
  EXPECT_TRUE(seen.t < kSuspicious || seen.nanoseconds < leak.nanoseconds / 10)
      << "t = " << seen.t << ", " << seen.nanoseconds << " ns; of the leak " << leak.nanoseconds << " ns";
}

}  // namespace
}  // namespace svc::router
