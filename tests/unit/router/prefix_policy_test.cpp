#include "router/core/prefix/prefix_policy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "prefix_fixture.hpp"

namespace svc::router {
namespace {

/// A policy with lanes 0..n-1.
class Prefix : public ::testing::Test {
 protected:
  void lanes(std::size_t count, LaneSpec spec = {}) {
    ids_.clear();
    for (Lane lane = 0; lane < count; ++lane) {
      policy_.set_lane(lane, spec);
      ids_.push_back(lane);
    }
  }
  std::vector<Appraisal> appraise(const PromptShape& shape, double now = 0) {
    std::vector<Appraisal> out;
    policy_.appraise(policy_.view(shape, "m"), ids_, {}, at(now), out);
    return out;
  }
  static Lane best(const std::vector<Appraisal>& all) {
    return static_cast<Lane>(
        std::min_element(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.score < b.score; }) -
        all.begin());
  }
  LoadTicket send(Lane lane, const PromptShape& shape, double now = 0, bool streams = true) {
    const auto ticket = policy_.sent(lane, appraise(shape, now)[lane], streams, at(now));
    policy_.cached(ticket, shape);
    return ticket;
  }
  void end(const LoadTicket& ticket, const PromptShape& shape, double now, Outcome outcome = {.complete = true}) {
    policy_.ended(ticket, shape, "m", outcome, at(now));
  }
  static PromptShape prompt(unsigned seed, std::size_t tokens) {
    return shape_of(
        {{"user", text_of(static_cast<std::size_t>(static_cast<double>(tokens) * TokenRatio::kLatin), seed)}});
  }

  PrefixPolicy policy_{PrefixSettings{}};
  std::vector<Lane> ids_;
};

TEST_F(Prefix, IdleLanes_AreAllTheSame) {
  lanes(3);
  const auto all = appraise(prompt(1, 1000));
  EXPECT_DOUBLE_EQ(all[0].score, all[1].score);
  EXPECT_DOUBLE_EQ(all[1].score, all[2].score);
  EXPECT_NEAR(all[0].wait, 1000 * (1 + 500.0 / PrefixPolicy::kDepthTokens) / SpeedMeter::kDefaultRate, 0.001);
  EXPECT_TRUE(all[0].open);
}

TEST_F(Prefix, WhoHasThePrefix_IsPreferred_UntilItsQueueCostsMore) {
  lanes(2);
  const auto shape = prompt(1, 8000);
  const auto first = send(1, shape);
  policy_.first_byte(first, at(1.3));
  end(first, shape, 2);
  EXPECT_EQ(best(appraise(shape, 3)), 1U);
  EXPECT_NEAR(appraise(shape, 3)[1].matched, 7999, 1);
  send(1, prompt(2, 3000), 3);
  EXPECT_EQ(best(appraise(shape, 3)), 1U) << "3,000 tokens of queue cost less than 8,000 of its own";
  send(1, prompt(3, 9000), 3);
  EXPECT_EQ(best(appraise(shape, 3)), 0U);
}

TEST_F(Prefix, AnswersInProgress_MakeADifferenceAmongEquals) {
  lanes(2);
  const auto shape = prompt(1, 1000);
  const auto running = send(0, shape);
  policy_.first_byte(running, at(0.2));
  EXPECT_EQ(best(appraise(prompt(2, 1000), 0.3)), 1U);
}

TEST_F(Prefix, LongPrompts_GoWhereFewWait) {
  lanes(2);
  send(0, prompt(1, 6000));
  for (unsigned i = 0; i < 6; ++i) send(1, prompt(10 + i, 900));
  EXPECT_EQ(best(appraise(prompt(2, 6000))), 0U)
      << "the other queue is shorter, but six prompts and those after them wait";
  EXPECT_EQ(best(appraise(prompt(3, 100))), 1U) << "a short one holds up nobody";
}

TEST_F(Prefix, FullCache_IsAvoided) {
  lanes(2, {.kv_tokens = 10'000});
  const auto big = prompt(1, 9000);
  policy_.first_byte(send(0, big), at(2));
  const auto small = prompt(2, 500);
  EXPECT_GT(appraise(small, 3)[0].score, appraise(small, 3)[1].score + 0.3);
}

TEST_F(Prefix, QueueShrinks_AsTimePassesAndAnswersBegin) {
  lanes(1);
  const auto a = send(0, prompt(1, 6700));
  send(0, prompt(2, 6700));
  const double before = appraise(prompt(3, 10), 0)[0].wait;
  const double later = appraise(prompt(3, 10), 0.5)[0].wait;
  EXPECT_LT(later, before - 0.2);
  policy_.first_byte(a, at(1));
  const double begun = appraise(prompt(3, 10), 1)[0].wait;
  EXPECT_LT(begun, later);
  EXPECT_GT(begun, 0.9);
}

TEST_F(Prefix, Hold_ALaneWithEnoughToDoIsNotOpen) {
  lanes(1);
  EXPECT_TRUE(appraise(prompt(1, 100))[0].open);
  const auto ticket = send(0, prompt(2, 6000));
  EXPECT_FALSE(appraise(prompt(1, 100))[0].open);
  policy_.first_byte(ticket, at(1));
  EXPECT_TRUE(appraise(prompt(1, 100), 1)[0].open);
}

TEST_F(Prefix, RequestThatDoesNotStream_LeavesTheQueueWhenItsTimeIsOver) {
  lanes(1);
  const auto shape = prompt(1, 6700);
  const auto ticket = send(0, shape, 0, false);
  EXPECT_FALSE(appraise(prompt(2, 10), 0.1)[0].open);
  EXPECT_TRUE(appraise(prompt(2, 10), 2)[0].open);
  EXPECT_EQ(policy_.load(0)->decoding(), 1U);
  end(ticket, shape, 3);
  EXPECT_EQ(policy_.load(0)->decoding(), 0U);
}

TEST_F(Prefix, SlowLane_IsLearnedAndGetsLess) {
  lanes(2);
  for (int i = 0; i < 60; ++i) {
    const double now = i * 10;
    for (const Lane lane : {0U, 1U}) {
      const auto shape = prompt(static_cast<unsigned>(1000 + 2 * i) + lane, 4000);
      const auto ticket = send(lane, shape, now);
      policy_.first_byte(ticket, at(now + (lane == 0 ? 2.0 : 0.5)));
      end(ticket, shape, now + 5);
    }
  }
  EXPECT_NEAR(policy_.load(0)->speed().prefill_rate(), 2030, 150);
  EXPECT_NEAR(policy_.load(1)->speed().prefill_rate(), 8100, 500);
  const auto all = appraise(prompt(1, 2000), 1000);
  EXPECT_GT(all[0].score, all[1].score * 2.5);
}

TEST_F(Prefix, SlowStart_MakesALaneDearer) {
  lanes(2);
  std::vector<Appraisal> out;
  const auto shape = prompt(1, 1000);
  const std::vector<double> shares = {0.1, 1.0};
  policy_.appraise(policy_.view(shape, "m"), ids_, shares, at(0), out);
  EXPECT_GT(out[0].score, out[1].score * 5);
}

TEST_F(Prefix, StaticCache_HasOnlyTheLastPromptAndOneRequestAtATime) {
  lanes(1, {.kv_tokens = 100'000, .serial = true});
  const auto a = prompt(1, 2000);
  const auto b = prompt(2, 2000);
  const auto first = send(0, a);
  policy_.first_byte(first, at(1));
  EXPECT_FALSE(appraise(b, 1)[0].open) << "still answering";
  end(first, a, 2);
  EXPECT_TRUE(appraise(b, 2)[0].open);
  EXPECT_GT(appraise(a, 2)[0].matched, 1990);
  end(send(0, b, 2), b, 3);
  EXPECT_EQ(appraise(a, 4)[0].matched, 0);
}

TEST_F(Prefix, NewIncarnation_HasAnEmptyCache_AndOldTicketsCountNowhere) {
  lanes(1);
  const auto shape = prompt(1, 2000);
  const auto old = send(0, shape);
  policy_.remove_lane(0);
  EXPECT_EQ(policy_.load(0), nullptr);
  policy_.set_lane(0, {});
  EXPECT_EQ(appraise(shape, 1)[0].matched, 0);
  policy_.first_byte(old, at(1));
  end(old, shape, 2);
  EXPECT_EQ(policy_.load(0)->active(), 0U);
  EXPECT_EQ(policy_.load(0)->decoding(), 0U);
}

TEST_F(Prefix, Stall_IsFoundByItsOwnPast_NotBySlowness) {
  lanes(1);
  for (int i = 0; i < 5; ++i) {
    const auto shape = prompt(static_cast<unsigned>(10 + i), 4000);
    const auto ticket = send(0, shape, i * 10);
    policy_.first_byte(ticket, at(i * 10 + 0.5));
    end(ticket, shape, i * 10 + 5, {.complete = true, .pieces = 100, .streaming = std::chrono::seconds(4)});
  }
  const auto shape = prompt(1, 4000);
  const auto waiting = send(0, shape, 100);
  EXPECT_EQ(policy_.stalled(0, at(105), at(99)), LaneLoad::Stall::none);
  EXPECT_EQ(policy_.stalled(0, at(111), at(99)), LaneLoad::Stall::first_byte);
  EXPECT_EQ(policy_.stalled(0, at(111), at(110)), LaneLoad::Stall::none) << "bytes came from it";
  policy_.first_byte(waiting, at(111));
  EXPECT_EQ(policy_.stalled(0, at(115), at(111)), LaneLoad::Stall::none);
  EXPECT_EQ(policy_.stalled(0, at(125), at(111)), LaneLoad::Stall::pieces);
  end(waiting, shape, 126);
  EXPECT_EQ(policy_.stalled(0, at(500), at(111)), LaneLoad::Stall::none) << "nothing to do";
  send(0, prompt(3, 100), 500, false);
  EXPECT_EQ(policy_.stalled(0, at(600), at(111)), LaneLoad::Stall::none) << "an answer that is no stream may take long";
}

TEST_F(Prefix, UnknownLanes_DoNoHarm) {
  ids_ = {5, 9};
  const auto all = appraise(prompt(1, 100));
  EXPECT_EQ(all.size(), 2U);
  EXPECT_FALSE(policy_.sent(5, all[0], true, at(0)));
  EXPECT_EQ(policy_.load(9), nullptr);
  policy_.remove_lane(70'000);
  policy_.set_lane(PrefixIndex::kMaxLanes, {});
  end({}, prompt(1, 10), 1);
}

/// Whatever happens in whatever order, nothing is left when nothing is in progress.
TEST_F(Prefix, RandomLife_LeavesNothingBehind) {
  constexpr Lane kLanes = 8;
  lanes(kLanes);
  struct Running {
    LoadTicket ticket;
    PromptShape shape;
    bool streams;
  };
  std::vector<Running> running;
  std::mt19937 engine(20261128);
  const auto random = [&] { return static_cast<unsigned>(engine()); };
  double now = 0;
  const auto end_one = [&](std::size_t which) {
    Outcome outcome;
    outcome.complete = random() % 4 != 0;
    outcome.pieces = random() % 300;
    outcome.streaming = std::chrono::milliseconds(random() % 10'000);
    outcome.answering = std::chrono::milliseconds(static_cast<int>(random() % 10'000) - 100);
    if (random() % 3 == 0) outcome.prompt_tokens = random() % 100'000;
    if (random() % 3 == 0) outcome.completion_tokens = random() % 1000;
    policy_.ended(running[which].ticket, running[which].shape, "m", outcome, at(now));
    running[which] = std::move(running.back());
    running.pop_back();
  };
  for (int step = 0; step < 100'000; ++step) {
    now += static_cast<double>(random() % 100) * 0.01;
    if (random() % 1000 == 0) now -= 60;  // a clock that jumps
    const auto lane = static_cast<Lane>(random() % kLanes);
    switch (random() % 16) {
      case 0:
        policy_.remove_lane(lane);
        if (random() % 2 == 0) policy_.set_lane(lane, {.kv_tokens = random() % 200'000, .prefill_rate = 0});
        break;
      case 1: policy_.set_lane(lane, {.kv_tokens = random() % 50'000, .serial = random() % 4 == 0}); break;
      case 2:
      case 3:
      case 4:
      case 5:
      case 6: {
        auto shape = prompt(random() % 50, 1 + random() % 500);
        const auto all = appraise(shape, now);
        ASSERT_EQ(all.size(), ids_.size());
        for (const auto& one : all) {
          ASSERT_TRUE(std::isfinite(one.score));
          ASSERT_GE(one.wait, 0);
          ASSERT_GE(one.burden.uncached, 1);
        }
        const bool streams = random() % 3 != 0;
        const auto ticket = policy_.sent(lane, all[lane], streams, at(now));
        if (random() % 8 != 0) policy_.cached(ticket, shape);
        running.push_back({ticket, std::move(shape), streams});
        break;
      }
      case 7:
      case 8:
      case 9:
        if (!running.empty()) policy_.first_byte(running[random() % running.size()].ticket, at(now));
        break;
      default:
        if (!running.empty()) end_one(random() % running.size());
        break;
    }
    ASSERT_LE(policy_.index().bytes(), policy_.settings().index_max_bytes);
  }
  while (!running.empty()) end_one(running.size() - 1);
  for (const Lane lane : ids_) {
    const auto* load = policy_.load(lane);
    if (load == nullptr) continue;
    EXPECT_EQ(load->active(), 0U);
    EXPECT_EQ(load->decoding(), 0U);
    EXPECT_EQ(load->active_tokens(), 0);
    EXPECT_EQ(load->uncached(), 0);
    EXPECT_LE(policy_.index().held_units(lane), load->spec().kv_tokens * 16);
  }
  for (const auto& one : appraise(prompt(999, 100), now)) {
    EXPECT_TRUE(one.open);
    EXPECT_NEAR(one.score, one.wait, 1e-9) << "nothing is in progress";
  }
}

}  // namespace
}  // namespace svc::router
