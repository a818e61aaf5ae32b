#include "bench/routing/simulation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "bench/routing/metrics.hpp"
#include "bench/routing/saturation.hpp"

namespace svc::routing {
namespace {

/// Conversations of some turns that each repeat all before; every tenth request follows another one.
Trace chats(std::size_t count, double spacing, unsigned seed = 5) {
  Trace trace;
  trace.name = "chats";
  std::mt19937 random(seed);
  std::vector<std::vector<BlockId>> open(40);
  BlockId fresh = 1;
  double at = 0;
  for (std::size_t row = 0; row < count; ++row) {
    at += std::exponential_distribution<>(1 / spacing)(random);
    auto& chat = open[random() % open.size()];
    if (chat.size() > 30) chat.clear();
    const auto more = 1 + random() % 5;
    for (std::size_t i = 0; i < more; ++i) chat.push_back(fresh++);
    Request request;
    request.at = at;
    request.in = static_cast<std::uint32_t>(chat.size() * trace.block_tokens + random() % trace.block_tokens);
    request.out = static_cast<std::uint32_t>(1 + random() % 200);
    request.session = 1 + static_cast<std::uint64_t>(&chat - open.data());
    if (row % 10 == 9) {
      request.after = static_cast<std::uint32_t>(row - 1);
      request.think = 1;
    }
    trace.add(request, chat);
  }
  return trace;
}

RunSettings fleet(std::size_t engines) {
  RunSettings settings;
  settings.engines = engines;
  return settings;
}

class EveryPolicy : public ::testing::TestWithParam<PolicyKind> {};

TEST_P(EveryPolicy, Overload_ServesEachRequestOnceAndInOrderOfItsLife) {
  const auto trace = chats(600, 0.1);
  auto settings = fleet(3);
  settings.model.kv_tokens = 100'000;
  const auto run = simulate(trace, GetParam(), settings);
  ASSERT_EQ(run.order.size(), trace.rows.size());
  std::size_t used = 0;
  for (std::size_t row = 0; row < trace.rows.size(); ++row) {
    const auto& passage = run.passages[row];
    ASSERT_LE(passage.arrived, passage.sent) << row;
    ASSERT_LT(passage.sent, passage.first_token) << row;
    ASSERT_LE(passage.first_token, passage.ended) << row;
    ASSERT_LT(passage.cached, trace.rows[row].in) << row;
    ASSERT_LT(passage.engine, 3U);
    used |= std::size_t{1} << passage.engine;
    const auto after = trace.rows[row].after;
    if (after == Request::kNobody) continue;
    ASSERT_DOUBLE_EQ(passage.arrived, run.passages[after].ended + 1) << row;
  }
  EXPECT_EQ(used, 7U);
  std::uint64_t computed = 0;
  std::uint64_t expected = 0;
  for (const auto tokens : run.computed_tokens) computed += tokens;
  for (std::size_t row = 0; row < trace.rows.size(); ++row) expected += trace.rows[row].in - run.passages[row].cached;
  EXPECT_EQ(computed, expected);
}

TEST_P(EveryPolicy, SameSeed_GivesTheSameRun) {
  const auto trace = chats(200, 0.2);
  const auto first = simulate(trace, GetParam(), fleet(4));
  const auto second = simulate(trace, GetParam(), fleet(4));
  for (std::size_t row = 0; row < trace.rows.size(); ++row) {
    ASSERT_EQ(first.passages[row].engine, second.passages[row].engine);
    ASSERT_EQ(first.passages[row].ended, second.passages[row].ended);
  }
}

std::string test_name(const ::testing::TestParamInfo<PolicyKind>& kind) {
  std::string name(kind.param.name);
  std::replace(name.begin(), name.end(), '+', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(All, EveryPolicy, ::testing::ValuesIn(policy_kinds().begin(), policy_kinds().end()),
                         test_name);

TEST(Simulation, OneEngine_EveryPolicyIsTheSameButForTheOrder) {
  const auto trace = chats(200, 0.5);
  const auto reference = simulate(trace, *find_policy("round_robin"), fleet(1));
  for (const auto& kind : policy_kinds()) {
    if (kind.name == "prefix_aware+hold") continue;
    const auto run = simulate(trace, kind, fleet(1));
    for (std::size_t row = 0; row < trace.rows.size(); ++row) {
      ASSERT_EQ(run.passages[row].ended, reference.passages[row].ended) << kind.name;
    }
  }
}

TEST(Simulation, Rate_CompressesTimesAndPauses) {
  Trace trace;
  Request request;
  request.at = 10;
  trace.add(request, {});
  request.after = 0;
  request.think = 4;
  trace.add(request, {});
  auto settings = fleet(1);
  settings.rate = 2;
  const auto run = simulate(trace, *find_policy("round_robin"), settings);
  EXPECT_DOUBLE_EQ(run.passages[0].arrived, 5);
  EXPECT_DOUBLE_EQ(run.passages[1].arrived, run.passages[0].ended + 2);
}

TEST(Simulation, SlowEngine_TakesLongerForTheSame) {
  Trace trace;
  Request request;
  request.in = 4000;
  request.out = 20;
  trace.add(request, {});
  trace.add(request, {});
  auto settings = fleet(2);
  settings.speeds = {1, 0.5};
  const auto run = simulate(trace, *find_policy("round_robin"), settings);
  EXPECT_NEAR(run.passages[1].ended, 2 * run.passages[0].ended, 1e-9);
}

TEST(Simulation, PromptsInCommon_ComeTogetherByPolicyThatKnowsThem) {
  const auto trace = chats(800, 0.4);
  const auto hits = [&](std::string_view policy) {
    const auto settings = fleet(4);
    return summarise(trace, settings.model, simulate(trace, *find_policy(policy), settings)).hits;
  };
  const double blind = hits("round_robin");
  for (const auto* policy : {"session", "cache_aware", "gie", "dynamo", "lmetric", "prefix_aware", "oracle"}) {
    EXPECT_GT(hits(policy), blind + 0.1) << policy;
  }
}

TEST(Saturation, Found_IsWhereRoundRobinWaitsTenSeconds) {
  const auto trace = chats(1500, 0.5);
  const auto found = find_saturation(trace, fleet(2));
  ASSERT_TRUE(found.has_value());
  const auto wait = [&](double rate) {
    auto settings = fleet(2);
    settings.rate = rate;
    return summarise(trace, settings.model, simulate(trace, *find_policy("round_robin"), settings)).first_token.mean;
  };
  EXPECT_LT(wait(*found * 0.99), 10);
  EXPECT_GE(wait(*found * 1.01), 10);
}

TEST(Saturation, Known_IsTakenForTheUsualEnginesAlone) {
  auto trace = chats(1500, 0.5);
  trace.saturation[2] = 77;
  EXPECT_EQ(*saturation(trace, fleet(2)), 77);
  auto other = fleet(2);
  other.model.chunk = 2048;
  EXPECT_NE(*saturation(trace, other), 77);
  other = fleet(2);
  other.speeds = {1, 0.5};
  EXPECT_NE(*saturation(trace, other), 77);
}

TEST(Saturation, TooFewRequestsToSaturateAnything_IsAnError) {
  const auto found = find_saturation(chats(3, 1), fleet(8));
  ASSERT_TRUE(found.has_error());
  EXPECT_NE(found.error().to_string().find("at no rate"), std::string::npos);
}

}  // namespace
}  // namespace svc::routing
