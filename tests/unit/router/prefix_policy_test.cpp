#include "router/core/prefix/prefix_policy.hpp"

#include <gtest/gtest.h>

#include <algorithm>

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
    policy_.appraise(policy_.view(shape, "m"), ids_, {}, ids_.size(), at(now), out);
    return out;
  }
  static Lane best(const std::vector<Appraisal>& all) {
    return static_cast<Lane>(
        std::min_element(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.score < b.score; }) -
        all.begin());
  }
  LoadTicket send(Lane lane, const PromptShape& shape, double now = 0, bool streams = true) {
    auto ticket = policy_.sent(lane, appraise(shape, now)[lane], streams, at(now));
    policy_.cached(ticket, shape);
    return ticket;
  }
  void end(const LoadTicket& ticket, const PromptShape& shape, double now, Outcome outcome = {.complete = true}) {
    policy_.ended(ticket, shape, "m", outcome, at(now));
  }
  /// Lane 0 has answered five streams by second 45: 4,000 tokens of prompt in half a second, 25 pieces a second.
  void one_lane_with_a_past() {
    lanes(1);
    for (int i = 0; i < 5; ++i) {
      const auto shape = prompt(static_cast<unsigned>(10 + i), 4000);
      const auto ticket = send(0, shape, i * 10);
      policy_.first_byte(ticket, at(i * 10 + 0.5));
      end(ticket, shape, i * 10 + 5, {.complete = true, .pieces = 100, .streaming = std::chrono::seconds(4)});
    }
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

TEST_F(Prefix, AmongFullCaches_TheOneThatLosesTheOldestIsPreferred) {
  lanes(3, {.kv_tokens = 3000});
  const auto done = [&](Lane lane, unsigned seed) {
    const auto shape = prompt(seed, 2000);
    end(send(lane, shape), shape, 1);
  };
  const auto other = prompt(9, 2000);
  done(2, 3);
  done(0, 1);
  EXPECT_EQ(best(appraise(other, 2)), 1U) << "it has room";
  done(1, 2);
  EXPECT_EQ(best(appraise(other, 2)), 2U);
  done(2, 3);
  EXPECT_EQ(best(appraise(other, 2)), 0U) << "the oldest was used again";
  EXPECT_DOUBLE_EQ(appraise(other, 2)[0].wait, appraise(other, 2)[2].wait) << "the forecast knows nothing of it";
  EXPECT_EQ(best(appraise(prompt(3, 2000), 2)), 2U) << "who has it has nothing to push out";
}

TEST_F(Prefix, CacheThatNobodyPicks_GrowsOld_AndIsNoMeasureForOthers) {
  lanes(3, {.kv_tokens = 3000});
  unsigned seed = 0;
  const auto fill = [&](Lane lane) {
    const auto shape = prompt(++seed, 2000);
    end(send(lane, shape), shape, 1);
  };
  fill(2);
  for (int i = 0; i < 100; ++i) fill(0);
  fill(1);
  for (int i = 0; i < 10; ++i) fill(0);
  std::vector<Appraisal> out;
  const auto other = prompt(9'999, 2000);
  for (const std::size_t in_service : {3U, 2U}) {
    policy_.appraise(policy_.view(other, "m"), ids_, {}, in_service, at(2), out);
    EXPECT_GT(out[0].score - out[1].score, 0.4 * PrefixPolicy::kPushedOut * out[0].own) << in_service;
  }
  EXPECT_NEAR(out[1].score - out[1].wait, PrefixPolicy::kPushedOut * out[1].own, 1e-6) << "the oldest of those two";
}

TEST_F(Prefix, PromptThatWasNotComputed_LeavesAStaticCacheThatIsAsGoodAsNew) {
  lanes(2, {.kv_tokens = 100'000, .serial = true});
  const auto shape = prompt(1, 1000);
  end(send(0, shape), shape, 1, {});
  const auto all = appraise(prompt(2, 1000), 2);
  EXPECT_DOUBLE_EQ(all[0].score, all[1].score);
}

TEST_F(Prefix, StaticCaches_TheOneThatWasUsedLongestAgoIsPreferred) {
  lanes(3, {.kv_tokens = 100'000, .serial = true});
  const auto done = [&](Lane lane, unsigned seed) {
    const auto shape = prompt(seed, 1000);
    end(send(lane, shape), shape, 1);
  };
  for (Lane lane : {2U, 0U, 1U}) done(lane, lane);
  EXPECT_EQ(best(appraise(prompt(9, 1000), 2)), 2U);
  done(2, 2);
  EXPECT_EQ(best(appraise(prompt(9, 1000), 2)), 0U);
}

TEST_F(Prefix, PromptCacheKey_CountsMoreThanWhatIsPushedOut) {
  lanes(2, {.kv_tokens = 3000});
  auto keyed = prompt(1, 2000);
  keyed.key_hash = 77;
  end(send(0, keyed), keyed, 1);
  auto next = prompt(2, 2000);
  EXPECT_EQ(best(appraise(next, 2)), 1U);
  next.key_hash = 77;
  EXPECT_EQ(best(appraise(next, 2)), 0U);
  const auto filler = prompt(3, 2000);
  end(send(1, filler), filler, 3);
  const auto all = appraise(next, 4);
  const double key = PrefixPolicy::kKeyShare * all[0].burden.work / SpeedMeter::kDefaultRate;
  const double young = PrefixPolicy::kPushedOut * all[1].own * (1 - *all[1].age / *all[0].age);
  EXPECT_NEAR(all[1].score - all[0].score, key + young, 0.01 * young)
      << "what is charged to all makes it worth no more";
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
  policy_.appraise(policy_.view(shape, "m"), ids_, shares, ids_.size(), at(0), out);
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

TEST_F(Prefix, RefusedPrompt_IsInNoCache) {
  lanes(1);
  const auto shape = prompt(1, 2000);
  auto refused = send(0, shape);
  EXPECT_GT(appraise(shape)[0].matched, 1990) << "a burst goes where its first one went";
  policy_.answered(refused, shape, false);
  EXPECT_EQ(appraise(shape)[0].matched, 0);
  end(refused, shape, 1, {});
  end(send(0, shape, 2), shape, 3, {});  // nobody ever answered
  EXPECT_EQ(appraise(shape, 4)[0].matched, 0);
  EXPECT_EQ(policy_.index().entries(), 0U);
  auto cut = send(0, shape, 5);
  policy_.answered(cut, shape, true);
  end(cut, shape, 6, {});
  EXPECT_GT(appraise(shape, 7)[0].matched, 1990) << "its answer broke off, after the prompt was computed";
}

TEST_F(Prefix, PromptThatIsSentAgainOnANewConnection_CountsOnce) {
  lanes(1);
  const auto shape = prompt(1, 2000);
  auto ticket = send(0, shape);
  policy_.cached(ticket, shape);
  end(ticket, shape, 1, {});
  EXPECT_EQ(policy_.index().entries(), 0U);
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
  one_lane_with_a_past();
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

TEST_F(Prefix, Stall_IsFound_WhateverElseIsAskedOrGivenUp) {
  one_lane_with_a_past();
  const auto shape = prompt(1, 4000);
  const auto streaming = send(0, shape, 100);
  policy_.first_byte(streaming, at(100.5));
  const auto whole = send(0, shape, 101, false);
  EXPECT_EQ(policy_.stalled(0, at(109), at(101)), LaneLoad::Stall::none);
  EXPECT_EQ(policy_.stalled(0, at(112), at(101)), LaneLoad::Stall::pieces) << "beside an answer that is no stream";
  end(streaming, shape, 112);
  EXPECT_EQ(policy_.stalled(0, at(300), at(101)), LaneLoad::Stall::none) << "a stream may wait for that one's place";
  end(whole, shape, 300);

  // Clients that come and lose their patience one after the other.
  auto waiting = send(0, prompt(2, 4000), 300);
  for (int i = 0; i < 5; ++i) {
    const auto next = send(0, prompt(static_cast<unsigned>(3 + i), 4000), 302 + i * 2);
    end(waiting, prompt(2, 4000), 303 + i * 2, Outcome{});
    waiting = next;
  }
  EXPECT_EQ(policy_.stalled(0, at(309), at(101)), LaneLoad::Stall::none);
  EXPECT_EQ(policy_.stalled(0, at(311), at(101)), LaneLoad::Stall::first_byte);
  const auto large = prompt(50, 40'000);
  end(send(0, large, 311), large, 312, Outcome{});
  EXPECT_EQ(policy_.stalled(0, at(320), at(101)), LaneLoad::Stall::none) << "it may still work on the large one";
  EXPECT_EQ(policy_.stalled(0, at(900), at(101)), LaneLoad::Stall::first_byte);
}

TEST_F(Prefix, WhatIsNoPrompt_TellsNothingOfTheSizeOfCaches) {
  lanes(1, {.kv_tokens = 20'000});
  const auto fill = [&] {
    for (unsigned seed = 0; seed < 40; ++seed) {
      const auto shape = prompt(seed, 2000);
      end(send(0, shape), shape, 1);
    }
    return policy_.index().held_units(0);
  };
  const auto before = fill();
  for (int i = 0; i < 500; ++i) {
    const auto shape = prompt(1, 0);
    end(send(0, shape), shape, 1, {.complete = true, .prompt_tokens = 3000});
  }
  EXPECT_EQ(fill(), before);
}

TEST_F(Prefix, SizeOfACache_IsLearnedFromWhatTheEngineSaysOfIt) {
  lanes(1, {.kv_tokens = 20'000});
  unsigned seed = 0;
  const auto fill = [&] {
    for (int i = 0; i < 20; ++i) {
      const auto shape = prompt(++seed, 2000);
      end(send(0, shape), shape, 1);
    }
    return policy_.index().held_units(0);
  };
  const auto tell = [&](double share) {
    for (int i = 0; i < 100; ++i) {
      const auto shape = prompt(seed, 2000);
      const auto ticket = send(0, shape, 2);
      const double predicted = ticket.burden.tokens - ticket.burden.uncached;
      end(ticket, shape, 3, {.complete = true, .cached_tokens = static_cast<std::uint64_t>(predicted * share)});
    }
  };
  const auto before = fill();
  tell(0.3);
  EXPECT_LT(fill(), before / 2);
  const auto small = fill();
  tell(1);
  EXPECT_GT(fill(), small);
  lanes(1, {.kv_tokens = 20'000, .kv_stated = true});
  const auto stated = fill();
  tell(0.3);
  EXPECT_EQ(fill(), stated) << "what is stated stays";
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

}  // namespace
}  // namespace svc::router
