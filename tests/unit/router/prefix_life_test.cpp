// Whatever happens to lanes and requests in whatever order, nothing is left when nothing is in progress.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "prefix_fixture.hpp"
#include "router/core/prefix/prefix_policy.hpp"

namespace svc::router {
namespace {

constexpr Lane kLanes = 8;

PrefixSettings settings_of(std::size_t index_max_bytes) {
  PrefixSettings settings;
  settings.index_max_bytes = index_max_bytes;
  return settings;
}

class Life {
 public:
  explicit Life(std::size_t index_max_bytes) : policy_(settings_of(index_max_bytes)) {
    for (Lane lane = 0; lane < kLanes; ++lane) {
      policy_.set_lane(lane, {});
      ids_.push_back(lane);
    }
  }

  void step() {
    now_ += static_cast<double>(random() % 100) * 0.01;
    if (random() % 1000 == 0) now_ -= 60;  // a clock that jumps
    switch (random() % 16) {
      case 0:
        if (random() % 8 == 0) policy_.remove_lane(lane());
        if (random() % 2 == 0) policy_.set_lane(lane(), {.kv_tokens = random() % 200'000, .prefill_rate = rate()});
        break;
      case 1:
        policy_.set_lane(lane(), {.kv_tokens = kv_tokens(),
                                  .kv_stated = random() % 2 == 0,
                                  .prefill_rate = rate(),
                                  .serial = random() % 4 == 0});
        break;
      case 2:
      case 3:
      case 4:
      case 5:
      case 6: begin(); break;
      case 7:
      case 8:
      case 9: answer(); break;
      case 10:
        if (policy_.stalled(lane(), at(now_), at(now_ - random() % 50)) != LaneLoad::Stall::none) ++stalls_;
        break;
      default:
        if (!running_.empty()) end_one(random() % running_.size());
        break;
    }
    most_bytes_ = std::max(most_bytes_, policy_.index().bytes());
  }

  void end_all() {
    while (!running_.empty()) end_one(running_.size() - 1);
  }
  void nothing_is_left() {
    for (const Lane lane : ids_) {
      policy_.set_lane(lane, {.kv_tokens = 100'000, .prefill_rate = 5000});
      const auto* load = policy_.load(lane);
      EXPECT_EQ(load->active(), 0U);
      EXPECT_EQ(load->waiting(), 0U);
      EXPECT_EQ(load->decoding(), 0U);
      EXPECT_EQ(load->active_tokens(), 0);
      EXPECT_EQ(load->uncached(), 0);
      EXPECT_EQ(LaneLoad(*load).queued_work(at(now_)), 0);
      EXPECT_EQ(policy_.stalled(lane, at(now_ + 1e6), at(0)), LaneLoad::Stall::none);
      EXPECT_LE(policy_.index().held_units(lane), load->spec().kv_tokens * 16 * 16);
    }
    for (const auto& one : appraise(prompt(999, 100))) {
      EXPECT_TRUE(one.open);
      EXPECT_NEAR(one.score, one.wait, 1e-9) << "nothing is in progress";
    }
    for (const Lane lane : ids_) policy_.remove_lane(lane);
    for (const Lane lane : ids_) {
      EXPECT_EQ(policy_.index().held_units(lane), 0U);
      EXPECT_EQ(policy_.index().held_blocks(lane), 0U);
    }
  }
  [[nodiscard]] std::size_t most_bytes() const { return most_bytes_; }
  [[nodiscard]] std::size_t told() const { return told_; }
  [[nodiscard]] std::size_t stalls() const { return stalls_; }

 private:
  struct Running {
    LoadTicket ticket;
    PromptShape shape;
  };

  unsigned random() { return static_cast<unsigned>(engine_()); }
  Lane lane() { return static_cast<Lane>(random() % kLanes); }
  double rate() {
    constexpr double kAny[] = {0, -3, 1e-9, 1e30, HUGE_VAL, std::numeric_limits<double>::quiet_NaN(), 500, 20'000};
    return kAny[random() % std::size(kAny)];
  }
  std::uint64_t kv_tokens() {
    return random() % 50 == 0 ? std::numeric_limits<std::uint64_t>::max() : random() % 100'000;
  }
  static PromptShape prompt(unsigned seed, std::size_t tokens) {
    return shape_of({{"user", text_of(tokens * 4, seed)}});
  }
  std::vector<Appraisal> appraise(const PromptShape& shape) {
    std::vector<Appraisal> out;
    policy_.appraise(policy_.view(shape, "m"), ids_, {}, ids_.size(), at(now_), out);
    return out;
  }

  void begin() {
    const bool is_long = random() % 8 == 0;
    auto shape = is_long ? prompt(random() % 8, 1 + random() % 4000) : prompt(8 + random() % 200, 1 + random() % 500);
    if (random() % 8 == 0) shape.key_hash = 1 + 2 * (random() % 5);
    const auto all = appraise(shape);
    ASSERT_EQ(all.size(), ids_.size());
    for (const auto& one : all) {
      ASSERT_TRUE(std::isfinite(one.score));
      ASSERT_TRUE(std::isfinite(one.wait));
      ASSERT_GE(one.wait, 0);
      ASSERT_GE(one.burden.uncached, 1);
    }
    const Lane to = lane();
    if (all[to].matched >= PrefixPolicy::kLeastTold) ++told_;
    auto ticket = policy_.sent(to, all[to], random() % 3 != 0, at(now_));
    if (random() % 8 != 0) policy_.cached(ticket, shape);
    running_.push_back({ticket, std::move(shape)});
  }

  void answer() {
    if (running_.empty()) return;
    auto& one = running_[random() % running_.size()];
    const bool taken = random() % 4 != 0;
    if (random() % 4 != 0) policy_.answered(one.ticket, one.shape, taken);
    if (taken) policy_.first_byte(one.ticket, at(now_));
  }

  void end_one(std::size_t which) {
    Outcome outcome;
    outcome.complete = random() % 4 != 0;
    outcome.pieces = random() % 300;
    outcome.streaming = std::chrono::milliseconds(random() % 10'000);
    outcome.answering = std::chrono::milliseconds(static_cast<int>(random() % 10'000) - 100);
    const auto& one = running_[which];
    // Engines are wrong at times, or say nothing.
    if (random() % 3 == 0) outcome.prompt_tokens = random() % 16 == 0 ? random() % 100'000 : one.shape.units / 4;
    if (random() % 3 == 0) outcome.completion_tokens = random() % 1000;
    const double matched = one.ticket.burden.tokens - one.ticket.burden.uncached;
    if (random() % 3 != 0) outcome.cached_tokens = static_cast<std::uint64_t>(matched);
    if (random() % 16 == 0) outcome.cached_tokens = random() % 2 == 0 ? ~0ULL : random() % 3000;
    policy_.ended(one.ticket, one.shape, "m", outcome, at(now_));
    running_[which] = std::move(running_.back());
    running_.pop_back();
  }

  PrefixPolicy policy_;
  std::vector<Lane> ids_;
  std::vector<Running> running_;
  std::mt19937 engine_{20261128};
  double now_ = 0;
  std::size_t most_bytes_ = 0, told_ = 0, stalls_ = 0;
};

/// The whole of it. How much memory the index took at most.
std::size_t live(std::size_t index_max_bytes) {
  Life life(index_max_bytes);
  for (int step = 0; step < 100'000 && !::testing::Test::HasFatalFailure(); ++step) life.step();
  EXPECT_LE(life.most_bytes(), index_max_bytes);
  EXPECT_GT(life.told(), 200U) << "else nothing was learned of the sizes of caches";
  EXPECT_GT(life.stalls(), 0U);
  life.end_all();
  life.nothing_is_left();
  return life.most_bytes();
}

TEST(PrefixLife, Random_LeavesNothingBehind) {
  constexpr std::size_t kSmall = 80U << 10U;
  live(kSmall);
  EXPECT_GT(live(100 * kSmall), kSmall) << "else the bound of the small one was never reached";
}

}  // namespace
}  // namespace svc::router
