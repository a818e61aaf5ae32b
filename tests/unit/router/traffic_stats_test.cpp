#include "router/core/traffic_stats.hpp"

#include <gtest/gtest.h>

#include <string>

namespace svc::router {
namespace {

using namespace std::chrono_literals;

TEST(TimeTally, Observe_BucketHoldsTimesUpToItsBound) {
  struct Row {
    Duration time;
    std::size_t bucket;
  };
  for (const Row row : {Row{-1s, 0}, Row{0s, 0}, Row{1ns, 0}, Row{1ms, 0}, Row{1ms + 1ns, 1}, Row{2ms, 1},
                        Row{2ms + 1ns, 2}, Row{3ms, 2}, Row{4ms, 2}, Row{1s, 10}, Row{1024ms, 10}, Row{1025ms, 11},
                        Row{524'288ms, 19}, Row{524'288ms + 1ns, 20}, Row{24h, 20}}) {
    TimeTally tally;
    tally.observe(row.time);
    EXPECT_EQ(tally.in_bucket(row.bucket), 1U) << row.time.count() << " ns";
    EXPECT_EQ(tally.count(), 1U);
  }
}

TEST(TimeTally, Bounds_AreThoseOfTheBuckets) {
  for (std::size_t i = 0; i < TimeTally::kBounds; ++i) {
    TimeTally tally;
    tally.observe(std::chrono::round<Duration>(std::chrono::duration<double>(TimeTally::kUpperSeconds[i])));
    EXPECT_EQ(tally.in_bucket(i), 1U) << TimeTally::kUpperSeconds[i];
  }
}

TEST(TimeTally, SumAndCount) {
  TimeTally tally;
  tally.observe(250ms);
  tally.observe(750ms);
  tally.observe(1h);
  EXPECT_EQ(tally.count(), 3U);
  EXPECT_DOUBLE_EQ(tally.sum_seconds(), 3601.0);
}

TEST(SeriesList, Of_OneSeriesForEachModelInOrder) {
  SeriesList list;
  EXPECT_EQ(list.first(), nullptr);
  Series& a = list.of("a");
  Series& b = list.of("b");
  EXPECT_EQ(&list.of("a"), &a);
  EXPECT_EQ(&list.of("b"), &b);
  EXPECT_EQ(list.first(), &a);
  EXPECT_EQ(a.next.load(), &b);
  EXPECT_EQ(b.next.load(), nullptr);
}

TEST(SeriesList, Of_BeyondTheMostModelsAllShareOne) {
  SeriesList list;
  for (std::size_t i = 0; i < SeriesList::kMost; ++i) {
    const std::string model = "model-" + std::to_string(i);
    EXPECT_EQ(list.of(model).model, model);
  }
  Series& other = list.of("one more");
  EXPECT_EQ(other.model, "other");
  EXPECT_EQ(&list.of("and another"), &other);
  EXPECT_EQ(list.of("model-3").model, "model-3");
  std::size_t count = 0;
  for (const Series* series = list.first(); series != nullptr; series = series->next.load()) ++count;
  EXPECT_EQ(count, SeriesList::kMost + 1);
}

}  // namespace
}  // namespace svc::router
